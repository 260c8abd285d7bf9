package transport_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/transport"
	"github.com/datapunk/evenkeel/transport/transporttest"
	"github.com/hashicorp/go-retryablehttp"
)

func send(t *testing.T, rt http.RoundTripper) *http.Response {
	t.Helper()
	resp, err := rt.RoundTrip(get(t, t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

// Twenty chains over twenty bases spend no more than one chain does.
func TestWrappedChainsHaveOneBudget(t *testing.T) {
	retries := func(chains int) (n int) {
		synctest.Test(t, func(t *testing.T) {
			s := &script{answers: statuses(500)}
			root := build(t, s, quick)
			all := []http.RoundTripper{root}
			for len(all) < chains {
				all = append(all, root.Wrap(&script{answers: statuses(500)}))
			}
			for i := range 100 {
				resp := send(t, all[i%chains])
				call, _ := transport.CallOf(resp)
				n += call.Attempts - 1
			}
		})
		return n
	}
	if one, twenty := retries(1), retries(20); one == 0 || twenty > one {
		t.Errorf("%d retries of twenty chains, want the %d of one", twenty, one)
	}
}

// What is changed or learnt through one chain holds for the others.
func TestWrappedChainsShareTheirState(t *testing.T) {
	type chains struct{ root, wrapped *transport.Transport }
	over := func(t *testing.T, base http.RoundTripper, opts ...transport.Option) chains {
		t.Helper()
		root := build(t, base, opts...)
		wrapped, ok := root.Wrap(transport.RoundTripperFunc(base.RoundTrip)).(*transport.Transport)
		if !ok {
			t.Fatal("Wrap did not return a Transport")
		}
		return chains{root, wrapped}
	}
	t.Run("policies", func(t *testing.T) {
		s := &script{answers: statuses(503)}
		c := over(t, s, unlimited(), quick)
		for i, set := range []*transport.Transport{c.root, c.wrapped} {
			other := []*transport.Transport{c.wrapped, c.root}[i]
			if err := set.SetPolicy("api.test", transport.Policy{MaxAttempts: 5 + i, BaseDelay: 1, MaxDelay: 1}); err != nil {
				t.Fatal(err)
			}
			if call, _ := transport.CallOf(send(t, other)); call.Attempts != 5+i {
				t.Errorf("%d attempts, want the %d of the policy that was set through the other chain", call.Attempts, 5+i)
			}
		}
	})
	t.Run("circuits", func(t *testing.T) {
		circuits, err := breaker.New(breaker.WithTripRatio(0.5, 5))
		if err != nil {
			t.Fatal(err)
		}
		s := &script{answers: statuses(500)}
		c := over(t, s, unlimited(), transport.WithBreaker(circuits.Wrap), transport.WithPolicy(transport.Policy{MaxAttempts: 1}))
		for range 20 {
			c.root.RoundTrip(get(t, t.Context()))
		}
		sent := len(s.seen)
		if _, err := c.wrapped.RoundTrip(get(t, t.Context())); !errors.Is(err, breaker.ErrOpen) || len(s.seen) != sent {
			t.Errorf("%v with %d attempts, want the open circuit of the other chain and none", err, len(s.seen)-sent)
		}
	})
	t.Run("guard", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := over(t, transport.RoundTripperFunc(hangs), unlimited(), transport.WithPolicy(hasty))
			overload(t, c.root)
			if a, b := c.root.GuardState("api.test"), c.wrapped.GuardState("api.test"); !a.Engaged || a != b {
				t.Errorf("guards %+v and %+v, want the same one engaged", a, b)
			}
			for n := 0; ; n++ { // until the window is shut and no probe is due
				if _, err := c.wrapped.RoundTrip(get(t, t.Context())); isGuarded(err) {
					break
				}
				if n == 20 {
					t.Fatal("through the other chain: no GuardError")
				}
			}
		})
	})
	t.Run("latencies", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			slow := false
			base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				if d := 10 * time.Millisecond; slow && transport.Attempt(req.Context()) == 1 {
					if !sleepFor(req, 100*d) {
						return nil, req.Context().Err()
					}
				} else if !sleepFor(req, d) {
					return nil, req.Context().Err()
				}
				return answering(200)(req)
			})
			c := over(t, base, unlimited(), transport.WithHedging(transport.Hedge{Ratio: 0.1}))
			for range 300 {
				send(t, c.root)
			}
			slow = true
			if call, _ := transport.CallOf(send(t, c.wrapped)); call.Attempts != 2 {
				t.Errorf("%d attempts, want a second copy after the latency that the other chain saw", call.Attempts)
			}
		})
	})
	t.Run("observers and keys", func(t *testing.T) {
		var told told
		s := &script{answers: statuses(503, 200)}
		c := over(t, s, unlimited(), quick, told.option(), transport.WithIdempotencyKeys())
		req := get(t, t.Context())
		req.Method = "POST"
		resp, err := c.wrapped.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if len(told.calls) != 1 || len(told.attempts) != 2 {
			t.Errorf("told of %d calls and %d attempts, want 1 and 2", len(told.calls), len(told.attempts))
		}
	})
}

