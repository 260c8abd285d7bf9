package redisbreaker_test

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/datapunk/evenkeel/breaker/redisbreaker"
	"github.com/redis/go-redis/v9"
)

// isolateIn isolates a service in a fleet with those options, and returns the keys in
// Redis.
func isolateIn(opts ...redisbreaker.Option) []string {
	server, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	fleet, err := redisbreaker.New(client, opts...)
	if err != nil {
		fmt.Println(err)
		return nil
	}
	defer fleet.Close(context.Background())
	if err := fleet.Isolate(context.Background(), "users.test", time.Minute); err != nil {
		fmt.Println(err)
	}
	return server.Keys()
}

// Two fleets in one Redis have two prefixes.
func ExampleWithPrefix() {
	fmt.Println(isolateIn(redisbreaker.WithPrefix("europe")))
	// Output:
	// [europe:v1:{europe:0}:users.test]
}

// The services of a fleet are spread over more slots of a cluster.
func ExampleWithShards() {
	fmt.Println(isolateIn(redisbreaker.WithPrefix("p"), redisbreaker.WithShards(16)))
	// Output:
	// [p:v1:{p:3}:users.test]
}

// Reports every 100 ms find an overload sooner and cost Redis ten times as much.
func ExampleWithInterval() {
	for _, d := range []time.Duration{100 * time.Millisecond, time.Hour} {
		client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
		defer client.Close()
		fleet, err := redisbreaker.New(client, redisbreaker.WithInterval(d))
		if err != nil {
			fmt.Println(err)
			continue
		}
		fleet.Close(context.Background())
	}
	// Output:
	// redisbreaker: WithInterval(1h0m0s): want 100ms to 1m0s
}

// A service for which there is no room is judged by this process alone.
func ExampleWithMaxServices() {
	client, stop := local()
	defer stop()
	fleet, err := redisbreaker.New(client, redisbreaker.WithMaxServices(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fleet.Close(context.Background())
	for _, name := range []string{"users.test", "orders.test"} {
		fmt.Println(name, fleet.Guard().Service(name) != nil)
	}
	// Output:
	// users.test true
	// orders.test false
}

// Processes with fewer than 5 calls per second follow the fleet.
func ExampleWithRareBelow() {
	client, stop := local()
	defer stop()
	fleet, err := redisbreaker.New(client, redisbreaker.WithRareBelow(5))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fleet.Close(context.Background())
	_, ok := fleet.Guard().Service("users.test").Admit(1)
	fmt.Println("the first call is sent:", ok)
	// Output:
	// the first call is sent: true
}

// An observer hears what begins and ends.
func ExampleWithObserver() {
	client, stop := local()
	defer stop()
	heard := make(chan redisbreaker.VerdictEvent, 1)
	fleet, err := redisbreaker.New(client, redisbreaker.WithInterval(100*time.Millisecond),
		redisbreaker.WithObserver(redisbreaker.Observer{OnVerdict: func(e redisbreaker.VerdictEvent) { heard <- e }}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fleet.Close(context.Background())
	other, err := redisbreaker.New(client)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer other.Close(context.Background())
	fleet.Guard().Service("users.test")
	if err := other.Isolate(context.Background(), "users.test", time.Hour); err != nil {
		fmt.Println(err)
		return
	}
	e := <-heard
	fmt.Println(e.Service, "isolated for", e.Isolated.Round(time.Minute))
	// Output:
	// users.test isolated for 1h0m0s
}

// A dry run shows in Stats and to observers what the fleet sees, and applies nothing.
func ExampleWithDryRun() {
	client, stop := local()
	defer stop()
	fleet, err := redisbreaker.New(client, redisbreaker.WithDryRun())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fleet.Close(context.Background())
	users := fleet.Guard().Service("users.test")
	users.Admit(1)
	for fleet.Stats("users.test").Instances == 0 {
		<-time.After(10 * time.Millisecond)
	}
	_, ok := users.Admit(2)
	fmt.Println("share of the fleet:", fleet.Stats("users.test").Share, "- a retry is sent:", ok)
	// Output:
	// share of the fleet: 1 - a retry is sent: true
}
