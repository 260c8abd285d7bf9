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

// Label makes a text that comes from outside, such as the name of a service, fit
// for metrics, traces and logs: valid UTF-8 of at most 1,024 bytes. Exporters reject
// whole batches because of one value that is not. It allocates only if it changes
// the text.
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

// MethodLabel returns the value of http.request.method in the semantic conventions
// of OpenTelemetry. It is the method in upper case if that is PATCH or defined by
// RFC 9110, and [OtherMethod] for any other, because clients can make methods up.
// An empty method stays empty.
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
