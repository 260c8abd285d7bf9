package redisbudget_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/budget/redisbudget"
	"github.com/redis/go-redis/v9"
)

// connect stands for redis.NewClient with the address of a real one.
func connect() (client *redis.Client, stop func()) {
	server, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	client = redis.NewClient(&redis.Options{Addr: server.Addr()})
	return client, func() { client.Close(); server.Close() }
}

// Two processes share a budget. All calls of the one fail and all of the other
// succeed: what the other earned pays for its retries.
func Example() {
	ctx := context.Background()
	client, stop := connect()
	defer stop()
	policy := budget.Policy{Ratio: 0.1, Pool: time.Minute}

	healthy, _ := redisbudget.New(client)
	b, _ := healthy.Budget("payments", policy)
	for range 100 {
		b.Deposit() // and the call succeeds
	}
	healthy.Close(ctx) // hands its credit back

	failing, _ := redisbudget.New(client)
	defer failing.Close(ctx)
	b, _ = failing.Budget("payments", policy)
	b.Deposit() // a tenth of a token
	granted := b.Withdraw()
	fmt.Println("at once:", granted)
	for !granted {
		<-b.Fetching() // a transport waits before a retry anyway
		granted = b.Withdraw()
	}
	fmt.Println("after the wait:", granted)
	// Output:
	// at once: false
	// after the wait: true
}

// The kill switch: no retries of a service in the whole fleet, until Resume.
// Any program that reaches the fleet's Redis can turn it.
func ExampleFleet_Pause() {
	ctx := context.Background()
	client, stop := connect()
	defer stop()
	fleet, err := redisbudget.New(client)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fleet.Close(ctx)
	b, _ := fleet.Budget("payments", budget.Policy{Ratio: 1})
	b.Deposit()
	if _, err := fleet.Pause(ctx, "payments"); err != nil {
		fmt.Println(err)
	}
	fmt.Println("paused:", b.Withdraw())
	if _, err := fleet.Pause(ctx, "payemnts"); errors.Is(err, redisbudget.ErrNoBudget) {
		fmt.Println("no process has a budget payemnts")
	}
	if _, err := fleet.Resume(ctx, "payments"); err != nil {
		fmt.Println(err)
	}
	b.Deposit()
	fmt.Println("resumed:", b.Withdraw())
	// Output:
	// paused: false
	// no process has a budget payemnts
	// resumed: true
}

// A quota has no ratio. A retry needs a token of the service and one of the
// tenant; a noisy tenant cannot spend those of the others.
func ExampleFleet_Per() {
	ctx := context.Background()
	client, stop := connect()
	defer stop()
	fleet, _ := redisbudget.New(client)
	defer fleet.Close(ctx)
	services, _ := fleet.PerService(budget.Policy{Ratio: 0.1, MinPerSecond: 100}, 100)
	tenants, _ := fleet.Per("tenant", budget.Policy{MinPerSecond: 5}, 10_000)

	b := budget.All(services("payments"), tenants("acme"))
	b.Deposit()
	fmt.Println(b.Withdraw())
	for name := range fleet.All() {
		fmt.Println(name)
	}
	// Output:
	// false
	// payments
	// tenant~acme
}

// Each service has a budget of its own, which transport.WithBudget takes.
func ExampleFleet_PerService() {
	ctx := context.Background()
	client, stop := connect()
	defer stop()
	fleet, _ := redisbudget.New(client)
	defer fleet.Close(ctx)
	services, err := fleet.PerService(budget.Policy{Ratio: 0.5}, 100)
	if err != nil {
		fmt.Println(err)
		return
	}
	services("payments").Deposit()
	services("payments").Deposit()
	fmt.Println(services("payments").Withdraw(), services("search").Withdraw())
	// Output:
	// true false
}

// The mistake is a name for each call, such as a path with an ID in it: each is
// a budget of its own, which earns nothing, costs an exchange, and pushes the
// others out. Name services, of which there are few.
func ExampleFleet_PerService_incorrect() {
	ctx := context.Background()
	client, stop := connect()
	defer stop()
	fleet, _ := redisbudget.New(client)
	defer fleet.Close(ctx)
	budgets, _ := fleet.PerService(budget.Policy{Ratio: 0.1}, 1000)
	retries := 0
	for id := range 100 {
		b := budgets(fmt.Sprintf("/orders/%d", id))
		b.Deposit()
		if b.Withdraw() {
			retries++
		}
	}
	fmt.Println(retries, "retries for 100 requests, which earned 10")
	// Output:
	// 0 retries for 100 requests, which earned 10
}

// Without Redis New succeeds, and the log says once what that means.
func ExampleLog() {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	defer client.Close()
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "err" {
				return slog.Attr{}
			}
			return a
		},
	}))
	lost := make(chan struct{}, 1)
	fleet, err := redisbudget.New(client, redisbudget.WithObserver(redisbudget.Log(log)), redisbudget.WithObserver(redisbudget.Observer{
		OnConnection: func(redisbudget.ConnectionEvent) { lost <- struct{}{} },
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	b, _ := fleet.Budget("payments", budget.Policy{Ratio: 1})
	<-lost
	fleet.Close(context.Background())
	b.Deposit()
	fmt.Println("on its own ratio:", b.Withdraw())
	// Output:
	// level=WARN msg="retry budget: lost Redis, budgets run on their own ratio"
	// on its own ratio: true
}
