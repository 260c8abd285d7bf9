package headers

import (
	"net/http"
	"strings"
	"unicode/utf8"
)

// maxLabel is how many bytes of a text from outside telemetry carries.
const maxLabel = 1024

const longestMethod = len(http.MethodOptions)

// OtherMethod is what telemetry calls a method that HTTP does not define.
const OtherMethod = "_OTHER"

// Label returns a text that comes from outside, such as the name of a service,
// as metrics, traces and logs can carry it: valid UTF-8 of at most 1,024 bytes.
// One that is not would cost more than itself: an exporter drops it together
// with all that it is sent with. It allocates only if there is something to
// mend.
func Label(text string) string {
	if len(text) <= maxLabel && utf8.ValidString(text) {
		return text
	}
	// Each byte that is invalid becomes three at most, so this is enough to fill
	// the label, and the text may be part of a request that is large.
	text = strings.ToValidUTF8(text[:min(len(text), maxLabel+utf8.UTFMax)], string(utf8.RuneError))
	if len(text) <= maxLabel {
		return text
	}
	end := maxLabel
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return strings.Clone(text[:end])
}

// MethodLabel returns how telemetry names a method, which a client may make up:
// one of RFC 9110 and PATCH by itself, in upper case, and any other as
// [OtherMethod]. No method stays none. It is the value of http.request.method in the semantic
// conventions of OpenTelemetry.
func MethodLabel(method string) string {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	if upper := strings.ToUpper(method[:min(len(method), longestMethod+1)]); upper != method && len(upper) <= longestMethod {
		return MethodLabel(upper)
	}
	return OtherMethod
}
