package redisbreaker_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/breaker/redisbreaker"
	"github.com/datapunk/evenkeel/transport"
	"github.com/redis/go-redis/v9"
)

// local is a Redis for the examples.
func local() (*redis.Client, func()) {
	server, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	return client, func() {
		client.Close()
		server.Close()
	}
}

// A chain whose guard and circuits know what the other processes see.
func Example() {
	client, stop := local()
	defer stop()
	fleet, err := redisbreaker.New(client)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fleet.Close(context.Background())
	circuits, err := breaker.New(breaker.WithShared(fleet.Circuits()))
	if err != nil {
		fmt.Println(err)
		return
	}
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: http.NoBody, Request: req}, nil
	})
	rt, err := transport.New(base, transport.WithFleet(fleet.Guard()), transport.WithBreaker(circuits.Wrap))
	if err != nil {
		fmt.Println(err)
		return
	}
	web := &http.Client{Transport: rt}
	resp, err := web.Get("http://users.test/")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.StatusCode, circuits.State("users.test"))
	// Output:
	// 200 closed
}

// An operator takes a service out of all processes. Here is one of them.
func ExampleFleet_Isolate() {
	client, stop := local()
	defer stop()
	fleet, err := redisbreaker.New(client)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fleet.Close(context.Background())
	circuits, err := breaker.New(breaker.WithShared(fleet.Circuits()))
	if err != nil {
		fmt.Println(err)
		return
	}
	web := &http.Client{Transport: circuits.Wrap(nil)}
	if err := fleet.Isolate(context.Background(), "users.test", time.Hour); err != nil {
		fmt.Println(err)
		return
	}
	_, err = web.Get("http://users.test/")
	refused, _ := errors.AsType[*breaker.OpenError](err)
	fmt.Println("refused by the fleet:", refused.Fleet, refused.RetryIn.Round(time.Minute))
	if err := fleet.Release(context.Background(), "users.test"); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("now:", circuits.State("users.test"))
	// Output:
	// refused by the fleet: true 1h0m0s
	// now: closed
}

// A fleet for each client is a mistake: each counts as a process of its own, so that one
// process alone could prove what takes three.
func ExampleNew_incorrect() {
	client, stop := local()
	defer stop()
	for range 3 {
		fleet, err := redisbreaker.New(client) // want one for the program
		if err != nil {
			fmt.Println(err)
			return
		}
		defer fleet.Close(context.Background())
	}
	fmt.Println("three processes, as it seems")
	// Output:
	// three processes, as it seems
}
