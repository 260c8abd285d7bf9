package main

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/datapunk/evenkeel/breaker/redisbreaker"
	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/budget/redisbudget"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fleet starts a server and fleets that have used budgets.
func fleet(t *testing.T) (addr string, members []*redisbudget.Fleet) {
	t.Helper()
	srv := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: srv.Addr()})
	t.Cleanup(func() { client.Close() })
	for _, opts := range [][]redisbudget.Option{
		nil, nil, {redisbudget.WithPrefix("team-2:budget"), redisbudget.WithShards(7)},
	} {
		f, err := redisbudget.New(client, opts...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close(context.Background()) })
		members = append(members, f)
		services, err := f.PerService(budget.Policy{Ratio: 0.1, MinPerSecond: 5}, 10)
		if err != nil {
			t.Fatal(err)
		}
		tenants, err := f.Per("tenant", budget.Policy{MinPerSecond: 5}, 10)
		if err != nil {
			t.Fatal(err)
		}
		connected := func(b budget.Budget) {
			for range 1000 {
				b.Deposit()
				if b.(*redisbudget.Shared).Stats().Connected {
					return
				}
				<-time.After(5 * time.Millisecond)
			}
			t.Fatal("a budget does not get connected")
		}
		connected(services("payments"))
		connected(tenants("acme\x1b[2J"))
	}
	if _, err := srv.DB(0).Get("no such key"); err == nil {
		t.Fatal("a key that is not there")
	}
	srv.Set("evenkeel:budget:v1:{evenkeel:budget:0}:old", "something else")
	srv.Set("evenkeel:budget:v1:{evenkeel:budget:99999}:odd", "nobody's")
	srv.Set("a:v1:{b:0}:no", "nobody's")
	srv.HSet("evenkeel:budget:v1:{evenkeel:budget:0}:hash", "a", "b")
	return srv.Addr(), members
}

func command(t *testing.T, addr string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), append([]string{"-redis", "redis://" + addr}, args...), &o, &e)
	return code, o.String(), e.String()
}

func TestStatus(t *testing.T) {
	addr, _ := fleet(t)
	code, out, errOut := command(t, addr, "status")
	if code != 0 || errOut != "" {
		t.Fatalf("code %d, %s", code, errOut)
	}
	var rows []string
	for _, row := range strings.Split(strings.TrimSpace(out), "\n")[1:] {
		f := strings.Fields(row)
		rows = append(rows, f[0]+" "+f[1]+" "+f[len(f)-1])
	}
	want := []string{
		`hash foreign evenkeel:budget`,
		`odd foreign evenkeel:budget`,
		`old foreign evenkeel:budget`,
		`payments active evenkeel:budget`,
		`"tenant~acme\x1b[2J" active evenkeel:budget`,
		`payments active team-2:budget`,
		`"tenant~acme\x1b[2J" active team-2:budget`,
	}
	if got := strings.Join(rows, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	if _, out, _ := command(t, addr, "-prefix", "team-2:budget", "status"); strings.Count(out, "\n") != 3 || strings.Contains(out, "evenkeel") {
		t.Errorf("with a prefix:\n%s", out)
	}
	if _, out, _ := command(t, addr, "-prefix", "*", "status"); !strings.Contains(out, "No process") {
		t.Errorf("with a prefix that is a pattern:\n%s", out)
	}
}

func TestStatusInJSON(t *testing.T) {
	addr, members := fleet(t)
	_, out, _ := command(t, addr, "-json", "-prefix", "team-2:budget", "status")
	d := json.NewDecoder(strings.NewReader(out))
	n := 0
	for ; d.More(); n++ {
		var l line
		if err := d.Decode(&l); err != nil {
			t.Fatal(err)
		}
		b := members[2].Stats(l.Name)
		if l.State != "active" || l.Prefix != "team-2:budget" || b == (redisbudget.Stats{}) || l.Pool < 0 || l.Pool > 5 || l.Requests < 0 || l.SpokeAgo > 10 {
			t.Errorf("%+v, where the process has %+v", l, b)
		}
	}
	if n != 2 {
		t.Errorf("%d budgets, want 2", n)
	}
}

func TestPauseAndResume(t *testing.T) {
	addr, members := fleet(t)
	for _, verb := range []string{"pause", "resume"} {
		code, out, errOut := command(t, addr, verb, "payments")
		if code != 0 || strings.Count(out, "payments is "+verb+"d: about ") != 2 {
			t.Errorf("%s: code %d\n%s%s", verb, code, out, errOut)
		}
		if _, out, _ := command(t, addr, "status"); strings.Count(out, " paused ") != map[string]int{"pause": 2}[verb] {
			t.Errorf("after %s:\n%s", verb, out)
		}
		// The processes follow with their next exchange.
		for i, f := range members {
			tick := time.NewTicker(10 * time.Millisecond)
			for end := time.Now().Add(20 * time.Second); f.Stats("payments").Paused != (verb == "pause"); <-tick.C {
				if time.Now().After(end) {
					t.Fatalf("process %d does not follow %s", i, verb)
				}
			}
			tick.Stop()
		}
	}
	code, out, _ := command(t, addr, "-json", "-prefix", "evenkeel:budget", "pause", "tenant~acme\x1b[2J")
	var said struct {
		Name, Prefix, State string
		Processes           *int
	}
	if err := json.Unmarshal([]byte(out), &said); code != 0 || err != nil || said.Name != "tenant~acme\x1b[2J" || said.State != "paused" || said.Processes == nil {
		t.Errorf("pause -json: code %d, %v, %s", code, err, out)
	}
}

func TestMistakes(t *testing.T) {
	addr, _ := fleet(t)
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"pause", "payemnts"}, 1, `no process has a budget "payemnts"; there are: "tenant~acme\x1b[2J", hash, odd, old, payments`},
		{[]string{"resume", "acme"}, 1, "no process has"},
		{[]string{"pause", "old"}, 1, "something that is not a budget"},
		{[]string{"pause", "odd"}, 1, "is not a key of"},
		{[]string{"pause"}, 2, "usage:"},
		{[]string{"isolate", "payments"}, 2, "want a command"},
		{[]string{"isolate", "payments", "soon"}, 2, "want isolate SERVICE DURATION"},
		{[]string{"pause", "payments", "10m"}, 2, "want isolate SERVICE DURATION"},
		{[]string{"isolate", "payments", "10m"}, 1, `no process reports the health of a service "payments"`},
		{[]string{"release", "payments"}, 1, `no process reports the health`},
		{[]string{"stop", "payments"}, 2, "usage:"},
		{[]string{"status", "payments"}, 2, "usage:"},
		{nil, 2, "want a command"},
		{[]string{"-cluster", "-sentinel", "status"}, 2, "want one of them"},
		{[]string{"-every", "0s", "watch"}, 2, "-every 0s"},
		{[]string{"-no-such-flag"}, 2, "usage:"},
		{[]string{"-redis", "localhost:6379", "status"}, 2, "-redis"},
		{[]string{"-redis", "redis://127.0.0.1:1", "-timeout", "2s", "status"}, 1, "refused"},
	} {
		code, _, errOut := command(t, addr, tt.args...)
		if code != tt.code || !strings.Contains(errOut, tt.want) {
			t.Errorf("%q: code %d, want %d; it says %q, want %q in it", tt.args, code, tt.code, errOut, tt.want)
		}
	}
	if code, _, errOut := command(t, addr, "-help"); code != 0 || !strings.Contains(errOut, "usage:") {
		t.Errorf("-help: code %d\n%s", code, errOut)
	}
}

