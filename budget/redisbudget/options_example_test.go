package redisbudget_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/budget/redisbudget"
)

// Two fleets share a Redis, each with keys of its own.
func ExampleWithPrefix() {
	ctx := context.Background()
	client, stop := connect()
	defer stop()
	for _, prefix := range []string{"team-1:budget", "team-2:budget"} {
		fleet, err := redisbudget.New(client, redisbudget.WithPrefix(prefix))
		if err != nil {
			fmt.Println(err)
			return
		}
		fleet.Budget("payments", budget.Policy{Ratio: 0.1})
		fleet.Close(ctx)
	}
	keys, _ := client.Keys(ctx, "*").Result()
	slices.Sort(keys)
	for _, key := range keys {
		fmt.Println(key)
	}
	// Output:
	// team-1:budget:v1:{team-1:budget:0}:payments
	// team-2:budget:v1:{team-2:budget:0}:payments
}

// What is in braces decides which master of a cluster has the key.
func ExampleWithShards() {
	ctx := context.Background()
	client, stop := connect()
	defer stop()
	fleet, err := redisbudget.New(client, redisbudget.WithShards(3))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"orders", "payments", "search"} {
		fleet.Budget(name, budget.Policy{Ratio: 0.1})
	}
	fleet.Close(ctx)
	keys, _ := client.Keys(ctx, "*").Result()
	slices.Sort(keys)
	for _, key := range keys {
		fmt.Println(key)
	}
	// Output:
	// evenkeel:budget:v1:{evenkeel:budget:0}:payments
	// evenkeel:budget:v1:{evenkeel:budget:1}:search
	// evenkeel:budget:v1:{evenkeel:budget:2}:orders
}

// A process talks to Redis every 50ms, whether or not calls fail.
func ExampleWithInterval() {
	ctx := context.Background()
	client, stop := connect()
	defer stop()
	fleet, err := redisbudget.New(client, redisbudget.WithInterval(50*time.Millisecond, 50*time.Millisecond))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fleet.Close(ctx)
	b, _ := fleet.Budget("payments", budget.Policy{Ratio: 0.1})
	<-b.Fetching() // until the next exchange
	fmt.Println(b.Stats().Interval)
	// Output:
	// 50ms
}

// A rate that is not in the range is an error that names the option.
func ExampleWithMaxSyncRate() {
	client, stop := connect()
	defer stop()
	fleet, err := redisbudget.New(client, redisbudget.WithMaxSyncRate(1000))
	fmt.Println(err)
	defer fleet.Close(context.Background())
	_, err = redisbudget.New(client, redisbudget.WithMaxSyncRate(0))
	fmt.Println(err)
	// Output:
	// <nil>
	// redisbudget: WithMaxSyncRate(0): want 1 to 10000000
}

// An observer that tells an operator of the switch.
func ExampleWithObserver() {
	ctx := context.Background()
	client, stop := connect()
	defer stop()
	told := make(chan redisbudget.SwitchEvent, 1)
	fleet, err := redisbudget.New(client, redisbudget.WithObserver(redisbudget.Observer{
		OnSwitch: func(e redisbudget.SwitchEvent) { told <- e },
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fleet.Close(ctx)
	fleet.Budget("payments", budget.Policy{Ratio: 0.1})
	fleet.Pause(ctx, "payments")
	e := <-told
	fmt.Println(e.Name, "paused:", e.Paused)
	// Output:
	// payments paused: true
}
