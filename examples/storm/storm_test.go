package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// all names every policy.
func all() string { return strings.ReplaceAll(policyNames(allPolicies()), " ", "") }

// small is a storm of two seconds, for tests that check counts.
func small(args ...string) []string {
	return append([]string{
		"-duration", "2s", "-calm", "500ms", "-stall", "500ms", "-clients", "4",
		"-capacity", "60", "-timeout", "150ms", "-deadline", "500ms", "-policies", all(),
	}, args...)
}

func TestStormAddsUp(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), small("-json"), &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d, want 0; stderr:\n%s", code, &stderr)
	}
	if stderr.Len() > 0 {
		t.Errorf("stderr %q, want nothing without a terminal", &stderr)
	}
	var r Report
	dec := json.NewDecoder(&stdout)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		t.Fatalf("the output is no JSON: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		t.Errorf("the output goes on after the document: %v", err)
	}
	var names []string
	for _, p := range r.Policies {
		names = append(names, p.Name)
		t.Run(p.Name, func(t *testing.T) { addsUp(t, r, p) })
	}
	if got, want := strings.Join(names, ","), all(); got != want {
		t.Errorf("policies %s, want %s", got, want)
	}
	for _, p := range r.Policies[1:] {
		if p.Calls != r.Policies[0].Calls {
			t.Errorf("%s had %d calls, %s had %d; want the same arrivals", p.Name, p.Calls, r.Policies[0].Name, r.Policies[0].Calls)
		}
	}
}

func addsUp(t *testing.T, r Report, p PolicyReport) {
	if len(p.Seconds) != 2 {
		t.Errorf("%d seconds, want 2", len(p.Seconds))
	}
	calls, attempts, successes, failures := 0, p.AttemptsAfter, 0, 0
	for i, s := range p.Seconds {
		calls += s.Calls
		attempts += s.Attempts
		successes += s.Successes
		if s.Second != i || s.Successes > s.Calls {
			t.Errorf("second %d: %+v", i, s)
		}
	}
	for _, n := range p.Failures {
		failures += n
	}
	if calls != p.Calls || attempts != p.Attempts || successes != p.Successes {
		t.Errorf("the seconds have %d calls, %d attempts, %d successes; the sums say %d, %d, %d",
			calls, attempts, successes, p.Calls, p.Attempts, p.Successes)
	}
	if p.Successes+failures != p.Calls {
		t.Errorf("%d successes and %d failures of %d calls", p.Successes, failures, p.Calls)
	}
	if p.Calls == 0 || p.Successes > p.Attempts {
		t.Errorf("%d calls, %d attempts, %d successes", p.Calls, p.Attempts, p.Successes)
	}
	switch p.Name {
	case "none", "server":
		if p.Attempts != p.Calls {
			t.Errorf("%d attempts for %d calls without retries", p.Attempts, p.Calls)
		}
	case "retryablehttp", "budget":
		if p.Attempts < p.Calls {
			t.Errorf("%d attempts for %d calls, want one each at least", p.Attempts, p.Calls)
		}
	}
	if most := 5 * p.Calls; p.Attempts > most {
		t.Errorf("%d attempts for %d calls, want at most %d", p.Attempts, p.Calls, most)
	}
}

func TestStormWritesTables(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), small("-stall", "0s"), &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d, want 0; stderr:\n%s", code, &stderr)
	}
	if n := strings.Count(stdout.String(), "no stall"); n != len(allPolicies()) {
		t.Errorf("%d policies in the summary, want %d:\n%s", n, len(allPolicies()), &stdout)
	}
	for _, p := range allPolicies() {
		if !strings.Contains(stdout.String(), p.title) {
			t.Errorf("no %q in the tables:\n%s", p.title, &stdout)
		}
	}
}

// hookedWriter calls a func once, on the first write.
type hookedWriter struct {
	once sync.Once
	hook func()
}

func (w *hookedWriter) Write(p []byte) (int, error) {
	w.once.Do(w.hook)
	return len(p), nil
}

func TestInterruptEndsTheStorm(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stderr bytes.Buffer
	args := []string{"-duration", "1h", "-stall", "30m", "-calm", "1s"}
	if code := run(ctx, args, &hookedWriter{hook: cancel}, &stderr); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	if got, want := stderr.String(), "storm: interrupted\n"; got != want {
		t.Errorf("stderr %q, want %q", got, want)
	}
}

