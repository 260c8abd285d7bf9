package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/budget/redisbudget"
	"github.com/datapunk/evenkeel/transport"
	"github.com/redis/go-redis/v9"
)

// memberEnv tells a process that it is a member of the fleet, and its order.
const memberEnv = "EVENKEEL_FLEET_MEMBER"

// An order is the configuration of a member.
type order struct {
	Number       int
	Redis, URL   string
	Rate         float64
	Ratio, Floor float64
	Own          bool
	Health       bool
}

// members are the processes that were started.
type members struct {
	cmds  []*exec.Cmd
	alive []io.Closer // the standard input of each; closing it ends the member
}

func start(s settings, url string, out io.Writer) (*members, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	m := &members{}
	for i := range s.processes {
		o, err := json.Marshal(order{i, s.redis, url, s.rate, s.ratio, s.floor, s.own, s.health})
		if err != nil {
			return nil, err
		}
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), memberEnv+"="+string(o))
		cmd.Stdout, cmd.Stderr = out, os.Stderr
		alive, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			m.stop()
			return nil, err
		}
		m.cmds, m.alive = append(m.cmds, cmd), append(m.alive, alive)
	}
	return m, nil
}

// stop ends all members and waits for them.
func (m *members) stop() error {
	for _, a := range m.alive {
		a.Close()
	}
	var errs []error
	for _, c := range m.cmds {
		if err := c.Wait(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// member is the main of a process of the fleet.
func member() int {
	var o order
	if err := json.Unmarshal([]byte(os.Getenv(memberEnv)), &o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	// Ctrl-C reaches every process of the terminal. This one ends when its
	// standard input does: the parent closed it, or the parent is gone.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	ctx, leave := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		leave()
	}()
	work := serve
	if o.Health {
		work = call
	}
	if err := work(ctx, o); err != nil {
		fmt.Fprintf(os.Stderr, "process %d: %v\n", o.Number, err)
		return 1
	}
	return 0
}

// serve sends requests until ctx is done, and then hands back its tokens.
func serve(ctx context.Context, o order) error {
	p := budget.Policy{Ratio: o.Ratio, MinPerSecond: o.Floor}
	budgets, err := budget.PerService(p, 10)
	if err != nil {
		return err
	}
	left := func() error { return nil }
	if !o.Own {
		client := redis.NewClient(&redis.Options{Addr: o.Redis})
		defer client.Close()
		fleet, err := redisbudget.New(client)
		if err != nil {
			return err
		}
		if budgets, err = fleet.PerService(p, 10); err != nil {
			return err
		}
		left = func() error { return part(fleet, o.Number) }
	}
	chain, err := transport.New(nil, transport.WithBudget(budgets))
	if err != nil {
		return err
	}
	defer chain.CloseIdleConnections()
	load(ctx, &http.Client{Transport: chain}, o)
	return left()
}

// part leaves the fleet and prints how many tokens it handed back.
func part(fleet *redisbudget.Fleet, number int) error {
	before := map[string]float64{}
	for name, s := range fleet.All() {
		before[name] = s.Given
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := fleet.Close(ctx); err != nil {
		return err
	}
	for name, s := range fleet.All() {
		fmt.Printf("process %d: sent %.0f retries for %d requests, handed back %.1f tokens of %s\n",
			number, s.Spent, s.Requests, s.Given-before[name], name)
	}
	return nil
}

// load sends requests at a steady rate, whether or not they are answered, and
// waits for those under way.
func load(ctx context.Context, client *http.Client, o order) {
	tick := time.NewTicker(time.Duration(float64(time.Second) / o.Rate))
	defer tick.Stop()
	var busy sync.WaitGroup
	defer busy.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			busy.Go(func() {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.URL, nil)
				if err != nil {
					return
				}
				if resp, err := client.Do(req); err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			})
		}
	}
}
