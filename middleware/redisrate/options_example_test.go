package redisrate_test

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/redisrate"
	"github.com/redis/go-redis/v9"
)

// embedded is a Redis in this process, and a client of it.
func embedded() (srv *miniredis.Miniredis, client *redis.Client, end func()) {
	srv, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	client = redis.NewClient(&redis.Options{Addr: srv.Addr()})
	return srv, client, func() {
		client.Close()
		srv.Close()
	}
}

// Two quotas for the same keys.
func ExampleWithPrefix() {
	srv, client, end := embedded()
	defer end()
	for _, q := range []struct {
		prefix string
		quota  middleware.Quota
	}{
		{"daily:", middleware.Quota{Requests: 10_000, Per: 24 * time.Hour}},
		{"hourly:", middleware.Quota{Requests: 1000, Per: time.Hour}},
	} {
		limiter, err := redisrate.New(client, q.quota, redisrate.WithPrefix(q.prefix))
		if err != nil {
			fmt.Println(err)
			return
		}
		limiter.Take(context.Background(), "k7")
	}
	fmt.Println(srv.Keys())
	// Output:
	// [daily:k7 hourly:k7]
}

// A Redis in another region takes longer to answer than the default allows for.
func ExampleWithTimeout() {
	_, client, end := embedded()
	defer end()
	limiter, err := redisrate.New(client, middleware.Quota{Requests: 100, Per: time.Hour},
		redisrate.WithTimeout(250*time.Millisecond))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(limiter.Take(context.Background(), "k7").Remaining)
	// Output:
	// 99
}

// A Redis that fails is asked again once in five seconds by each instance, which
// counts for itself.
func ExampleWithPause() {
	srv, client, end := embedded()
	defer end()
	limiter, err := redisrate.New(client, middleware.Quota{Requests: 2, Per: time.Hour},
		redisrate.WithPause(5*time.Second))
	if err != nil {
		fmt.Println(err)
		return
	}
	srv.SetError("LOADING Redis is loading the dataset in memory")
	for range 3 {
		fmt.Println(limiter.Take(context.Background(), "k7").OK)
	}
	// Output:
	// true
	// true
	// false
}

// A service with a million keys that are busy at a time.
func ExampleWithMaxKeys() {
	_, client, end := embedded()
	defer end()
	limiter, err := redisrate.New(client, middleware.Quota{Requests: 100, Per: time.Minute},
		redisrate.WithMaxKeys(1_000_000))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(limiter.Take(context.Background(), "k7").OK)
	// Output:
	// true
}

// The log says that Redis is away, once in a pause.
func ExampleWithObserver() {
	srv, client, end := embedded()
	defer end()
	limiter, err := redisrate.New(client, middleware.Quota{Requests: 100, Per: time.Hour},
		redisrate.WithPause(time.Hour),
		redisrate.WithObserver(redisrate.Observer{OnError: func(err error) { fmt.Println(err) }}))
	if err != nil {
		fmt.Println(err)
		return
	}
	srv.SetError("LOADING Redis is loading the dataset in memory")
	for range 3 {
		fmt.Println(limiter.Take(context.Background(), "k7").OK)
	}
	// Output:
	// redisrate: LOADING Redis is loading the dataset in memory
	// true
	// true
	// true
}
