package breaker_test

import (
	"bytes"
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