func isGuarded(err error) bool {
	var held *transport.GuardError
	return errors.As(err, &held)
}

func sleepFor(req *http.Request, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-req.Context().Done():
		return false
	}
}

// Layers are put around each base, in the same order.
func TestWrapAppliesTheLayersAgain(t *testing.T) {
	var log []string
	named := func(name string) transport.Middleware {
		return layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			log = append(log, name)
			return next.RoundTrip(req)
		})
	}
	root := build(t, answering(200),
		transport.WithCallLayer(named("call")), transport.WithBreaker(named("breaker")), transport.WithAttemptLayer(named("attempt 1"), named("attempt 2")))
	send(t, root.Wrap(transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		log = append(log, "base")
		return answering(200)(req)
	})))
	if got, want := fmt.Sprint(log), "[call breaker attempt 1 attempt 2 base]"; got != want {
		t.Errorf("passed %s, want %s", got, want)
	}
}

// A nil base is that of New.
func TestWrapOfNil(t *testing.T) {
	s := &script{answers: statuses(204)}
	c := retryablehttp.NewClient()
	c.HTTPClient = &http.Client{Transport: s}
	opts, err := transport.FromClient(c)
	if err != nil {
		t.Fatal(err)
	}
	if resp := send(t, build(t, answering(200), opts...).Wrap(nil)); resp.StatusCode != 204 {
		t.Errorf("status %d, want the 204 of the client's own transport", resp.StatusCode)
	}
}

// What cannot be wrapped says so when it is used, and closes the body.
func TestWrapThatCannotBe(t *testing.T) {
	var none *transport.Transport
	times := 0
	moody := func(next http.RoundTripper) http.RoundTripper {
		if times++; times > 1 {
			return nil
		}
		return next
	}
	for name, tt := range map[string]struct {
		root *transport.Transport
		want string
	}{
		"nil":                {none, "was not made by New"},
		"zero":               {new(transport.Transport), "was not made by New"},
		"a layer that fails": {build(t, answering(200), transport.WithAttemptLayer(moody)), "WithAttemptLayer: middleware 1 of 1 returned nil"},
	} {
		t.Run(name, func(t *testing.T) {
			body := &source{Reader: strings.NewReader("hello")}
			client := &http.Client{Transport: tt.root.Wrap(answering(200))}
			req := put(t, body)
			if _, err := client.Do(req); err == nil || !strings.Contains(err.Error(), tt.want) || body.closes.Load() != 1 {
				t.Errorf("%v, and %d closes of the body; want %q and one", err, body.closes.Load(), tt.want)
			}
			client.CloseIdleConnections()
		})
	}
}

// CloseIdleConnections is for the chain's own base.
func TestWrapForwardsCloseIdleConnections(t *testing.T) {
	var first, second idler
	root := build(t, &first)
	wrapped := root.Wrap(&second)
	(&http.Client{Transport: wrapped}).CloseIdleConnections()
	if first.closed != 0 || second.closed != 1 {
		t.Errorf("closed %d and %d times, want 0 and 1", first.closed, second.closed)
	}
}