func TestFlagsOutOfRange(t *testing.T) {
	tests := []struct {
		args string
		want string // in stderr
	}{
		{"-duration 0s", "-duration 0s: want 1s to 1h"},
		{"-duration 2h", "-duration 2h0m0s"},
		{"-calm -1s", "-calm -1s"},
		{"-stall -1s", "-stall -1s: want 0 or more"},
		{"-stall 30s", "-stall 30s: want -calm plus -stall of at most -duration 25s"},
		{"-clients 0", "-clients 0: want 1 to 1000"},
		{"-rate -3", "-rate -3"},
		{"-rate NaN", "-rate NaN"},
		{"-rate Inf", "-rate +Inf"},
		{"-rate many", "-rate"},
		{"-capacity 0", "-capacity 0"},
		{"-capacity NaN", "-capacity NaN"},
		{"-timeout 1ms", "-timeout 1ms"},
		{"-deadline 500ms", "-deadline 500ms: want from -timeout to 5m"},
		{"-policies none,nothing", `-policies "nothing": want one of none, retryablehttp,`},
		{"-policies none,none", `-policies "none": want each name once`},
		{"-policies=", `-policies ""`},
		{"-seed -1", "-seed"},
		{"-speed 1", "-speed"},
		{"storm", `unexpected argument "storm"`},
		{"-clients 0 -stall -1s", "storm: -clients 0"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), strings.Fields(tt.args), &stdout, &stderr); code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			if !strings.Contains(stderr.String(), tt.want) {
				t.Errorf("stderr %q, want %q in it", &stderr, tt.want)
			}
			if stdout.Len() > 0 {
				t.Errorf("stdout %q, want nothing", &stdout)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-h"}, &stdout, &stderr); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	for _, p := range allPolicies() {
		if !strings.Contains(stderr.String(), p.what) {
			t.Errorf("no %q in the usage:\n%s", p.what, &stderr)
		}
	}
}

func TestRateFollowsCapacity(t *testing.T) {
	cfg, err := parse([]string{"-capacity", "100"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.rate != 70 {
		t.Errorf("rate %v, want 70", cfg.rate)
	}
	if got, want := cfg.meanService(), 50*time.Millisecond; got != want {
		t.Errorf("mean service time %v, want %v", got, want)
	}
}

func TestSecondsInTheStall(t *testing.T) {
	cfg := config{calm: 1500 * time.Millisecond, stall: 2 * time.Second}
	var seconds []bool
	for i := range 5 {
		seconds = append(seconds, cfg.stalled(i))
	}
	if got, want := fmt.Sprint(seconds), "[false true true true false]"; got != want {
		t.Errorf("seconds in the stall %v, want %v", got, want)
	}
	if got := cfg.afterStall(); got != 4 {
		t.Errorf("first second after the stall %d, want 4", got)
	}
	if (config{calm: time.Second}).stalled(1) {
		t.Error("a stall of no time has a second")
	}
}

func TestKindOfFailure(t *testing.T) {
	refused := func(code int) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: code, Status: "of the test", Header: http.Header{}, Body: http.NoBody, Request: req}, nil
		})
	}
	hung := roundTripper(func(req *http.Request) (*http.Response, error) {
		<-req.Context().Done()
		return nil, req.Context().Err()
	})
	open := roundTripper(func(*http.Request) (*http.Response, error) {
		return nil, &breaker.OpenError{Service: "backend", RetryIn: time.Second}
	})
	broken := roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("no file descriptors") })
	cfg := config{timeout: time.Millisecond, deadline: time.Minute}
	for _, tt := range []struct {
		name   string
		base   http.RoundTripper
		client func(config, http.RoundTripper) (*client, error)
		want   string
	}{
		{"status", refused(404), noRetry, kindStatus},
		{"timeout", hung, noRetry, kindTimeout},
		{"timeout of an attempt", hung, evenkeel(), kindTimeout},
		{"open circuit", open, noRetry, kindRefused},
		{"broken", broken, noRetry, kindOther},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, err := tt.client(cfg, tt.base)
				if err != nil {
					t.Fatal(err)
				}
				err = get(t.Context(), client, "http://backend.test")
				if err == nil || kindOf(err) != tt.want {
					t.Errorf("%v is of kind %q, want %q", err, kindOf(err), tt.want)
				}
			})
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