// lines counts what is written, and ends a context after enough of it.
type lines struct {
	bytes.Buffer
	enough int
	cancel context.CancelFunc
}

func (l *lines) Write(p []byte) (int, error) {
	n, err := l.Buffer.Write(p)
	if strings.Count(l.String(), "NAME") >= l.enough {
		l.cancel()
	}
	return n, err
}

func TestWatch(t *testing.T) {
	addr, _ := fleet(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &lines{enough: 3, cancel: cancel}
	if code := run(ctx, []string{"-redis", "redis://" + addr, "-every", "10ms", "watch"}, out, out); code != 0 {
		t.Errorf("code %d\n%s", code, out)
	}
	if n := len(regexp.MustCompile(`(?m)^payments +active`).FindAllString(out.String(), -1)); n < 4 {
		t.Errorf("%d rows of payments in three tables, want 2 in each but the last:\n%s", n, out)
	}
}

func TestIsolateAndRelease(t *testing.T) {
	srv := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: srv.Addr()})
	defer client.Close()
	member, err := redisbreaker.New(client, redisbreaker.WithShards(3))
	if err != nil {
		t.Fatal(err)
	}
	defer member.Close(t.Context())
	// A process that reports each of the services.
	for _, name := range []string{"payments", "a~b"} {
		if err := member.Isolate(t.Context(), name, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	state := func(service string) (l healthLine) {
		t.Helper()
		_, out, errOut := command(t, srv.Addr(), "-json", "status")
		d := json.NewDecoder(strings.NewReader(out))
		for d.More() {
			if err := d.Decode(&l); err != nil {
				t.Fatal(err)
			}
			if l.Service == service {
				return l
			}
		}
		t.Fatalf("no service %s in %s%s", service, out, errOut)
		return l
	}
	if l := state("payments"); l.State != "isolated" || l.Isolated < 55 || l.Isolated > 60 || l.Prefix != "evenkeel:health" || l.Share != 1 || l.Circuit != 1 {
		t.Errorf("%+v, want it isolated for a minute", l)
	}
	if code, out, errOut := command(t, srv.Addr(), "release", "a~b"); code != 0 || !strings.Contains(out, "a~b is released: about 0 processes") {
		t.Errorf("release: code %d, %s%s", code, out, errOut)
	}
	if code, out, errOut := command(t, srv.Addr(), "isolate", "payments", "10m"); code != 0 || !strings.Contains(out, "payments is isolated for 10m0s") {
		t.Errorf("isolate: code %d, %s%s", code, out, errOut)
	}
	if l := state("a~b"); l.State != "ok" {
		t.Errorf("%+v, want it released", l)
	}
	if l := state("payments"); l.State != "isolated" || l.Isolated < 590 {
		t.Errorf("%+v, want it isolated for ten minutes", l)
	}
	if _, out, _ := command(t, srv.Addr(), "status"); !strings.Contains(out, "SERVICE") || strings.Contains(out, "REQUESTS/s") {
		t.Errorf("status:\n%s", out)
	}
}
