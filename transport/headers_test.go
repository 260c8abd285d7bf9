package transport_test

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/transport"
)

// The first attempt and the others have the same id.
func TestAttemptsShareAnID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &script{answers: statuses(503)}
		rt := build(t, base, unlimited(), transport.WithPolicy(transport.Policy{AttemptTimeout: time.Second}))
		if _, err := rt.RoundTrip(get(t, t.Context())); err != nil {
			t.Fatal(err)
		}
		for i, req := range base.seen {
			first, _ := headers.AttemptOf(base.seen[0].Header)
			a, _ := headers.AttemptOf(req.Header)
			if want := (headers.Attempt{N: i + 1, Max: 3, ID: first.ID}); a != want || a.ID == "" {
				t.Errorf("attempt %d announces %+v, want %+v", i+1, a, want)
			}
		}
	})
}

func TestRetryAttemptTellsAttemptMaximumAndCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &script{answers: statuses(503)}
		rt := build(t, base, unlimited(), transport.WithPolicy(transport.Policy{MaxAttempts: 4}))
		for range 2 {
			if _, err := rt.RoundTrip(get(t, t.Context())); err != nil {
				t.Fatal(err)
			}
		}
		ids := map[string]int{}
		for i, req := range base.seen {
			n := i%4 + 1
			value, sent := req.Header["Retry-Attempt"]
			if n == 1 {
				if sent {
					t.Errorf("attempt 1 announces %q, want nothing", value)
				}
				continue
			}
			a, ok := headers.AttemptOf(http.Header{"Retry-Attempt": value})
			if !ok || a.N != n || a.Max != 4 || a.ID == "" {
				t.Errorf("attempt %d announces %q, want its number, max=4 and an id", n, value)
			}
			ids[a.ID]++
		}
		if len(ids) != 2 || slices.ContainsFunc(slices.Collect(maps.Values(ids)), func(n int) bool { return n != 3 }) {
			t.Errorf("ids of two calls = %v, want two, on 3 attempts each", ids)
		}
	})
}

// The first attempt announces itself beside a time, if the chain may retry it.
func TestFirstAttemptAnnouncesItself(t *testing.T) {
	limit := transport.Policy{MaxAttempts: 4, AttemptTimeout: time.Second}
	inbound := func(attempt int) func(context.Context) context.Context {
		return func(ctx context.Context) context.Context {
			return headers.WithHop(ctx, &headers.Hop{Attempt: attempt})
		}
	}
	for _, tt := range []struct {
		name   string
		policy transport.Policy
		dryRun bool
		ctx    func(context.Context) context.Context
		own    http.Header
		want   []string
	}{
		{name: "with a limit for attempts", policy: limit, want: []string{"1;max=4"}},
		{name: "with a deadline", policy: transport.Policy{MaxAttempts: 12}, ctx: within(time.Minute), want: []string{"1;max=12"}},
		{name: "with both", policy: limit, ctx: within(time.Minute), want: []string{"1;max=4"}},
		{name: "without a time", policy: transport.Policy{MaxAttempts: 4}},
		{name: "one attempt", policy: transport.Policy{MaxAttempts: 1, AttemptTimeout: time.Second}},
		{name: "a dry run", policy: limit, dryRun: true},
		{name: "a number of the caller's", policy: limit, own: http.Header{"Retry-Attempt": {"7"}}, want: []string{"7"}},
		{name: "not to be sent", policy: limit, own: http.Header{"Retry-Attempt": nil}},
		{name: "below an SDK that retries", policy: limit, own: http.Header{"Amz-Sdk-Request": {"attempt=1; max=3"}}},
		{name: "below an SDK that does not", policy: limit, own: http.Header{"Amz-Sdk-Request": {"attempt=1; max=1"}}, want: []string{"1;max=4"}},
		{name: "for a retry of its client", policy: limit, ctx: inbound(2)},
		{name: "for a first attempt of its client", policy: limit, ctx: inbound(1), want: []string{"1;max=4"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opts := []transport.Option{unlimited(), transport.WithPolicy(tt.policy)}
				if tt.dryRun {
					opts = append(opts, transport.WithDryRun())
				}
				ctx := t.Context()
				if tt.ctx != nil {
					ctx = tt.ctx(ctx)
				}
				req := get(t, ctx)
				maps.Copy(req.Header, tt.own)
				before := req.Header.Clone()
				base := &script{answers: statuses(200)}
				if _, err := build(t, base, opts...).RoundTrip(req); err != nil {
					t.Fatal(err)
				}
				got := base.seen[0].Header["Retry-Attempt"]
				if a, ok := headers.AttemptOf(base.seen[0].Header); ok && len(got) > 0 && len(tt.own["Retry-Attempt"]) == 0 {
					if a.ID == "" || a.N != 1 {
						t.Errorf("it announces %q, want an id", got)
					}
					value, _, _ := strings.Cut(got[0], ";id=")
					got = []string{value}
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("the first attempt announces %q, want %q", got, tt.want)
				}
				if !maps.EqualFunc(req.Header, before, slices.Equal) {
					t.Errorf("the caller's header is now %v, want %v", req.Header, before)
				}
			})
		})
	}
}

