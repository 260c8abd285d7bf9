package clients_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/go-resty/resty/v2"
)

func restyClient(chain http.RoundTripper) *resty.Client {
	// README: resty
	client := resty.New().SetTransport(chain).SetTimeout(10 * time.Second)
	// README: end
	return client
}

func TestResty(t *testing.T) {
	t.Parallel()
	busy := answer(503, "application/json", `{"error":"busy"}`)
	type order struct {
		Tea int `json:"tea"`
	}

	t.Run("put", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, busy, answer(200, "application/json", `{"tea":2}`))
		chain, calls := newChain(t, bare(t))
		var got order
		resp, err := restyClient(chain).R().SetBody(order{1}).SetResult(&got).Put(b.URL + "/orders/1")
		if err != nil || resp.StatusCode() != 200 || got.Tea != 2 {
			t.Errorf("got %v, %v, want 2", got, err)
		}
		b.expect(t, "PUT /orders/1", 3)
		if body := string(b.of("PUT /orders/1")[0].body); body != `{"tea":1}` {
			t.Errorf("body %s, want the order", body)
		}
		if got, want := calls.String(), "[PUT 3 succeeded]"; got != want {
			t.Errorf("calls %s, want %s", got, want)
		}
	})
	t.Run("three attempts stay three", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, busy, nil)
		chain, _ := newChain(t, bare(t))
		var problem struct{ Error string }
		resp, err := restyClient(chain).R().SetError(&problem).Get(b.URL + "/orders/1")
		if err != nil || resp.StatusCode() != 503 || problem.Error != "busy" {
			t.Errorf("got %v, %v, %v, want status 503 and its body", resp.StatusCode(), problem, err)
		}
		b.expect(t, "GET /orders/1", 3)
	})
	t.Run("post is sent once", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, reset, nil)
		chain, _ := newChain(t, bare(t))
		_, without := restyClient(bare(t)).R().SetBody(order{1}).Post(b.URL + "/orders")
		_, with := restyClient(chain).R().SetBody(order{1}).Post(b.URL + "/orders")
		sameError(t, without, with)
		b.expect(t, "POST /orders", 2) // one each
	})
	t.Run("post with a key", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, busy, answer(201, "application/json", `{}`))
		chain, _ := newChain(t, bare(t))
		resp, err := restyClient(chain).R().SetHeader("Idempotency-Key", `"7"`).SetBody(order{1}).Post(b.URL + "/orders")
		if err != nil || resp.StatusCode() != 201 {
			t.Errorf("got %v, %v, want 201", resp.StatusCode(), err)
		}
		b.expect(t, "POST /orders", 3)
	})
	t.Run("slow download", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, busy, func(w http.ResponseWriter, r *http.Request) { slowly(w, r, "one", "two") })
		chain, _ := newChain(t, bare(t))
		resp, err := restyClient(chain).R().SetDoNotParseResponse(true).Get(b.URL + "/report")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.RawBody().Close()
		if got, err := io.ReadAll(resp.RawBody()); string(got) != "onetwo" || err != nil {
			t.Errorf("read %q, %v, want onetwo", got, err)
		}
	})
}
