package breaker_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker"
)

// All observers are told, in the order in which they were given.
func TestObservers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		tell := func(who string) breaker.Option {
			return breaker.WithObserver(breaker.Observer{OnStateChange: func(c breaker.StateChange) {
				told = append(told, who+" "+c.To.String())
			}})
		}
		b := &backend{}
		b.set(500)
		rt := newSet(t, breaker.WithTripRatio(0.5, 1), tell("first"), breaker.WithObserver(breaker.Observer{}), tell("second")).Wrap(b)
		send(t, rt, 1)
		if want := []string{"first open", "second open"}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}

// A change that an observer causes is told after the change that it was told.
func TestObserverThatCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		var rt http.RoundTripper
		b := &backend{}
		b.set(500)
		rt = newSet(t, breaker.WithTripRatio(0.5, 1), breaker.WithObserver(breaker.Observer{OnStateChange: func(c breaker.StateChange) {
			told = append(told, "begin "+c.To.String())
			if c.To == breaker.StateOpen {
				b.set(200)
				time.Sleep(c.OpenFor)
				send(t, rt, 1) // the probe that closes it
			}
			told = append(told, "end "+c.To.String())
		}})).Wrap(b)
		send(t, rt, 1)
		want := []string{"begin open", "end open", "begin half-open", "end half-open", "begin closed", "end closed"}
		if !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}

func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		noTime := func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
		logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: noTime}))
		b := &backend{}
		rt := newSet(t, breaker.WithTripRatio(0.5, 1), breaker.WithOpenFor(5*time.Second),
			breaker.WithObserver(breaker.Log(nil)), breaker.WithObserver(breaker.Log(logger))).Wrap(b)
		b.set(500)
		send(t, rt, 1)
		time.Sleep(5 * time.Second)
		b.set(200)
		send(t, rt, 1)
		got := strings.Split(strings.TrimSpace(out.String()), "\n")
		want := []string{
			`level=WARN msg="evenkeel: circuit open" service=api.test from=closed open_for=5s`,
			`level=DEBUG msg="evenkeel: circuit half-open" service=api.test from=open`,
			`level=INFO msg="evenkeel: circuit closed" service=api.test from=half-open`,
		}
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// What is isolated by hand is told when it begins and when it ends, once, whatever the
// circuit does meanwhile.
func TestIsolationIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		var told []string
		b := &backend{}
		b.set(500)
		set := newSet(t, breaker.WithTripRatio(0.5, 1), breaker.WithOpenFor(time.Hour),
			breaker.WithObserver(breaker.Log(slog.New(slog.NewTextHandler(&out, nil)))),
			breaker.WithObserver(breaker.Observer{OnStateChange: func(c breaker.StateChange) {
				told = append(told, fmt.Sprintf("%s %v>%v %v %v", c.Service, c.From, c.To, c.OpenFor, c.ByHand))
			}}))
		rt := set.Wrap(b)
		check := func(when string, want ...string) {
			t.Helper()
			if !slices.Equal(told, want) {
				t.Errorf("%s: told %q, want %q", when, told, want)
			}
			told = nil
		}
		set.Release("api.test")
		check("released before")
		set.Isolate("API.test:80", time.Minute)
		check("isolated", "api.test closed>open 1m0s true")
		set.Isolate("api.test", 2*time.Minute)
		send(t, rt, 1)
		check("isolated for longer")
		set.Release("api.test")
		set.Release("api.test")
		check("released", "api.test open>closed 0s true")
		send(t, rt, 1)
		check("failed", "api.test closed>open 1h0m0s false")
		set.Isolate("api.test", time.Minute)
		check("isolated while open", "api.test open>open 1m0s true")
		set.Isolate("b.test", time.Second)
		check("another", "b.test closed>open 1s true")
		time.Sleep(time.Second)
		send(t, rt, 1)
		check("the other is over", "b.test open>closed 0s true")
		time.Sleep(59 * time.Second)
		send(t, rt, 2)
		check("over", "api.test open>open 0s true")
		if got := out.String(); strings.Count(got, "by_hand=true") != 6 || !strings.Contains(got, `level=WARN msg="evenkeel: circuit open" service=api.test from=closed open_for=1m0s by_hand=true`) {
			t.Errorf("logged\n%s", got)
		}
	})
}
