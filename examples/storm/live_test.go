package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// A live storm runs on while faults and policies change, and shows each change.
func TestLiveStormGoesOn(t *testing.T) {
	t.Parallel()
	url, _ := startPage(t, "-clients", "4", "-capacity", "60", "-timeout", "150ms", "-deadline", "500ms", "-stall", "1s")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	press := func(target string) {
		t.Helper()
		resp, err := client.Post(url+target, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNoContent {
			t.Errorf("%s: %s", target, resp.Status)
		}
	}
	// until reads samples until one fulfils the condition.
	since := 0
	until := func(what string, good func(Sample) bool) {
		t.Helper()
		for last := since + 240; ; { // a minute
			if since >= last {
				t.Fatalf("no %s in a minute", what)
			}
			resp, err := client.Get(fmt.Sprintf("%ssamples?since=%d", url, since))
			if err != nil {
				t.Fatalf("waiting for %s: %v", what, err)
			}
			var answer Samples
			err = json.NewDecoder(resp.Body).Decode(&answer)
			resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range answer.Samples {
				if s.Number != since+1 {
					t.Errorf("sample %d after %d", s.Number, since)
				}
				if since = s.Number; good(s) {
					return
				}
			}
		}
	}
	for i, p := range pagePolicies() {
		press("policy/" + p.name)
		until("answers with "+p.name, func(s Sample) bool {
			wellKnown := (s.Guard != nil) == (s.Policy == "client" || s.Policy == "both" || s.Policy == "client-breaker" || s.Policy == "both-breaker")
			if !wellKnown {
				t.Errorf("%s: guard %v", s.Policy, s.Guard)
			}
			return s.Policy == p.name && s.Answers > 0 && s.Attempts > 0
		})
		press([]string{"fault/break", "fault/stall", "fault/slow"}[i%3])
		until("failures with "+p.name, func(s Sample) bool { return s.Fault == "slow" || len(s.Failures) > 0 })
		press("fault/none")
		until("health with "+p.name, func(s Sample) bool { return s.Fault == "" })
	}
}

func TestFaultsOfTheBackend(t *testing.T) {
	l := still(t, "-stall", "1h")
	now := time.Now()
	for _, tt := range []struct {
		fault string
		want  health // without changed
	}{
		{"", health{}}, {"stall", health{stall: 1}}, {"slow", health{slow: slowness}}, {"break", health{broken: true}},
	} {
		if err := l.setFault(tt.fault); err != nil {
			t.Fatal(err)
		}
		got := l.health(now)
		if got.changed != nil != (tt.fault == "stall") || got.stall > 0 != (tt.want.stall > 0) {
			t.Errorf("%q: %+v", tt.fault, got)
		}
		if got.slow != tt.want.slow || got.broken != tt.want.broken {
			t.Errorf("%q: got %+v, want %+v", tt.fault, got, tt.want)
		}
		if later := l.health(now.Add(2 * time.Hour)); later != (health{}) {
			t.Errorf("%q when it is over: %+v", tt.fault, later)
		}
	}
}

// bare is a backend without a server. Its health is that of l.
func bare(l *live) *backend {
	return &backend{closing: make(chan struct{}), workers: &pool{
		slots: make(chan struct{}, 1), backlog: make(chan struct{}, 2), mean: time.Millisecond,
		health: l.health, rng: rand.New(rand.NewPCG(1, 2)),
	}}
}

func TestHealingEndsAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &live{storm: &storm{cfg: config{stall: time.Hour}}}
		b := bare(l)
		start := time.Now()
		answered := func() (code chan int) {
			code = make(chan int, 1)
			go func() {
				w := httptest.NewRecorder()
				b.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
				if w.Body.Len() == 0 {
					w.Code = 0
				}
				code <- w.Code
			}()
			synctest.Wait()
			return code
		}
		l.setFault(faultStall)
		code := answered()
		time.Sleep(time.Minute)
		l.setFault(faultStall) // starts again
		time.Sleep(59 * time.Minute)
		if len(code) > 0 {
			t.Fatal("answered during a stall that began anew")
		}
		l.setFault("")
		if got := <-code; got != 200 || time.Since(start) > 61*time.Minute {
			t.Errorf("got %d after %v, want 200 at once when healed", got, time.Since(start))
		}
		l.setFault(faultStall)
		code = answered()
		l.setFault(faultBreak)
		if got := <-code; got != 500 {
			t.Errorf("got %d, want 500 of a backend that broke while stalled", got)
		}
		l.setFault(faultStall)
		start = time.Now()
		if got := <-answered(); got != 200 || time.Since(start) < time.Hour {
			t.Errorf("got %d after %v, want 200 when the stall is over", got, time.Since(start))
		}
		l.setFault(faultStall)
		code = answered()
		close(b.closing)
		if got := <-code; got != 0 {
			t.Errorf("got %d of a backend that was closed, want nothing", got)
		}
	})
}

// After a slow deploy answers come later, and no fewer of them.
func TestSlowDeployKeepsTheCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &live{storm: &storm{cfg: config{stall: time.Hour}}}
		b := bare(l)
		l.setFault(faultDeploy)
		start, took := time.Now(), make(chan time.Duration, 2)
		for range cap(took) { // more than the one worker
			go func() {
				b.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
				took <- time.Since(start)
			}()
			time.Sleep(20 * time.Millisecond) // 20 times the mean work
		}
		for i := range cap(took) {
			least := time.Duration(i)*20*time.Millisecond + deployAdds
			if got := <-took; got < least || got > least+20*time.Millisecond {
				t.Errorf("answer %d after %v, want 600 ms after its work, from %v", i, got, least)
			}
		}
	})
}

