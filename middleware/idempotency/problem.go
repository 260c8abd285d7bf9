package idempotency

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

const (
	replayedField = "Idempotent-Replayed"
	defaultDocs   = "https://github.com/datapunk/evenkeel/tree/main/middleware/idempotency"
)

// A problem is what a client is told whose request does not get an answer of the
// handler.
type problem struct {
	status  int
	verdict headers.Verdict
	detail  string
}

var problems = map[Outcome]problem{
	OutcomeKeyMissing:     {http.StatusBadRequest, headers.NoVerdict, "This request needs an Idempotency-Key header."},
	OutcomeKeyInvalid:     {http.StatusBadRequest, headers.NoVerdict, "Idempotency-Key must be one field of 1 to 255 printable ASCII characters."},
	OutcomeNoCaller:       {http.StatusUnauthorized, headers.NoVerdict, "An Idempotency-Key is of use only from a caller who is known."},
	OutcomeBodyTooLarge:   {http.StatusRequestEntityTooLarge, headers.NoVerdict, "The body is too large for a request with an Idempotency-Key."},
	OutcomeBodyUnreadable: {http.StatusBadRequest, headers.NoVerdict, "The body could not be read to its end."},
	OutcomeKeyReused:      {http.StatusUnprocessableEntity, headers.DoNotRetry, "This Idempotency-Key was used for another request."},
	OutcomeInProgress:     {http.StatusConflict, headers.Retry, "A request with this Idempotency-Key is running. Please try again later."},
	OutcomeUnknown: {http.StatusInternalServerError, headers.DoNotRetry,
		"An earlier request with this Idempotency-Key was begun and not answered. Nobody knows whether it took effect."},
	OutcomeNotKept: {http.StatusConflict, headers.DoNotRetry,
		"A request with this Idempotency-Key was answered, and the answer was not kept."},
	OutcomeStoreUnavailable: {http.StatusServiceUnavailable, headers.Retry, "Idempotency keys can not be checked now. The request was not begun; please try again."},
	OutcomeBusy:             {http.StatusServiceUnavailable, headers.Retry, "The request met another one and took no effect. Please try again."},
	OutcomeCancelled:        {http.StatusServiceUnavailable, headers.Retry, "The time of the request was over before it was begun."},
}

// refuse answers with the problem of the outcome (RFC 9457).
func (x *exchange) refuse(o Outcome) {
	x.event.Outcome = o
	p, h := problems[o], x.writer.Header()
	headers.SetVerdict(h, p.verdict)
	switch o {
	case OutcomeStoreUnavailable, OutcomeBusy, OutcomeCancelled:
		headers.SetRetryAfter(h, time.Second)
	}
	docs := defaultDocs
	if x.docs != "" {
		docs = x.docs
		h.Add("Link", fmt.Sprintf(`<%s>; rel="describedby"`, docs))
	}
	body, _ := json.Marshal(struct { // of strings and a number, which has no error
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{docs + "#" + strings.ReplaceAll(string(o), "_", "-"), http.StatusText(p.status), p.status, p.detail})
	h["Content-Type"] = []string{"application/problem+json"}
	h["Cache-Control"] = []string{"no-store"}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	x.writer.WriteHeader(p.status)
	x.writer.Write(append(body, '\n'))
}

// replay repeats an answer, or says that it was not kept.
func (x *exchange) replay(a Answer) {
	h := x.writer.Header()
	switch {
	case a.Status < 200 || a.Status > 999:
		x.event.Err = errForeign
		x.refuse(OutcomeStoreUnavailable)
		return
	case a.Tombstone:
		if location, ok := a.Header["Location"]; ok {
			h["Location"] = location
		}
		x.refuse(OutcomeNotKept)
		return
	}
	x.event.Outcome = OutcomeReplayed
	for name, values := range a.Header {
		h[name] = values
	}
	if a.Status >= 500 {
		headers.SetVerdict(h, headers.DoNotRetry) // it would get the same answer
	}
	h[replayedField] = []string{"true"}
	x.writer.WriteHeader(a.Status)
	if len(a.Body) > 0 {
		x.writer.Write(a.Body)
	}
}