// A chain inside of itself makes the attempts of one chain, whatever lies
// between the two.
func TestChainInsideOfItself(t *testing.T) {
	rewriting := layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		req = req.Clone(req.Context())
		req.URL.Host, req.URL.RawQuery = "replica.test", "key=1"
		req.Header.Set("X-Signed", "1")
		return next.RoundTrip(req)
	})
	for name, nest := range map[string]func(root *transport.Transport, base http.RoundTripper) http.RoundTripper{
		"itself": func(root *transport.Transport, _ http.RoundTripper) http.RoundTripper { return root.Wrap(root) },
		"its own wrap": func(root *transport.Transport, base http.RoundTripper) http.RoundTripper {
			return root.Wrap(root.Wrap(base))
		},
		"the wrap of a wrap": func(root *transport.Transport, base http.RoundTripper) http.RoundTripper {
			return root.Wrap(base).(*transport.Transport).Wrap(root)
		},
		"a layer between": func(root *transport.Transport, _ http.RoundTripper) http.RoundTripper {
			return root.Wrap(layered(root))
		},
		"one that rewrites": func(root *transport.Transport, _ http.RoundTripper) http.RoundTripper {
			return root.Wrap(rewriting(root))
		},
		"three, with layers": func(root *transport.Transport, base http.RoundTripper) http.RoundTripper {
			return root.Wrap(layered(root.Wrap(layered(root.Wrap(base)))))
		},
		"a default transport": func(root *transport.Transport, _ http.RoundTripper) http.RoundTripper {
			return root.Wrap(&http.Transport{}).(*transport.Transport).Wrap(layered(root))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var told told
			s := &script{answers: statuses(503)}
			root := build(t, s, unlimited(), quick, told.option(), transport.WithAttemptLayer(layered), transport.WithCallLayer(layered))
			inFlight := 0
			s2 := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				inFlight = max(inFlight, root.GuardState("api.test").InFlight)
				return s.RoundTrip(req)
			})
			body := &source{Reader: strings.NewReader("hello")}
			resp, err := nest(root, s2).RoundTrip(put(t, body))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if len(s.seen) != 3 || slices.Contains(s.bodies, "") || body.closes.Load() != 1 || inFlight > 1 {
				t.Errorf("%d attempts with the bodies %q, closed %d times, %d in flight to the guard; want 3, whole, once, 1", len(s.seen), s.bodies, body.closes.Load(), inFlight)
			}
			if len(told.calls) != 1 || len(told.attempts) != 3 {
				t.Errorf("told of %d calls and %d attempts, want 1 and 3", len(told.calls), len(told.attempts))
			}
		})
	}
}

// A request that a layer makes for itself, with the context of an attempt, is
// a call of its own.
func TestCallForAnAttempt(t *testing.T) {
	s := &script{answers: statuses(503, 200, 200)}
	var root *transport.Transport
	root = build(t, s, unlimited(), quick, transport.WithAttemptLayer(layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		if req.URL.Path == "/token" {
			return next.RoundTrip(req)
		}
		token, err := http.NewRequestWithContext(req.Context(), "GET", "http://login.test/token", nil)
		if err != nil {
			return nil, err
		}
		resp, err := root.RoundTrip(token)
		if err != nil {
			return nil, err
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			return nil, errors.New("no token")
		}
		return next.RoundTrip(req)
	})))
	if resp := send(t, root.Wrap(s)); resp.StatusCode != 200 || len(s.seen) != 3 {
		t.Errorf("status %d after %d requests, want 200 after 3: two for the token, since the first failed", resp.StatusCode, len(s.seen))
	}
}

// A wrapped chain keeps the contract, also inside of itself.
func TestContractOfWrap(t *testing.T) {
	transporttest.Run(t, func(base http.RoundTripper) http.RoundTripper {
		root := build(t, http.DefaultTransport, quick)
		return root.Wrap(transport.Chain(root.Wrap(base), layered))
	})
}
