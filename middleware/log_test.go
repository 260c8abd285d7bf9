package middleware_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

func logged(level slog.Level, run func(log middleware.Observer)) []string {
	var buf bytes.Buffer
	run(middleware.Log(slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: level}))))
	return strings.Split(strings.TrimSuffix(buf.String(), "\n"), "\n")
}

func TestLogLevels(t *testing.T) {
	tests := []struct {
		event middleware.Event
		want  string
	}{
		{middleware.Event{Status: 200}, `level=DEBUG msg="evenkeel: request" `},
		{middleware.Event{Status: 503, Shed: middleware.ShedConcurrency}, `level=WARN msg="evenkeel: request shed" `},
		{middleware.Event{Status: 200, Shed: middleware.ShedConcurrency, DryRun: true}, `level=INFO msg="evenkeel: request would have been shed" `},
	}
	for _, tt := range tests {
		got := logged(slog.LevelDebug, func(log middleware.Observer) { log.OnRequest(t.Context(), tt.event) })
		if len(got) != 1 || !strings.Contains(got[0], tt.want) {
			t.Errorf("%+v: %q, want %q", tt.event, got, tt.want)
		}
		if shed := tt.event.Shed; shed != "" && !strings.Contains(got[0], "reason="+string(shed)) {
			t.Errorf("%+v: %q, want the reason", tt.event, got)
		}
	}
}

// A server that sheds must not spend on lines what it saves on work.
func TestLogInAStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := logged(slog.LevelInfo, func(log middleware.Observer) {
			for range 10_000 {
				log.OnRequest(t.Context(), middleware.Event{Shed: middleware.ShedConcurrency, Status: 503})
			}
			log.OnRequest(t.Context(), middleware.Event{Shed: middleware.ShedExpired, Status: 504})
			time.Sleep(time.Second)
			log.OnRequest(t.Context(), middleware.Event{Shed: middleware.ShedConcurrency, Status: 503})
		})
		if len(got) != 12 {
			t.Fatalf("%d lines, want 10 of the storm, 1 of the rare reason and 1 later", len(got))
		}
		if !strings.Contains(got[10], "reason=expired") || !strings.HasSuffix(got[11], "suppressed=9990") {
			t.Errorf("last lines %q", got[10:])
		}
	})
}
