package redisbreaker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/alicebob/miniredis/v2"
	"github.com/datapunk/evenkeel/transport"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
)

// A network that is slow or loses what it carries. Where reports take too long each
// process judges alone.
func TestNetwork(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	for _, tt := range []struct {
		name, toxic, direction, attributes string
		shared                             bool // meanwhile
	}{
		{"some latency", "latency", "downstream", `"latency":100,"jitter":50`, true},
		{"more latency than a report may take", "latency", "downstream", `"latency":900`, false},
		{"a black hole for reports", "timeout", "upstream", `"timeout":0`, false},
		{"a black hole for replies", "timeout", "downstream", `"timeout":0`, false},
		{"a reset after each report", "reset_peer", "downstream", `"timeout":0`, false},
		{"replies cut short", "limit_data", "downstream", `"bytes":60`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			proxies := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
			proxy := toxiproxy.NewProxy(proxies, t.Name(), "127.0.0.1:0", s.addr)
			if err := proxy.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(proxy.Stop)
			c := gather(t, 5, dialer(proxy.Listen), WithPrefix(strings.ReplaceAll(tt.name, " ", "-")))
			c.overload()
			toxic := fmt.Sprintf(`{"name":%q,"type":%q,"stream":%q,"attributes":{%s}}`, tt.toxic, tt.toxic, tt.direction, tt.attributes)
			if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
				t.Fatal(err)
			}
			if tt.shared {
				<-time.After(3 * time.Second)
				if !c.refuses() {
					t.Error("the verdict is gone")
				}
			} else {
				c.alone()
			}
			proxy.Toxics.ResetToxics(t.Context())
			c.eventually(15*time.Second, "the verdict is back", c.refuses)
			c.calm()
		})
	}
}

// A key with another value is left alone, said once, and no verdict applies.
func TestForeignKey(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	key, _ := store{defaultPrefix, 1, nil}.Place("api.test")
	var mu sync.Mutex
	var told []ForeignEvent
	for name, plant := range map[string]func(){
		"another length": func() { m.Set(key, "evkhlth1 and more") },
		"another tag":    func() { m.Set(key, "evkhlth9"+strings.Repeat("\x00", 152)) },
		"no numbers":     func() { m.Set(key, "evkhlth1"+strings.Repeat("\xff", 152)) },
		"another type":   func() { m.HSet(key, "a", "b") },
	} {
		m.Del(key)
		plant()
		before := m.Dump()
		told = nil
		client := redis.NewClient(&redis.Options{Addr: m.Addr()})
		f, err := New(client, WithInterval(100*time.Millisecond), WithObserver(Observer{OnForeign: func(e ForeignEvent) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, e)
		}}))
		if err != nil {
			t.Fatal(err)
		}
		g := f.Guard().Service("api.test")
		eventually(t, 5*time.Second, "three reports", func() bool { return f.Stats("api.test").Reports > 3 })
		if _, ok := g.Admit(2); !ok || f.Stats("api.test").Connected {
			t.Errorf("%s: %+v, want no verdict", name, f.Stats("api.test"))
		}
		if err := f.Isolate(t.Context(), "api.test", time.Minute); err == nil {
			t.Errorf("%s: no error of Isolate", name)
		}
		f.Close(t.Context())
		client.Close()
		if after := m.Dump(); after != before {
			t.Errorf("%s: it is now %s", name, after)
		}
		if len(told) != 1 || told[0] != (ForeignEvent{"api.test", key}) {
			t.Errorf("%s: told %+v, want it once", name, told)
		}
	}
}

// A process makes one report per second, whatever it calls.
func TestOneReportPerSecond(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	admin := redis.NewClient(&redis.Options{Addr: s.addr})
	defer admin.Close()
	const n = 20
	c := gather(t, n, dialer(s.addr))
	c.eventually(5*time.Second, "all have reported", func() bool {
		for _, f := range c.members {
			if f.Stats(crowdService).Reports < 2 {
				return false
			}
		}
		return true
	})
	if err := admin.ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	<-time.After(5 * time.Second)
	calls, _ := cost(t, admin)
	per := calls / n / time.Since(start).Seconds()
	t.Logf("%.2f reports per process and second", per)
	if per > 1.1 {
		t.Errorf("%.2f reports per process and second, want 1", per)
	}
}

// With the rights that the package documents a process can do all that it does, and
// nothing else.
func TestACL(t *testing.T) {
	t.Parallel()
	acl := filepath.Join(t.TempDir(), "acl")
	s := startRedis(t, "--aclfile", emptyFile(t, acl))
	admin := redis.NewClient(&redis.Options{Addr: s.addr})
	defer admin.Close()
	if err := admin.Do(t.Context(), "ACL", "SETUSER", "app", "on", ">secret", "~evenkeel:health:v1:*",
		"+evalsha", "+eval", "+get", "+set", "+time", "+hello").Err(); err != nil {
		t.Fatal(err)
	}
	login := func() redis.UniversalClient {
		return redis.NewClient(&redis.Options{Addr: s.addr, Username: "app", Password: "secret"})
	}
	c := gather(t, 5, login)
	c.overload()
	if err := c.members[0].Isolate(t.Context(), crowdService, time.Minute); err != nil {
		t.Error(err)
	}
	client := login()
	defer client.Close()
	if err := client.Set(t.Context(), "other", "x", 0).Err(); err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("got %v, want another key to be out of reach", err)
	}
	f, err := New(client, WithPrefix("other"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close(t.Context())
	if err := f.Isolate(t.Context(), crowdService, time.Minute); err == nil {
		t.Error("another prefix is within reach")
	}
}

// The whole: five chains whose service hangs. The one that calls seldom knows of it.
func TestWithTransport(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	hang := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		<-req.Context().Done()
		return nil, req.Context().Err()
	})
	var chains []*transport.Transport
	var members []*Fleet
	for range 5 {
		client := redis.NewClient(&redis.Options{Addr: m.Addr()})
		f, err := New(client, WithInterval(200*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			f.Close(context.Background())
			client.Close()
		})
		rt, err := transport.New(hang, transport.WithFleet(f.Guard()),
			transport.WithPolicy(transport.Policy{AttemptTimeout: 50 * time.Millisecond, MaxThrottle: time.Millisecond}))
		if err != nil {
			t.Fatal(err)
		}
		chains, members = append(chains, rt), append(members, f)
	}
	ctx, stop := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	defer busy.Wait()
	defer stop()
	for _, rt := range chains[:4] {
		busy.Go(func() {
			tick := time.NewTicker(30 * time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				call(ctx, rt)
				<-tick.C
			}
		})
	}
	g := members[4].Guard().Service("farm.test")
	eventually(t, 15*time.Second, "the fleet refuses the retries of one that calls seldom", func() bool {
		_, ok := g.Admit(2)
		return !ok
	})
	// A call is a probe at most, of which there are few.
	for range 20 {
		if held, ok := errors.AsType[*transport.GuardError](call(ctx, chains[4])); ok && held.Fleet {
			return
		}
	}
	t.Error("none of 20 calls was refused by the fleet")
}

func call(ctx context.Context, rt http.RoundTripper) error {
	req, err := http.NewRequestWithContext(ctx, "GET", "http://farm.test/", nil)
	if err != nil {
		return err
	}
	resp, err := rt.RoundTrip(req)
	if err == nil {
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	return err
}
