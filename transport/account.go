package transport

import (
	"hash/maphash"
	"net/http"
	"strings"
)

// A digester makes digests of what requests have in common. Credentials are kept in no
// other form.
type digester struct{ seed maphash.Seed }

// account is of what a request says about its account, which a quota belongs to: its
// header, and the keys of an API in its query. It is 0 if it says nothing.
func (d digester) account(req *http.Request) uint64 {
	var sum uint64 // does not depend on the order
	for name, values := range req.Header {
		if !namesAccount(name) {
			continue
		}
		for _, v := range values {
			if strings.EqualFold(name, "Authorization") {
				v = lasting(v)
			}
			sum += d.of(strings.ToLower(name), v)
		}
	}
	if req.URL == nil {
		return sum
	}
	for pair := range strings.SplitSeq(req.URL.RawQuery, "&") {
		if name, v, ok := strings.Cut(pair, "="); ok && namesKey(name) {
			sum += d.of(name, v)
		}
	}
	return sum
}

func (d digester) of(parts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(d.seed)
	for _, p := range parts {
		h.WriteString(p)
		h.WriteByte(0)
	}
	return h.Sum64()
}

// namesAccount reports whether a header says whose a request is. One word too many only
// means that fewer requests have an account in common.
func namesAccount(header string) bool {
	for word := range strings.SplitSeq(header, "-") {
		switch strings.ToLower(word) {
		case "idempotency", "csrf", "csrftoken", "xsrf", "websocket":
			return false // new for each request
		case "authorization", "auth", "token", "key", "apikey", "cookie", "secret", "session",
			"tenant", "account", "organization", "org", "project", "subscription":
			return true
		}
	}
	return false
}

// namesKey reports whether a parameter of a query has a key to an API. Others that sound
// like it have the place in a list.
func namesKey(parameter string) bool {
	switch strings.ToLower(parameter) {
	case "key", "api_key", "apikey", "api-key", "access_token", "auth_token", "token", "appid", "app_id":
		return true
	}
	return false
}

// lasting returns the part of an Authorization that is the same in all requests of an
// account. Schemes that sign each request have the name of a key beside the signature.
func lasting(authorization string) string {
	scheme, rest, ok := strings.Cut(authorization, " ")
	if !ok {
		return authorization
	}
	switch strings.ToLower(scheme) {
	case "bearer", "basic", "token":
		return authorization
	case "aws", "goog1", "sharedkey", "sharedkeylite":
		name, _, _ := strings.Cut(rest, ":")
		return name
	}
	for pair := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		switch strings.ToLower(name) {
		case "credential":
			value, _, _ = strings.Cut(value, "/") // before the day
			return value
		case "keyid", "username", "oauth_token", "oauth_consumer_key", "id":
			return value
		}
	}
	return authorization
}

// kind is of the method and the path, where any part with a digit, and any long one,
// stands for the same. A server may have a quota for each kind of request.
func (d digester) kind(req *http.Request) uint64 {
	var h maphash.Hash
	h.SetSeed(d.seed)
	h.WriteString(methodOf(req))
	if req.URL == nil {
		return h.Sum64()
	}
	for part := range strings.SplitSeq(req.URL.Path, "/") {
		if len(part) > longestWord || strings.ContainsAny(part, "0123456789") {
			part = "0"
		}
		h.WriteByte('/')
		h.WriteString(part)
	}
	return h.Sum64()
}

const longestWord = 24
