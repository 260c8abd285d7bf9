package middleware_test

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

// The refusal of a handler on a server that has room passes as it is: how long
// it lasts is for the handler to say.
func TestHandlersOwnRefusalOfAServerWithRoom(t *testing.T) {
	for name, opts := range map[string][]middleware.Option{
		"no gate":     {middleware.WithAttempts(), middleware.WithDeadlines(middleware.Deadlines{Max: time.Minute})},
		"rate":        {middleware.WithRate(middleware.Rate{Quota: middleware.Quota{Requests: 1, Per: time.Hour}}), middleware.WithDryRun()},
		"shedding":    {middleware.WithShedding(middleware.Shedding{})},
		"one slot":    {middleware.WithConcurrency(1)},
		"two slots":   {middleware.WithConcurrency(2)},
		"no limit":    {middleware.WithConcurrency(math.MaxInt)},
		"a dry run":   {middleware.WithConcurrency(1), middleware.WithDryRun()},
		"an idle one": {middleware.WithConcurrency(1), middleware.WithShedding(middleware.Shedding{})},
	} {
		for _, status := range []int{503, 429} {
			h := build(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) }, opts...)
			for range 3 {
				resp := serve(h, "GET")
				for _, field := range []string{"Retry-After", "Retry-After-Ms", "X-Should-Retry"} {
					if got := resp.Header.Get(field); got != "" || resp.StatusCode != status {
						t.Errorf("%s, %d: %s %q, want none", name, resp.StatusCode, field, got)
					}
				}
			}
		}
	}
}

// While the server refuses others, the refusal of a handler says when to come
// back, if it does not itself; a moment after that it is the handler's again.
func TestHandlersOwnRefusalOfAServerShortOfRoom(t *testing.T) {
	for _, tt := range []struct {
		status int
		lines  []string
		added  bool
	}{
		{503, nil, true}, {429, nil, true}, {500, nil, false}, {200, nil, false},
		{503, []string{"Retry-After: 7"}, false}, {429, []string{"Retry-After-Ms: 7"}, false}, {503, []string{"X-Should-Retry: false"}, false},
	} {
		for _, queue := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				opts := []middleware.Option{middleware.WithConcurrency(1)}
				if queue {
					opts = append(opts, middleware.WithShedding(middleware.Shedding{}))
				}
				var h http.Handler
				h = build(t, func(w http.ResponseWriter, r *http.Request) {
					if r.Method == "POST" {
						if resp := serve(h, "GET"); resp.StatusCode != 503 {
							t.Errorf("%d beside a handler that is full, want 503", resp.StatusCode)
						}
					}
					for _, line := range tt.lines {
						name, value, _ := strings.Cut(line, ": ")
						w.Header().Set(name, value)
					}
					w.WriteHeader(tt.status)
				}, opts...)
				resp := serve(h, "POST")
				got := resp.Header.Get("Retry-After") != "" && resp.Header.Get("Retry-After-Ms") != ""
				if got != tt.added || resp.Header.Get("X-Should-Retry") == "true" {
					t.Errorf("%d with %q, queue %v: header %v, want added %v and no claim that it was not begun", tt.status, tt.lines, queue, resp.Header, tt.added)
				}
				time.Sleep(5 * time.Second)
				if resp := serve(h, "GET"); tt.added && resp.Header.Get("Retry-After") != "" {
					t.Errorf("%d, queue %v: Retry-After %s long after the last refusal", tt.status, queue, resp.Header.Get("Retry-After"))
				}
			})
		}
	}
}

// With somebody waiting, or the last slot taken beside others, there is no room
// for a retry either.
func TestHandlersOwnRefusalOfAServerAtItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "POST" {
				time.Sleep(time.Second)
			}
			w.WriteHeader(503)
		}, middleware.WithConcurrency(2))
		go serve(h, "POST")
		synctest.Wait()
		if got := serve(h, "GET").Header.Get("Retry-After"); got == "" {
			t.Error("no Retry-After with both slots taken")
		}
		time.Sleep(2 * time.Second)
	})
}

// A dry run changes no answer.
func TestHandlersOwnRefusalInADryRun(t *testing.T) {
	var h http.Handler
	h = build(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			serve(h, "GET") // one that would be refused
		}
		w.WriteHeader(503)
	}, middleware.WithConcurrency(1), middleware.WithDryRun())
	if got := serve(h, "POST").Header.Get("Retry-After"); got != "" {
		t.Errorf("Retry-After %q, want none", got)
	}
}
