package middleware

import (
	"net/http"

	"github.com/datapunk/evenkeel/headers"
)

// HeaderPriority reads the priority that the client gives in X-Failsafe-Level or
// X-Failsafe-Priority. It is for [WithPriority]. A request without one, or with a
// malformed one, has headers.MediumPriority. So has a request with a higher one from
// a client that [WithTrust] does not believe.
func HeaderPriority(r *http.Request) int {
	if p, ok := headers.PriorityOf(r.Header); ok {
		return p
	}
	return headers.MediumPriority
}

// rank returns the priority of the request, as far as its client is believed.
func (h *handler) rank(r *http.Request) int {
	if h.priority == nil {
		return headers.MediumPriority
	}
	p := min(max(h.priority(r), 0), headers.MaxPriority)
	if p > headers.MediumPriority && h.trust != nil && !h.trust(r) {
		return headers.MediumPriority
	}
	return p
}