func TestIdempotencyKeyOncePerCall(t *testing.T) {
	for _, method := range []string{"POST", "PATCH", "PUT", "GET", "DELETE", ""} {
		synctest.Test(t, func(t *testing.T) {
			base := &script{answers: statuses(503)}
			rt := build(t, base, unlimited(), transport.WithIdempotencyKeys())
			keys := map[string]int{}
			for range 2 {
				req := get(t, t.Context())
				req.Method = method
				if _, err := rt.RoundTrip(req); err != nil {
					t.Fatal(err)
				}
				if len(req.Header) != 0 {
					t.Errorf("%s: the caller's header is now %v", method, req.Header)
				}
			}
			for _, req := range base.seen {
				if v, ok := req.Header["Idempotency-Key"]; ok {
					key, ok := headers.ParseIdempotencyKey(strings.Join(v, ","))
					if !ok || len(key) < 16 || v[0] != strconv.Quote(key) {
						t.Errorf("%s: key %q, want a quoted string of some length", method, v)
					}
					keys[key]++
				}
			}
			want := 0
			if method == "POST" || method == "PATCH" {
				want = 2
			}
			if len(keys) != want || len(base.seen) != 6 {
				t.Errorf("%q: keys %v over %d attempts, want %d keys over 6", method, keys, len(base.seen), want)
			}
			for key, n := range keys {
				if n != 3 {
					t.Errorf("%s: key %s on %d attempts, want all 3 of its call", method, key, n)
				}
			}
		})
	}
}

// Headers of the caller stay, except times, which may be lowered. Their map is never
// written to.
func TestCallersHeadersStay(t *testing.T) {
	for _, own := range []http.Header{
		{},
		{"Retry-Attempt": {"7"}},
		{"Retry-Attempt": nil},
		{"Request-Timeout-Ms": {"0"}, "Retry-Attempt": {"1", "2"}},
		{"Request-Timeout-Ms": nil, "Request-Attempt-Timeout-Ms": {}}, // not to be sent
		{"Idempotency-Key": {"mine"}},
		{"Idempotency-Key": {}}, // as net/http has it: safe to repeat, and no key sent
		{"X-Idempotency-Key": {"mine"}, "Accept": {"a", "b"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			base := &script{answers: statuses(503)}
			rt := build(t, base, unlimited(), transport.WithIdempotencyKeys(), transport.WithPolicy(transport.Policy{AttemptTimeout: time.Second}))
			req := get(t, ctx)
			req.Method, req.Header = "POST", own.Clone()
			before := *req
			if _, err := rt.RoundTrip(req); err != nil {
				t.Fatal(err)
			}
			if !maps.EqualFunc(req.Header, own, slices.Equal) || req.Method != before.Method || req.Body != before.Body || req.Context() != ctx {
				t.Errorf("the caller's request changed: header %v, want %v", req.Header, own)
			}
			want := 3
			if headers.SenderRetries(own) {
				want = 1
			}
			if len(base.seen) != want {
				t.Fatalf("%v: %d attempts, want %d", own, len(base.seen), want)
			}
			for i, sent := range base.seen {
				for name, want := range own {
					if got := sent.Header[name]; !slices.Equal(got, want) {
						t.Errorf("attempt %d sends %s %q, want the caller's %q", i+1, name, got, want)
					}
				}
				_, other := own["X-Idempotency-Key"]
				if _, has := sent.Header["Idempotency-Key"]; has == other {
					t.Errorf("attempt %d of %v has an Idempotency-Key: %v", i+1, own, has)
				}
			}
		})
	}
}

// Values of one attempt must not show up in the headers of another.
func TestAttemptsDoNotShareHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &script{answers: statuses(503)}
		rt := build(t, base, unlimited())
		if _, err := rt.RoundTrip(get(t, t.Context())); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, req := range base.seen {
			v, _, _ := strings.Cut(req.Header.Get("Retry-Attempt"), ";")
			got = append(got, v)
		}
		if want := []string{"", "2", "3"}; !slices.Equal(got, want) {
			t.Errorf("after the call the attempts hold %q, want %q", got, want)
		}
	})
}
