package clients_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/datapunk/evenkeel/transport"
	"github.com/hashicorp/go-retryablehttp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

const podJSON = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"d","resourceVersion":"5"}}`

// README: client-go-check
// notClientGos leaves to client-go what it retries by itself.
func notClientGos(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if resp != nil && resp.Header.Get("Retry-After") != "" || utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err) {
		return false, nil
	}
	return retryablehttp.DefaultRetryPolicy(ctx, resp, err)
}

// README: end

func kubernetesClient(config *rest.Config, options []transport.Option) (*dynamic.DynamicClient, error) {
	// README: client-go
	chain, err := transport.New(nil, append(options, transport.WithCheckRetry(notClientGos))...)
	if err != nil {
		return nil, err
	}
	config.Wrap(chain.Wrap)
	client, err := dynamic.NewForConfig(config)
	// README: end
	return client, err
}

func pods(t *testing.T, url string, chain bool) (dynamic.ResourceInterface, *record) {
	t.Helper()
	config := &rest.Config{Host: url, QPS: -1}
	client, err := dynamic.NewForConfig(config)
	options, calls := options(t)
	if chain {
		client, err = kubernetesClient(config, options)
	}
	if err != nil {
		t.Fatal(err)
	}
	return client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace("d"), calls
}

func failure(code int, reason metav1.StatusReason, retryAfter string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		answer(code, "application/json", fmt.Sprintf(
			`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d}`, reason, code))(w, r)
	}
}

func TestClientGo(t *testing.T) {
	t.Parallel()
	const route = "GET /api/v1/namespaces/d/pods/a"
	found := answer(200, "application/json", podJSON)
	unavailable := failure(503, metav1.StatusReasonServiceUnavailable, "")

	t.Run("the chain repeats what has no Retry-After", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, unavailable, found)
		pods, calls := pods(t, b.URL, true)
		pod, err := pods.Get(t.Context(), "a", metav1.GetOptions{})
		if err != nil || pod.GetName() != "a" {
			t.Errorf("got %v, %v, want the pod", pod, err)
		}
		b.expect(t, route, 3)
		if got, want := calls.String(), "[GET 3 succeeded]"; got != want {
			t.Errorf("calls %s, want %s", got, want)
		}
	})
	t.Run("three attempts stay three", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, unavailable, nil)
		pods, _ := pods(t, b.URL, true)
		if _, err := pods.Get(t.Context(), "a", metav1.GetOptions{}); !apierrors.IsServiceUnavailable(err) {
			t.Errorf("error %v, want one that IsServiceUnavailable", err)
		}
		b.expect(t, route, 3)
	})
	for name, fail := range map[string]http.HandlerFunc{
		"client-go repeats what has a Retry-After": failure(429, metav1.StatusReasonTooManyRequests, "0"),
		"client-go repeats a reset":                reset,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := serve(t, 2, fail, found)
			pods, _ := pods(t, b.URL, true)
			if _, err := pods.Get(t.Context(), "a", metav1.GetOptions{}); err != nil {
				t.Error(err)
			}
			b.expect(t, route, 3)
		})
	}
	t.Run("as often as without the chain", func(t *testing.T) {
		t.Parallel()
		var arrived [2]int
		for i, chain := range []bool{false, true} {
			b := serve(t, always, failure(429, metav1.StatusReasonTooManyRequests, "0"), nil)
			pods, _ := pods(t, b.URL, chain)
			if _, err := pods.Get(t.Context(), "a", metav1.GetOptions{}); !apierrors.IsTooManyRequests(err) {
				t.Errorf("chain %v: error %v, want one that IsTooManyRequests", chain, err)
			}
			arrived[i] = len(b.of(route))
		}
		if arrived[0] != arrived[1] {
			t.Errorf("%d requests with the chain, want %d as without it", arrived[1], arrived[0])
		}
	})
	t.Run("create is sent once", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, reset, nil)
		var errs [2]error
		for i, chain := range []bool{false, true} {
			pods, _ := pods(t, b.URL, chain)
			pod := &unstructured.Unstructured{}
			if err := pod.UnmarshalJSON([]byte(podJSON)); err != nil {
				t.Fatal(err)
			}
			_, errs[i] = pods.Create(t.Context(), pod, metav1.CreateOptions{})
		}
		sameError(t, errs[0], errs[1])
		b.expect(t, "POST /api/v1/namespaces/d/pods", 2) // one each
	})
	t.Run("watch", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, unavailable, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			event := `{"type":"ADDED","object":` + podJSON + "}\n"
			slowly(w, r, event, event)
		})
		pods, _ := pods(t, b.URL, true)
		watch, err := pods.Watch(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer watch.Stop()
		events := 0
		for range watch.ResultChan() {
			events++
		}
		if events != 2 {
			t.Errorf("%d events, want 2", events)
		}
		b.expect(t, "GET /api/v1/namespaces/d/pods", 3)
	})
}
