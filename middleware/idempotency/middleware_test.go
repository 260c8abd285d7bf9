package idempotency_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/middleware/idempotency"
)

// pay is a handler that charges each time it is called.
type pay struct{ runs int }

func (p *pay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.runs++
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Location", "/payments/"+strconv.Itoa(p.runs))
	w.Header().Set("Set-Cookie", "session=secret")
	w.Header().Set("X-Request-Id", strconv.Itoa(p.runs))
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"run":%d,"body":%q}`, p.runs, body)
}

// Each row is what one request gets that the handler does not answer.
func TestWhatRequestsGet(t *testing.T) {
	const docs = "https://example.com/keys"
	for _, tt := range []struct {
		name    string
		before  func(t *testing.T, k *kit, s *faulty)
		request *http.Request
		opts    []idempotency.Option

		status  int
		outcome idempotency.Outcome
		problem string // "" if it is no problem
		verdict headers.Verdict
		wait    time.Duration // at most
		runs    int           // of the handler, with those before
	}{
		{
			name:    "first",
			request: request("k", "{}"),
			status:  201, outcome: idempotency.OutcomeFirst, runs: 1,
		}, {
			name:    "no key, and none required",
			request: request("", "{}"),
			status:  201, runs: 1,
		}, {
			name:    "key missing where required",
			request: request("", "{}"), opts: []idempotency.Option{idempotency.Required(everything)},
			status: 400, outcome: idempotency.OutcomeKeyMissing, problem: "key-missing",
		}, {
			name:    "empty key",
			request: request("", "{}", "Idempotency-Key", ""),
			status:  400, outcome: idempotency.OutcomeKeyInvalid, problem: "key-invalid",
		}, {
			name:    "empty key in quotes",
			request: request(`""`, "{}"),
			status:  400, outcome: idempotency.OutcomeKeyInvalid, problem: "key-invalid",
		}, {
			name:    "key of 256 characters",
			request: request(strings.Repeat("x", 256), "{}"),
			status:  400, outcome: idempotency.OutcomeKeyInvalid, problem: "key-invalid",
		}, {
			name:    "key of 255 characters",
			request: request(strings.Repeat("x", 255), "{}"),
			status:  201, outcome: idempotency.OutcomeFirst, runs: 1,
		}, {
			name:    "key that is not printable",
			request: request("k\x01", "{}"),
			status:  400, outcome: idempotency.OutcomeKeyInvalid, problem: "key-invalid",
		}, {
			name:    "two keys",
			request: request("k", "{}", "Idempotency-Key", "l"),
			status:  400, outcome: idempotency.OutcomeKeyInvalid, problem: "key-invalid",
		}, {
			name:    "the same key twice",
			request: request("k", "{}", "Idempotency-Key", "k"),
			status:  400, outcome: idempotency.OutcomeKeyInvalid, problem: "key-invalid",
		}, {
			name:    "another key in the older header",
			request: request("k", "{}", "X-Idempotency-Key", "l"),
			status:  400, outcome: idempotency.OutcomeKeyInvalid, problem: "key-invalid",
		}, {
			name:    "the same key in the older header",
			request: request(`"k"`, "{}", "X-Idempotency-Key", "k"),
			status:  201, outcome: idempotency.OutcomeFirst, runs: 1,
		}, {
			name:    "no caller",
			request: func() *http.Request { r := request("k", "{}"); r.Header.Del("X-Caller"); return r }(),
			status:  401, outcome: idempotency.OutcomeNoCaller, problem: "no-caller",
		}, {
			name:    "same key, another body",
			before:  func(_ *testing.T, k *kit, _ *faulty) { k.do(request("k", `{"amount":1}`)) },
			request: request("k", `{"amount":2}`),
			status:  422, outcome: idempotency.OutcomeKeyReused, problem: "key-reused", verdict: headers.DoNotRetry, runs: 1,
		}, {
			name: "in flight",
			before: func(t *testing.T, _ *kit, s *faulty) {
				claim(t, s, "k", "{}", time.Minute)
			},
			request: request("k", "{}"),
			status:  409, outcome: idempotency.OutcomeInProgress, problem: "in-progress", verdict: headers.Retry, wait: 2 * time.Second,
		}, {
			name: "in flight, and the lease is nearly over",
			before: func(t *testing.T, _ *kit, s *faulty) {
				claim(t, s, "k", "{}", 300*time.Millisecond)
			},
			request: request("k", "{}"), opts: []idempotency.Option{idempotency.Lease(time.Second)},
			status: 409, outcome: idempotency.OutcomeInProgress, problem: "in-progress", verdict: headers.Retry, wait: 300 * time.Millisecond,
		}, {
			name: "died in between",
			before: func(t *testing.T, _ *kit, s *faulty) {
				claim(t, s, "k", "{}", 0)
			},
			request: request("k", "{}"),
			status:  500, outcome: idempotency.OutcomeUnknown, problem: "outcome-unknown", verdict: headers.DoNotRetry,
		}, {
			name: "died in between, resumed",
			before: func(t *testing.T, _ *kit, s *faulty) {
				claim(t, s, "k", "{}", 0)
			},
			request: request("k", "{}"), opts: []idempotency.Option{idempotency.Resume(everything)},
			status: 201, outcome: idempotency.OutcomeResumed, runs: 1,
		}, {
			name:    "done but not kept",
			before:  func(_ *testing.T, k *kit, _ *faulty) { k.do(request("k", "{}")) },
			request: request("k", "{}"), opts: []idempotency.Option{idempotency.MaxBody(100, 1)},
			status: 409, outcome: idempotency.OutcomeNotKept, problem: "answer-not-kept", verdict: headers.DoNotRetry, runs: 1,
		}, {
			name:    "body over the limit",
			request: request("k", "123456"), opts: []idempotency.Option{idempotency.MaxBody(5, 100)},
			status: 413, outcome: idempotency.OutcomeBodyTooLarge, problem: "body-too-large",
		}, {
			name: "body over the limit of a layer outside",
			request: func() *http.Request {
				r := request("k", "123456")
				r.Body = http.MaxBytesReader(nil, r.Body, 5)
				return r
			}(),
			status: 413, outcome: idempotency.OutcomeBodyTooLarge, problem: "body-too-large",
		}, {
			name:    "body of unknown length over the limit",
			request: func() *http.Request { r := request("k", "123456"); r.ContentLength = -1; return r }(), opts: []idempotency.Option{idempotency.MaxBody(5, 100)},
			status: 413, outcome: idempotency.OutcomeBodyTooLarge, problem: "body-too-large",
		}, {
			name:    "body at the limit",
			request: request("k", "12345"), opts: []idempotency.Option{idempotency.MaxBody(5, 100)},
			status: 201, outcome: idempotency.OutcomeFirst, runs: 1,
		}, {
			name: "body that ends early",
			request: func() *http.Request {
				r := request("k", "")
				r.Body = io.NopCloser(brokenReader{})
				r.ContentLength = 5
				return r
			}(),
			status: 400, outcome: idempotency.OutcomeBodyUnreadable, problem: "body-unreadable",
		}, {
			name:    "store away",
			before:  func(_ *testing.T, _ *kit, s *faulty) { s.begin = away },
			request: request("k", "{}"),
			status:  503, outcome: idempotency.OutcomeStoreUnavailable, problem: "store-unavailable", verdict: headers.Retry, wait: time.Second,
		}, {
			name:    "store away, open",
			before:  func(_ *testing.T, _ *kit, s *faulty) { s.begin = away },
			request: request("k", "{}"), opts: []idempotency.Option{idempotency.FailOpen()},
			status: 201, outcome: idempotency.OutcomeUnguarded, runs: 1,
		}, {
			name: "a foreign answer in the store",
			before: func(t *testing.T, _ *kit, s *faulty) {
				c := claim(t, s, "k", "{}", time.Minute)
				if err := s.Store.Finish(t.Context(), c.Hold, idempotency.Answer{Body: []byte("?")}); err != nil {
					t.Fatal(err)
				}
			},
			request: request("k", "{}"),
			status:  503, outcome: idempotency.OutcomeStoreUnavailable, problem: "store-unavailable", verdict: headers.Retry, wait: time.Second,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store, handler := &faulty{Store: idempotency.NewMemory(0)}, new(pay)
			k := newKit(t, store, handler.ServeHTTP, append(tt.opts, idempotency.DocsURL(docs))...)
			if tt.before != nil {
				tt.before(t, k, store)
			}
			before := k.seen()
			resp := k.do(tt.request)
			if tt.outcome == "" {
				if k.seen() != 0 || resp.StatusCode != tt.status {
					t.Errorf("got %d and %d events, want %d and none", resp.StatusCode, k.seen(), tt.status)
				}
				return
			}
			k.expect("answer", resp, tt.status, tt.outcome)
			if got := k.seen() - before; got != 1 {
				t.Errorf("%d events, want 1", got)
			}
			if handler.runs != tt.runs {
				t.Errorf("the handler ran %d times, want %d", handler.runs, tt.runs)
			}
			if got := headers.VerdictOf(resp.Header); got != tt.verdict {
				t.Errorf("verdict %v, want %v", got, tt.verdict)
			}
			wait, waits := headers.RetryAfterOf(resp.Header, time.Now())
			if waits != (tt.wait > 0) || wait > tt.wait {
				t.Errorf("Retry-After %v, %t; want at most %v", wait, waits, tt.wait)
			}
			if tt.problem != "" {
				checkProblem(t, resp, docs, tt.problem)
			}
		})
	}
}

type brokenReader struct{}

func (brokenReader) Read(p []byte) (int, error) { return copy(p, "12"), io.ErrUnexpectedEOF }

func checkProblem(t *testing.T, resp *http.Response, docs, want string) {
	t.Helper()
	if got := resp.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type %q", got)
	}
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	if err := json.Unmarshal([]byte(bodyOf(t, resp)), &p); err != nil {
		t.Fatal(err)
	}
	if p.Type != docs+"#"+want || p.Status != resp.StatusCode || p.Title != http.StatusText(resp.StatusCode) || p.Detail == "" {
		t.Errorf("got the problem %+v, want the type %s", p, docs+"#"+want)
	}
	if got, want := resp.Header.Get("Link"), "<"+docs+`>; rel="describedby"`; want != got {
		t.Errorf("Link %q, want %q", got, want)
	}
	if resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("header %v, want no-store and nosniff", resp.Header)
	}
	if want == "answer-not-kept" && resp.Header.Get("Location") != "/payments/1" {
		t.Errorf("Location %q, want that of the first answer", resp.Header.Get("Location"))
	}
}

// claim has another process claim the key of the request, and leave it.
func claim(t *testing.T, s *faulty, key, body string, lease time.Duration) idempotency.Claim {
	t.Helper()
	var got idempotency.Claim
	spy := &claims{Store: s.Store}
	k := newKit(t, spy, func(http.ResponseWriter, *http.Request) {})
	k.do(request(key, body))
	got = spy.claim
	if err := s.Store.Release(t.Context(), got.Hold); err != nil {
		t.Fatal(err)
	}
	got.Lease = lease
	if _, err := s.Store.Begin(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	return got
}
