package redisrate_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/redisrate"
	"github.com/redis/go-redis/v9"
)

// Two instances of a service and one quota.
func Example() {
	srv, err := miniredis.Run()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	client := redis.NewClient(&redis.Options{Addr: srv.Addr()})
	defer client.Close()

	quota := middleware.Quota{Requests: 3, Per: time.Hour}
	instance := func() http.Handler {
		limiter, err := redisrate.New(client, quota, redisrate.WithTimeout(time.Minute))
		if err != nil {
			panic(err)
		}
		wrap, err := middleware.New(middleware.WithRate(middleware.Rate{
			Quota: quota, Limiter: limiter,
			Key: func(r *http.Request) string { return r.Header.Get("X-Api-Key") },
		}))
		if err != nil {
			panic(err)
		}
		return wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	}
	instances := []http.Handler{instance(), instance()}
	for i := range 4 {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-Api-Key", "k7")
		w := httptest.NewRecorder()
		instances[i%2].ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 200
	// 200
	// 200
	// 429
}

// The mistake is to give limiters with different quotas the same prefix: they
// write over each other's numbers.
func ExampleNew_incorrect() {
	srv, err := miniredis.Run()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	client := redis.NewClient(&redis.Options{Addr: srv.Addr()})
	defer client.Close()
	daily, _ := redisrate.New(client, middleware.Quota{Requests: 1000, Per: 24 * time.Hour})
	atOnce, _ := redisrate.New(client, middleware.Quota{Requests: 10, Per: time.Second})
	for range 10 {
		daily.Take(context.Background(), "k7")
	}
	fmt.Println(atOnce.Take(context.Background(), "k7").OK)
	// Output:
	// false
}
