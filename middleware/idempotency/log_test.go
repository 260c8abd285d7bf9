package idempotency_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		o := idempotency.Log(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
			Level:       slog.LevelDebug,
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr { return drop(a, slog.TimeKey) },
		})))
		record := idempotency.RecordKey("ann", "k")
		e := idempotency.Event{
			Outcome: idempotency.OutcomeUnstored, Method: "patch", Record: record, Runs: 2,
			Waited: time.Second, Took: 3 * time.Second, Err: errors.New("away"),
		}
		o.OnKey(t.Context(), e)
		want := `level=WARN msg="evenkeel: idempotency key" outcome=unstored method=PATCH record=` + record[:8] +
			` runs=2 waited=1s took=3s error=away` + "\n"
		if got := out.String(); got != want {
			t.Errorf("got  %swant %s", got, want)
		}
		// Ten lines per second of each outcome, and the next one counts the others.
		out.Reset()
		for range 30 {
			o.OnKey(t.Context(), e)
			o.OnKey(t.Context(), idempotency.Event{Outcome: idempotency.OutcomeReplayed})
		}
		o.OnKey(t.Context(), idempotency.Event{Outcome: idempotency.OutcomeLost})
		for what, want := range map[string]int{"outcome=unstored": 9, "outcome=replayed": 30, "outcome=lost": 1} {
			if got := strings.Count(out.String(), what); got != want {
				t.Errorf("%d lines with %s, want %d", got, what, want)
			}
		}
		out.Reset()
		time.Sleep(time.Second)
		o.OnKey(t.Context(), e)
		if got := out.String(); !strings.Contains(got, "suppressed=21") {
			t.Errorf("got %s, want it to count 21 lines", got)
		}
	})
}

func drop(a slog.Attr, key string) slog.Attr {
	if a.Key == key {
		return slog.Attr{}
	}
	return a
}

// Without a logger there is nothing to call.
func TestLogNothing(t *testing.T) {
	if idempotency.Log(nil).OnKey != nil {
		t.Error("Log(nil) has a hook")
	}
	o := idempotency.Log(slog.New(slog.DiscardHandler))
	o.OnKey(context.Background(), idempotency.Event{Outcome: idempotency.OutcomeUnstored})
}
