package headers

import (
	"net/http"
	"strconv"
	"strings"
)

// maxID bounds the ID of a call.
const maxID = 128

// An Attempt is the value of Retry-Attempt, an Item of RFC 9651 such as
// 2;max=3;id="k3v9". X-Envoy-Attempt-Count would not do, because Envoy overwrites
// it at every hop.
type Attempt struct {
	N   int    // 1 on the first attempt; at most 1,048,576
	Max int    // how many attempts the client will make; 0 if unknown
	ID  string // the same on all attempts of a call; "" if unknown
}

// String formats the attempt. It leaves out an ID that is longer than 128 bytes or
// not printable ASCII.
func (a Attempt) String() string {
	if a.Max == 0 && a.ID == "" && a.N < 100 {
		return strconv.Itoa(a.N)
	}
	b := make([]byte, 0, 64)
	b = strconv.AppendInt(b, int64(a.N), 10)
	if a.Max > 0 {
		b = append(b, ";max="...)
		b = strconv.AppendInt(b, int64(a.Max), 10)
	}
	if a.ID != "" && len(a.ID) <= maxID && printable(a.ID) {
		b = append(b, ";id="...)
		b = appendString(b, a.ID)
	}
	return string(b)
}

// parseAttempt reads the value of Retry-Attempt, without the space around it. A number below 1 is malformed.
// Unknown parameters, and those of the wrong type, are ignored.
func parseAttempt(value string) (a Attempt, ok bool) {
	s, ok := scan(value)
	if !ok {
		return Attempt{}, false
	}
	item, ok := s.item()
	if !ok || item.count() < 1 {
		return Attempt{}, false
	}
	a.N = int(min(item.number, maxCount))
	for {
		key, v, more, ok := s.param()
		if !ok {
			return Attempt{}, false
		}
		if !more {
			break
		}
		// The last of several with the same key counts (RFC 9651 section 4.2.3.2),
		// even if it has the wrong type.
		switch key {
		case "max":
			a.Max = int(min(max(v.count(), 0), maxCount))
		case "id":
			a.ID = ""
			if v.kind == kindString && len(v.text) <= maxID {
				a.ID = v.unescaped()
			}
		}
	}
	if !s.done() {
		return Attempt{}, false
	}
	return a, true
}

// AttemptOf returns which attempt a request is, and false if its header does not
// say. It reads Retry-Attempt, Amz-Sdk-Request, X-Stainless-Retry-Count,
// Grpc-Previous-Rpc-Attempts, X-Goog-Api-Client and X-Envoy-Attempt-Count. The
// highest number counts, so that a client can only lower its own priority. Max and
// ID come from Retry-Attempt, or else from the AWS headers.
func AttemptOf(h http.Header) (a Attempt, ok bool) {
	if len(h) == 0 {
		return Attempt{}, false
	}
	v, _ := only(h, RetryAttempt)
	a, _ = parseAttempt(v)
	v, _ = only(h, amzSdkRequest)
	n, limit := amzAttempt(v)
	if a.Max == 0 && n > 0 {
		a.Max = limit
		if id, _ := only(h, amzSdkInvocationID); a.ID == "" && len(id) <= maxID && printable(id) {
			a.ID = id
		}
	}
	a.N = max(a.N, n, count(h, stainlessRetryCount, 1), count(h, grpcPrevious, 1), count(h, envoyAttemptCount, 0), googAttempt(h))
	return a, a.N > 0
}

// SenderRetries reports whether the header of a request says that its sender
// retries. Retrying it on the way too would multiply the attempts. It is true if
//
//   - the request is a retry, by [AttemptOf];
//   - it is the first of several attempts: Retry-Attempt or Amz-Sdk-Request has a
//     max above 1, or Amz-Sdk-Request has no max, which means no limit;
//   - it has Opc-Client-Retries: true.
//
// It is false for the first attempt in a dialect that does not give the maximum,
// such as X-Stainless-Retry-Count: 0 or X-Envoy-Attempt-Count: 1.
func SenderRetries(h http.Header) bool {
	if len(h) == 0 {
		return false
	}
	if a, _ := AttemptOf(h); a.N > 1 || a.Max > 1 {
		return true
	}
	if v, has := only(h, opcClientRetries); has && strings.EqualFold(v, "true") {
		return true
	}
	v, _ := only(h, amzSdkRequest)
	n, limit := amzAttempt(v)
	return n > 0 && limit == 0
}

// count reads a number of attempts. Some dialects count only the earlier ones: then
// missing is 1.
func count(h http.Header, name string, missing int) int {
	v, ok := only(h, name)
	if !ok {
		return 0
	}
	n, ok := digits(v, maxCount-1)
	if !ok {
		return 0
	}
	return int(n) + missing
}

// amzAttempt reads "attempt=1; max=3; ttl=..." in any order and spacing.
func amzAttempt(v string) (n, limit int) {
	if overlong(v) {
		return 0, 0
	}
	for part := range strings.SplitSeq(v, ";") {
		key, value, _ := strings.Cut(trim(part), "=")
		i, ok := digits(value, maxCount)
		switch {
		case ok && key == "attempt":
			n = int(i)
		case ok && key == "max":
			limit = int(i)
		}
	}
	return n, limit
}

// googAttempt reads gccl-attempt-count/<n> out of a list of products.
func googAttempt(h http.Header) int {
	v, ok := only(h, googAPIClient)
	if !ok || overlong(v) {
		return 0
	}
	_, v, ok = strings.Cut(v, "gccl-attempt-count/")
	if !ok {
		return 0
	}
	v, _, _ = strings.Cut(v, " ")
	n, _ := digits(v, maxCount)
	return int(n)
}
