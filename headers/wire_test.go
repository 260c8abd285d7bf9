package headers_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

var update = flag.Bool("update", false, "write testdata/wire.json anew")

const wireFile = "testdata/wire.json"

// vectors are messages and what they mean, in a form that an implementation in any
// language can read.
type vectors struct {
	About string    `json:"about"`
	Now   time.Time `json:"now"`
	Read  []reading `json:"read"`
	Write []writing `json:"write"`
}

// A reading is a header and what it says. A member that is missing is not said.
type reading struct {
	Name   string      `json:"name"`
	Header http.Header `json:"header"`

	Attempt          *attempt `json:"attempt,omitempty"`
	SenderRetries    bool     `json:"sender_retries,omitempty"`
	TimeoutMs        *float64 `json:"timeout_ms,omitempty"`
	AttemptTimeoutMs *float64 `json:"attempt_timeout_ms,omitempty"`
	IdempotencyKey   *string  `json:"idempotency_key,omitempty"`
	Priority         *int     `json:"priority,omitempty"`
	RetryAfterMs     *float64 `json:"retry_after_ms,omitempty"`
	QueuedMs         *float64 `json:"queued_ms,omitempty"`
	Verdict          string   `json:"verdict,omitempty"` // retry, do_not_retry
}

type attempt struct {
	N   int    `json:"n"`
	Max int    `json:"max,omitempty"`
	ID  string `json:"id,omitempty"`
}

// A writing is what is said, and the header that says it.
type writing struct {
	Name           string      `json:"name"`
	Attempt        *attempt    `json:"attempt,omitempty"`
	TimeoutMs      *float64    `json:"timeout_ms,omitempty"`
	IdempotencyKey *string     `json:"idempotency_key,omitempty"`
	RetryAfterMs   *float64    `json:"retry_after_ms,omitempty"`
	QueuedMs       *float64    `json:"queued_ms,omitempty"`
	Verdict        string      `json:"verdict,omitempty"`
	Header         http.Header `json:"header"`
}

// What is sent and what is understood changes only with a line in CHANGELOG.md: see
// TestFormats in package examples.
func TestWire(t *testing.T) {
	data, err := os.ReadFile(wireFile)
	if err != nil {
		t.Fatal(err)
	}
	var file vectors
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		t.Fatal(err)
	}
	if len(file.Read) == 0 || len(file.Write) == 0 {
		t.Fatal("no vectors")
	}
	for i, r := range file.Read {
		got := read(r.Name, r.Header, file.Now)
		same(t, r.Name, got, r)
		file.Read[i] = got
	}
	for i, w := range file.Write {
		got := w
		got.Header = write(t, w)
		same(t, w.Name, got, w)
		file.Write[i] = got
	}
	if *update {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "\t")
		if err := e.Encode(file); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(wireFile, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func same(t *testing.T, name string, got, want any) {
	t.Helper()
	g, w := marshal(t, got), marshal(t, want)
	if g != w && !*update {
		t.Errorf("%s:\ngot  %s\nwant %s", name, g, w)
	}
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func read(name string, h http.Header, now time.Time) reading {
	r := reading{Name: name, Header: h}
	if a, ok := headers.AttemptOf(h); ok {
		r.Attempt = &attempt{a.N, a.Max, a.ID}
	}
	r.SenderRetries = headers.SenderRetries(h)
	r.TimeoutMs = milliseconds(headers.TimeoutOf(h, now))
	r.AttemptTimeoutMs = milliseconds(headers.AttemptTimeoutOf(h, now))
	if key, ok := headers.IdempotencyKeyOf(h); ok {
		r.IdempotencyKey = &key
	}
	if p, ok := headers.PriorityOf(h); ok {
		r.Priority = &p
	}
	r.RetryAfterMs = milliseconds(headers.RetryAfterOf(h, now))
	r.QueuedMs = milliseconds(headers.QueuedOf(h))
	switch headers.VerdictOf(h) {
	case headers.Retry:
		r.Verdict = "retry"
	case headers.DoNotRetry:
		r.Verdict = "do_not_retry"
	}
	return r
}

func milliseconds(d time.Duration, ok bool) *float64 {
	if !ok {
		return nil
	}
	ms := float64(d) / float64(time.Millisecond)
	return &ms
}

func write(t *testing.T, w writing) http.Header {
	h := http.Header{}
	if w.Attempt != nil {
		h.Set(headers.RetryAttempt, headers.Attempt{N: w.Attempt.N, Max: w.Attempt.Max, ID: w.Attempt.ID}.String())
	}
	if w.TimeoutMs != nil {
		h.Set(headers.RequestTimeoutMs, headers.FormatTimeout(duration(*w.TimeoutMs)))
	}
	if w.IdempotencyKey != nil {
		h.Set(headers.IdempotencyKey, headers.FormatIdempotencyKey(*w.IdempotencyKey))
	}
	if w.RetryAfterMs != nil {
		headers.SetRetryAfter(h, duration(*w.RetryAfterMs))
	}
	if w.QueuedMs != nil {
		h.Set(headers.RequestQueuedMs, headers.FormatTimeout(duration(*w.QueuedMs)))
	}
	switch w.Verdict {
	case "":
	case "retry":
		headers.SetVerdict(h, headers.Retry)
	case "do_not_retry":
		headers.SetVerdict(h, headers.DoNotRetry)
	default:
		t.Errorf("%s: no verdict %q", w.Name, w.Verdict)
	}
	return h
}

func duration(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
