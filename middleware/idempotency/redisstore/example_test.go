package redisstore_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/datapunk/evenkeel/middleware/idempotency/redisstore"
	"github.com/redis/go-redis/v9"
)

// redisFor starts an embedded Redis.
func redisFor() (client *redis.Client, end func()) {
	srv, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	client = redis.NewClient(&redis.Options{Addr: srv.Addr()})
	return client, func() { client.Close(); srv.Close() }
}

// Two instances of a service get the same request, and one of them runs it.
func Example() {
	client, end := redisFor()
	defer end()
	instance := func() http.Handler {
		store, err := redisstore.New(client)
		if err != nil {
			panic(err)
		}
		keys, err := idempotency.New(store, idempotency.ByAuthorization)
		if err != nil {
			panic(err)
		}
		return keys(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Println("charged")
			w.WriteHeader(http.StatusCreated)
		}))
	}
	for _, handler := range []http.Handler{instance(), instance()} {
		r := httptest.NewRequest("POST", "/charges", strings.NewReader(`{"amount":100}`))
		r.Header.Set("Authorization", "Bearer t")
		r.Header.Set(headers.IdempotencyKey, `"order-7"`)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get("Idempotent-Replayed") == "true")
	}
	// Output:
	// charged
	// 201 false
	// 201 true
}

// The mistake is to share a Redis in which keys are evicted, as a cache is: a claim
// that is gone has its request run again.
func ExampleNew_incorrect() {
	client, end := redisFor()
	defer end()
	store, err := redisstore.New(client)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	claim := func(owner string) idempotency.Claim {
		return idempotency.Claim{
			Hold:        idempotency.Hold{Key: idempotency.RecordKey("a", "k"), Owner: owner, Lease: time.Minute, Keep: time.Hour},
			Fingerprint: idempotency.RecordKey("", "POST /charges"),
		}
	}
	store.Begin(ctx, claim("first"))
	client.FlushAll(ctx)
	found, err := store.Begin(ctx, claim("second"))
	fmt.Println(found.State, err)
	// Output:
	// started <nil>
}

// Two services share a Redis.
func ExamplePrefix() {
	client, end := redisFor()
	defer end()
	store, err := redisstore.New(client, redisstore.Prefix("shop"))
	if err != nil {
		fmt.Println(err)
		return
	}
	hold := idempotency.Hold{Key: idempotency.RecordKey("a", "k"), Owner: "o", Lease: time.Minute, Keep: time.Hour}
	store.Begin(context.Background(), idempotency.Claim{Hold: hold})
	keys, err := client.Keys(context.Background(), "*").Result()
	fmt.Println(keys, err)
	// Output:
	// [shop:{g9EvKNgXNgE_VNU0poofxmV-m6Efphx6LaCUDOAmgO0}] <nil>
}

// A Redis without replicas lets nothing begin that needs one.
func ExampleReplicas() {
	client, end := redisFor()
	defer end()
	store, err := redisstore.New(client, redisstore.Replicas(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	hold := idempotency.Hold{Key: idempotency.RecordKey("a", "k"), Owner: "o", Lease: time.Minute, Keep: time.Hour}
	_, err = store.Begin(context.Background(), idempotency.Claim{Hold: hold})
	fmt.Println(err != nil)
	// Output:
	// true
}

func ExampleWithObserver() {
	client, end := redisFor()
	defer end()
	store, err := redisstore.New(client,
		redisstore.WithObserver(redisstore.Log(slog.Default())),
		redisstore.WithObserver(redisstore.Observer{OnEviction: func(policy string) { fmt.Println("evicts:", policy) }}))
	fmt.Println(store != nil, err)
	// Output:
	// true <nil>
}
