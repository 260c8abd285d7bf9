package redisrate_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/redisrate"
	"github.com/redis/go-redis/v9"
)

// instanceEnv holds what an instance does, and has the test binary be one.
const instanceEnv = "EVENKEEL_RATE_INSTANCE"

// An order is what an instance does.
type order struct {
	Addr  string // of Redis; none: only compute
	Quota middleware.Quota
	Every time.Duration // between two requests of one key
	For   time.Duration
}

// A tally is what an instance saw.
type tally struct {
	Asked, Granted int64
	Start, End     time.Time
}

// instanceMain is an instance. It says that it is there, and begins when its
// input ends.
func instanceMain() {
	var o order
	if err := json.Unmarshal([]byte(os.Getenv(instanceEnv)), &o); err != nil {
		panic(err)
	}
	if o.Addr == "" {
		for end := time.Now().Add(o.For); time.Now().Before(end); {
		}
		return
	}
	client := redis.NewClient(&redis.Options{Addr: o.Addr})
	defer client.Close()
	l, err := redisrate.New(client, o.Quota)
	if err != nil {
		panic(err)
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	out := tally{Start: time.Now()}
	var wg sync.WaitGroup
	tick := time.NewTicker(o.Every)
	for time.Since(out.Start) < o.For {
		<-tick.C
		wg.Go(func() {
			atomic.AddInt64(&out.Asked, 1)
			if l.Take(context.Background(), "hot").OK {
				atomic.AddInt64(&out.Granted, 1)
			}
		})
	}
	wg.Wait()
	out.End = time.Now()
	json.NewEncoder(os.Stdout).Encode(out)
}

// start starts an instance, and returns its output.
func start(t *testing.T, o order, begin io.Reader) *bufio.Reader {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), instanceEnv+"="+string(text))
	cmd.Stdin, cmd.Stderr = begin, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return bufio.NewReader(out)
}

// Processes share a quota exactly, even if they have too little processor time to
// read a reply in time, and from their start. They nearly do while Redis pauses.
func TestProcessesKeepTheQuota(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 12 s")
	}
	hundred := middleware.Quota{Requests: 100, Per: time.Second}
	few := middleware.Quota{Requests: 100, Per: time.Second, Burst: 10}
	for _, together := range [][]processes{
		{
			{name: "short of processors", quota: hundred, burners: 8, most: 1.05},
			{name: "short of processors, a small burst", quota: few, burners: 8, most: 1.05},
		},
		{
			{name: "Redis pauses", quota: hundred, pause: 80 * time.Millisecond, most: 1.15},
			{name: "Redis pauses for long", quota: hundred, pause: time.Second, most: 1.15},
		},
	} {
		t.Run("", func(t *testing.T) {
			for _, p := range together {
				t.Run(p.name, func(t *testing.T) {
					t.Parallel()
					p.run(t)
				})
			}
		})
	}
}

// Processes are a fleet of them at work on one key.
type processes struct {
	name    string
	quota   middleware.Quota
	burners int           // which only compute
	pause   time.Duration // of Redis, halfway
	most    float64       // of what the quota allows
}

func (p processes) run(t *testing.T) {
	const instances, length = 8, 5 * time.Second
	addr := startRedis(t)
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	for range p.burners {
		start(t, order{For: time.Minute}, nil)
	}
	begin, release, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var outputs []*bufio.Reader
	for range instances {
		outputs = append(outputs, start(t, order{addr, p.quota, 10 * time.Millisecond, length}, begin))
	}
	begin.Close()
	for _, out := range outputs {
		if _, err := out.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	release.Close()
	if p.pause > 0 {
		<-time.After(length / 2)
		if err := client.Do(t.Context(), "client", "pause", p.pause.Milliseconds(), "all").Err(); err != nil {
			t.Fatal(err)
		}
	}
	var sum tally
	for _, out := range outputs {
		var one tally
		if err := json.NewDecoder(out).Decode(&one); err != nil {
			t.Fatal(err)
		}
		sum.Asked += one.Asked
		sum.Granted += one.Granted
		if sum.Start.IsZero() || one.Start.Before(sum.Start) {
			sum.Start = one.Start
		}
		if one.End.After(sum.End) {
			sum.End = one.End
		}
	}
	burst := p.quota.Burst
	if burst == 0 {
		burst = p.quota.Requests
	}
	took := sum.End.Sub(sum.Start)
	allowed := float64(burst) + float64(p.quota.Requests)*took.Seconds()/p.quota.Per.Seconds()
	got := fmt.Sprintf("%d of %d granted in %v, where the quota allows %.0f", sum.Granted, sum.Asked, took.Round(time.Millisecond), allowed)
	t.Log(got)
	if float64(sum.Granted) > p.most*allowed {
		t.Errorf("%s: more than %.2f of it", got, p.most)
	}
	if float64(sum.Granted) < 0.8*min(allowed, float64(sum.Asked)) {
		t.Errorf("%s: less than 0.8 of it", got)
	}
}
