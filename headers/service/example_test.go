package service_test

import (
	"context"
	"fmt"

	"github.com/datapunk/evenkeel/headers/service"
)

// A counter for each service, for two services at most. One that counts nothing
// makes room.
func ExampleSet() {
	type counter struct{ calls int }
	counters := service.NewSet(2,
		func(name string) *counter { return new(counter) },
		func(c *counter) bool { return c.calls == 0 })
	for _, name := range []string{"users", "orders", "users", "search"} {
		if c := counters.Get(name); c != nil {
			c.calls++
		} else {
			fmt.Println("no room for", name)
		}
	}
	fmt.Println("users:", counters.Peek("users").calls)
	// Output:
	// no room for search
	// users: 2
}

// A layer below package transport, or a breaker, finds the name of the service.
func ExampleWith() {
	ctx := service.With(context.Background(), "users")
	fmt.Println(service.Of(ctx))
	// Output:
	// users
}

func ExampleOfHost() {
	fmt.Println(service.OfHost("API.example.com:443"), service.OfHost("localhost:8080"))
	// Output:
	// api.example.com localhost:8080
}
