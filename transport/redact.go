package transport

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// leftOut replaces a URL or a part of one.
const leftOut = "(URL)"

// How much of an error is searched, and how long a part of a URL must be to be removed:
// shorter ones occur in any text.
const (
	maxErrorText  = 16 << 10
	maxErrorDepth = 32
	minPart       = 4
	tokenLength   = 16
)

// urlCtx is the context that observers get with the error of a call.
type urlCtx struct {
	context.Context
	url *url.URL
}

type urlKey struct{}

func (c *urlCtx) Value(key any) any {
	if _, ok := key.(urlKey); ok {
		return c.url
	}
	return c.Context.Value(key)
}

// urlOf returns the URL of the request that an observer is told about, or nil.
func urlOf(ctx context.Context) *url.URL {
	if u, ok := ctx.Value(urlKey{}).(*url.URL); ok {
		return u
	}
	if a, ok := attemptIn(ctx); ok && a.round.req != nil {
		return a.round.req.URL
	}
	return nil
}

// withoutURL is the text of an error without URLs, which may hold a password or a token:
// without that of the request, those of every *url.Error in it, and what looks like one.
func withoutURL(err error, of *url.URL) string {
	text := err.Error()
	if len(text) > maxErrorText {
		text = text[:maxErrorText]
	}
	secret := partsOf(of)
	for _, raw := range urlsIn(err, nil, 0) {
		if len(raw) >= minPart {
			secret = append(secret, raw)
		}
		if u, err := url.Parse(raw); err == nil {
			secret = append(secret, partsOf(u)...)
		}
	}
	// The longest first, so that no rest of a longer one remains.
	slices.SortFunc(secret, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, s := range slices.Compact(secret) {
		text = without(text, s)
	}
	return scrubbed(text)
}

// without leaves out a string, also as %q writes it.
func without(text, s string) string {
	if s == "" {
		return text
	}
	text = strings.ReplaceAll(text, s, leftOut)
	if quoted := strconv.Quote(s); quoted != `"`+s+`"` {
		text = strings.ReplaceAll(text, quoted[1:len(quoted)-1], leftOut)
	}
	return text
}

// urlsIn returns the URLs of every *url.Error in the tree of an error.
func urlsIn(err error, urls []string, depth int) []string {
	if err == nil || depth > maxErrorDepth {
		return urls
	}
	if u, ok := err.(*url.Error); ok {
		urls = append(urls, u.URL)
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return urlsIn(e.Unwrap(), urls, depth+1)
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			urls = urlsIn(err, urls, depth+1)
		}
	}
	return urls
}

// partsOf returns the forms in which a URL, or a secret part of it, may appear in a text.
func partsOf(u *url.URL) []string {
	if u == nil {
		return nil
	}
	parts := []string{u.String(), u.Redacted()}
	if password, ok := u.User.Password(); ok {
		parts = append(parts, password, url.QueryEscape(password), url.PathEscape(password))
	}
	long := func(s string) {
		if len(s) >= minPart {
			parts = append(parts, s)
		}
	}
	long(u.User.String())
	long(u.User.Username())
	long(u.Opaque)
	long(u.RequestURI())
	long(u.Path)
	long(u.EscapedPath())
	for segment := range strings.SplitSeq(u.Path, "/") {
		if len(segment) >= tokenLength { // shorter ones are words, and may be those of the error
			long(segment)
		}
	}
	long(u.Fragment)
	long(u.EscapedFragment())
	long(u.RawQuery)
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		long(pair)
		_, value, _ := strings.Cut(pair, "=")
		long(value)
		if plain, err := url.QueryUnescape(value); err == nil {
			long(plain)
		}
	}
	return parts
}

// scrubbed removes from each word what looks like a URL: from its scheme on, up to an @
// after a password, or from the query on.
func scrubbed(text string) string {
	if !strings.ContainsAny(text, "/@?") {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		end := strings.IndexFunc(text, endsWord)
		if end < 0 {
			end = len(text)
		}
		b.WriteString(scrubbedWord(text[:end]))
		if end < len(text) {
			b.WriteByte(text[end]) // all that ends a word is one byte
			end++
		}
		text = text[end:]
	}
	return b.String()
}

func endsWord(r rune) bool { return r <= ' ' || strings.ContainsRune("\"'`<>", r) }

func scrubbedWord(word string) string {
	if i := strings.Index(word, "://"); i >= 0 {
		for i > 0 && isSchemeByte(word[i-1]) {
			i--
		}
		return word[:i] + leftOut + trailing(word)
	}
	if at := strings.LastIndexByte(word, '@'); at > 0 && strings.IndexByte(word[:at], ':') >= 0 {
		word = leftOut + word[at:]
	}
	if i := strings.IndexByte(word, '?'); i >= 0 && strings.IndexByte(word[i:], '=') > 0 {
		return word[:i] + leftOut + trailing(word)
	}
	return word
}

// trailing is the punctuation after a URL, which belongs to the sentence.
func trailing(word string) string { return word[len(strings.TrimRight(word, ":,;.)]}")):] }

func isSchemeByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == '-' || c == '.'
}