// A naive half are the odd clients, whatever the policy of the others is then.
func TestNaiveHalf(t *testing.T) {
	l := still(t, "-policies", "client,both")
	naive := func() (all []bool) {
		for _, c := range *l.lane.clients.Load() {
			all = append(all, c.naive)
		}
		return all
	}
	if err := l.mix(true); err != nil {
		t.Fatal(err)
	}
	if err := l.use("both"); err != nil {
		t.Fatal(err)
	}
	if got := naive(); !slices.Equal(got, []bool{false, true}) {
		t.Errorf("naive %v, want the second of two", got)
	}
	if err := l.retry(3); err != nil {
		t.Errorf("attempts of the others: %v", err)
	}
	l.sample(time.Now())
	if s := l.history.samples[0]; !s.NaiveHalf || s.Guard == nil || s.MaxAttempts != 3 || s.Server == nil || s.Server.Limit == 0 {
		t.Errorf("%+v: want a naive half, the guard of the others, their attempts and the limit of the server", s)
	}
	if err := l.mix(false); err != nil {
		t.Fatal(err)
	}
	l.sample(time.Now())
	if got := naive(); !slices.Equal(got, []bool{false, false}) || l.history.samples[1].NaiveHalf {
		t.Errorf("naive %v after the half was undone, want none", got)
	}
}

// A request over the backlog is neither served nor kept once its client is gone.
func TestBacklogIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &live{storm: &storm{cfg: config{stall: time.Hour}}}
		b := bare(l)
		l.setFault(faultStall)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start, done := time.Now(), make(chan time.Duration, 3)
		for range 3 {
			go func() {
				b.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/", nil))
				done <- time.Since(start)
			}()
			synctest.Wait()
		}
		if first := <-done; first != time.Second {
			t.Errorf("a request over the backlog ended after %v, want 1s, when its client went", first)
		}
		for range 2 { // naive as it is, it serves those in the backlog
			if got := <-done; got < time.Hour {
				t.Errorf("a request of the backlog ended after %v, want an hour", got)
			}
		}
	})
}

func TestOnlyAPageHasABacklog(t *testing.T) {
	for _, tt := range []struct {
		cfg  config
		want int
	}{
		{config{capacity: 250, timeout: time.Second}, 0},
		{config{capacity: 250, timeout: time.Second, http: ":8080"}, 1250},
		{config{capacity: 250, timeout: time.Minute, http: ":8080"}, 30000},
		{config{capacity: 0.1, timeout: time.Second, http: ":8080"}, workerCount},
	} {
		if got := cap(tt.cfg.backlog()); got != tt.want {
			t.Errorf("%+v: backlog %d, want %d", tt.cfg, got, tt.want)
		}
	}
}

func TestHistoryIsBounded(t *testing.T) {
	tally := newTally(time.Now(), 0)
	var l live
	const keep = 360 // 90 s of four a second
	for n := 1; n <= 1000; n++ {
		tally.call(time.Now())
		l.history.add(Sample{}, tally)
		samples := l.since(0)
		if last := samples[len(samples)-1]; len(samples) != min(n, keep) || last.Number != n || last.Calls != 1 {
			t.Fatalf("after %d: %d samples, the last %+v", n, len(samples), last)
		}
	}
	if got := l.since(990); len(got) != 10 || got[0].Number != 991 {
		t.Errorf("since 990: %d samples from %d, want 10 from 991", len(got), got[0].Number)
	}
	if got := l.since(3); len(got) != keep || got[0].Number != 641 {
		t.Errorf("since 3: %d samples from %d, want %d from 641", len(got), got[0].Number, keep)
	}
}

// The page shows the balance of the default budget.
func TestShownBudgetIsTheDefault(t *testing.T) {
	attempts := func(chain func(http.RoundTripper) http.RoundTripper) (sent int) {
		synctest.Test(t, func(t *testing.T) {
			rt := chain(roundTripper(func(req *http.Request) (*http.Response, error) {
				sent++
				code := 500
				if sent%7 == 0 { // some that help, and so pay for themselves
					code = 200
				}
				return &http.Response{StatusCode: code, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
			}))
			for range 300 {
				resp, err := rt.RoundTrip(httptest.NewRequestWithContext(t.Context(), "GET", "http://backend.test/", nil))
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
			}
			time.Sleep(time.Hour) // the budget goes to sleep
		})
		return sent
	}
	policy := transport.Policy{MaxAttempts: 3, BaseDelay: 1, MaxDelay: 1}
	build := func(base http.RoundTripper, opts ...transport.Option) http.RoundTripper {
		rt, err := transport.New(base, append(opts, transport.WithPolicy(policy))...)
		if err != nil {
			t.Fatal(err)
		}
		return rt
	}
	want := attempts(func(base http.RoundTripper) http.RoundTripper { return build(base) })
	got := attempts(func(base http.RoundTripper) http.RoundTripper {
		opt, err := withBudget(new(client))
		if err != nil {
			t.Fatal(err)
		}
		return build(base, opt)
	})
	if got != want || want <= 300 {
		t.Errorf("%d attempts with the budget shown, %d with the default; want the same, over 300", got, want)
	}
}

func TestPageOffersAllPolicies(t *testing.T) {
	if _, err := parse([]string{"-http", "localhost:0", "-policies", "none"}, io.Discard); err != nil {
		t.Error(err)
	}
	cfg, err := parse([]string{"-http", ":0"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.policies) != len(allPolicies()) || cfg.policies[0].name != "client" || cfg.http != "127.0.0.1:0" {
		t.Errorf("page at %s begins with %s of %d policies", cfg.http, cfg.policies[0].name, len(cfg.policies))
	}
}
