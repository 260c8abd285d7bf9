// Package recipes_test holds the code of README.md. Each test plays the trouble
// that the recipe is for, in fake time.
package recipes_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/transport"
)

// respond returns a response as a server would send it.
func respond(req *http.Request, status int, keyValues ...string) *http.Response {
	h := http.Header{}
	for i := 0; i+1 < len(keyValues); i += 2 {
		h.Set(keyValues[i], keyValues[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: http.NoBody, Request: req}
}

func toolClient(base http.RoundTripper, logger *slog.Logger) (*http.Client, error) {
	// README: tool
	chain, err := transport.New(base,
		transport.Patient(),
		transport.WithObserver(transport.Log(logger)),
	)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: chain}
	// README: end
	return client, nil
}

func TestToolOutlastsARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := time.Now().Add(15 * time.Second)
		var log strings.Builder
		client, err := toolClient(transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			if time.Now().Before(up) {
				return nil, errors.New("connection refused")
			}
			return respond(req, 200), nil
		}), slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Get("http://service.example/")
		if err != nil {
			t.Fatalf("error %v, want the answer after the restart", err)
		}
		resp.Body.Close()
		if !strings.Contains(log.String(), "stop=succeeded") {
			t.Errorf("log %q, want a line for the call", log.String())
		}
	})
}

// Ctrl-C ends the context, and with it the wait.
func TestToolStopsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, err := toolClient(transport.RoundTripperFunc(func(*http.Request) (*http.Response, error) {
			return nil, errors.New("connection refused")
		}), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer stop()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://service.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
			t.Error("no error, want that of the context or of the connection")
		}
		if d := time.Since(start); d > 100*time.Millisecond {
			t.Errorf("returned after %v, want at most 100 ms", d)
		}
	})
}

// README: job
// runJob makes the call of a job. If the job must run again, it returns the time
// until then.
func runJob(ctx context.Context, client *http.Client, url, job string) (again time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Idempotency-Key", headers.FormatIdempotencyKey(job))
	resp, err := client.Do(req)
	if err != nil {
		return time.Minute, nil // no response
	}
	defer resp.Body.Close()
	if wait, ok := headers.RetryAfterOf(resp.Header, time.Now()); ok && resp.StatusCode >= 400 {
		return wait, nil // longer than the chain would wait
	}
	if resp.StatusCode >= 500 {
		return time.Minute, nil
	}
	if resp.StatusCode >= 400 {
		return 0, fmt.Errorf("job %s: %s", job, resp.Status) // it would fail again
	}
	return 0, nil
}

// README: end

func TestJob(t *testing.T) {
	for _, tt := range []struct {
		name     string
		answers  []func(*http.Request) (*http.Response, error)
		again    time.Duration
		failed   bool
		attempts int
	}{
		{"done", []func(*http.Request) (*http.Response, error){answer(200)}, 0, false, 1},
		{"retried by the chain", []func(*http.Request) (*http.Response, error){answer(503), answer(200)}, 0, false, 2},
		{"down", []func(*http.Request) (*http.Response, error){answer(503)}, time.Minute, false, 3},
		{"no server", []func(*http.Request) (*http.Response, error){refuse}, time.Minute, false, 3},
		{"come back in an hour", []func(*http.Request) (*http.Response, error){answer(429, "Retry-After", "3600")}, time.Hour, false, 1},
		{"wrong", []func(*http.Request) (*http.Response, error){answer(422)}, 0, true, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				attempts := 0
				chain, err := transport.New(transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					if got, want := req.Header.Get("Idempotency-Key"), `"7"`; got != want {
						t.Errorf("key %s, want %s", got, want)
					}
					attempts++
					return tt.answers[min(attempts, len(tt.answers))-1](req)
				}))
				if err != nil {
					t.Fatal(err)
				}
				again, err := runJob(t.Context(), &http.Client{Transport: chain}, "http://service.example/jobs", "7")
				if again != tt.again || (err != nil) != tt.failed {
					t.Errorf("got %v, %v; want %v, an error: %t", again, err, tt.again, tt.failed)
				}
				if attempts != tt.attempts {
					t.Errorf("%d attempts, want %d", attempts, tt.attempts)
				}
			})
		})
	}
}

func answer(status int, keyValues ...string) func(*http.Request) (*http.Response, error) {
	return func(req *http.Request) (*http.Response, error) { return respond(req, status, keyValues...), nil }
}

func refuse(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }

func modelClient(base http.RoundTripper) (*http.Client, error) {
	// README: model
	chain, err := transport.New(base,
		transport.WithPolicy(transport.Policy{AttemptTimeout: 2 * time.Second}),
		transport.WithServicePolicy("api.model.example", transport.Policy{
			MaxAttempts:   4,
			BaseDelay:     time.Second,
			MaxDelay:      20 * time.Second,
			MaxRetryAfter: 2 * time.Minute,
		}),
		transport.WithRepeatable(func(r *http.Request) bool {
			return r.URL.Host == "api.model.example" // a completion may be computed twice
		}),
	)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: chain}
	// README: end
	return client, nil
}

// A completion whose header takes a minute is not cut, and a rate limit of 40
// seconds is waited for.
func TestModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		client, err := modelClient(transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			if attempts++; attempts == 1 {
				return respond(req, 429, "Retry-After", "40"), nil
			}
			select {
			case <-time.After(time.Minute):
				return respond(req, 200), nil
			case <-req.Context().Done():
				return nil, req.Context().Err()
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		resp, err := client.Post("http://api.model.example/v1/chat/completions", "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if d := time.Since(start); resp.StatusCode != 200 || attempts != 2 || d < 100*time.Second || d > 150*time.Second {
			t.Errorf("status %d after %d attempts and %v, want 200 after 2 and at least 100 s", resp.StatusCode, attempts, d)
		}
		// Other services keep the short timeout.
		attempts = 1
		start = time.Now()
		if resp, err := client.Get("http://other.example/"); err == nil {
			resp.Body.Close()
			t.Error("no error, want a timeout")
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("the other service took %v, want three attempts of 2 s", d)
		}
	})
}
