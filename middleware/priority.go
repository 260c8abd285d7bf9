package middleware

import (
	"net/http"

	"github.com/datapunk/evenkeel/headers"
)

// The ends and the middle of the scale of [WithPriority]. It is that of
// failsafe-go: five classes of a hundred levels, of which the classes say how
// important a request is and the levels may tell the users of a class apart, so
// that under load the same users are served all the time rather than all of
// them now and then.
const (
	MinPriority    = 0
	MediumPriority = headers.MediumPriority // 250
	MaxPriority    = headers.MaxPriority    // 499
)

// HeaderPriority is for [WithPriority]: it reads the priority that the client
// gives in X-Failsafe-Level or X-Failsafe-Priority. One that gives none, or
// nonsense, has MediumPriority, and so has one that gives a higher but is not
// believed by [WithTrust].
func HeaderPriority(r *http.Request) int {
	if p, ok := headers.PriorityOf(r.Header); ok {
		return p
	}
	return MediumPriority
}

// rank returns the priority of the request, as far as its client is believed.
func (h *handler) rank(r *http.Request) int {
	if h.priority == nil {
		return MediumPriority
	}
	p := min(max(h.priority(r), MinPriority), MaxPriority)
	if p > MediumPriority && h.trust != nil && !h.trust(r) {
		return MediumPriority
	}
	return p
}
