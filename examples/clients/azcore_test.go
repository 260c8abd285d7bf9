package clients_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
)

func azureOptions(chain http.RoundTripper) policy.ClientOptions {
	// README: azcore
	options := policy.ClientOptions{
		Transport: &http.Client{Transport: chain},
		Retry:     policy.RetryOptions{MaxRetries: -1},
	}
	// README: end
	return options
}

func TestAzcore(t *testing.T) {
	t.Parallel()
	busy := answer(503, "application/json", `{"error":{"code":"ServerBusy","message":"busy"}}`)
	// do is what a client of an Azure service does with its pipeline.
	do := func(t *testing.T, rt http.RoundTripper, method, url string, body []byte) (*http.Response, error) {
		options := azureOptions(rt)
		pipeline := runtime.NewPipeline("example", "v1.0.0", runtime.PipelineOptions{}, &options)
		req, err := runtime.NewRequest(t.Context(), method, url+"/blob")
		if err != nil {
			t.Fatal(err)
		}
		runtime.SkipBodyDownload(req)
		if body != nil {
			if err := req.SetBody(streaming.NopCloser(bytes.NewReader(body)), "application/octet-stream"); err != nil {
				t.Fatal(err)
			}
		}
		resp, err := pipeline.Do(req)
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { resp.Body.Close() })
		if !runtime.HasStatusCode(resp, 200) {
			return nil, runtime.NewResponseError(resp)
		}
		return resp, nil
	}

	t.Run("upload", func(t *testing.T) {
		t.Parallel()
		body := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
		b := serve(t, 2, busy, answer(200, "", ""))
		chain, calls := newChain(t, bare(t))
		if _, err := do(t, chain, "PUT", b.URL, body); err != nil {
			t.Error(err)
		}
		b.expect(t, "PUT /blob", 3)
		if got := b.of("PUT /blob")[0].body; !bytes.Equal(got, body) {
			t.Errorf("%d bytes arrived, want the %d that were sent", len(got), len(body))
		}
		if got, want := calls.String(), "[PUT 3 succeeded]"; got != want {
			t.Errorf("calls %s, want %s", got, want)
		}
	})
	t.Run("three attempts stay three", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, busy, nil)
		chain, _ := newChain(t, bare(t))
		_, err := do(t, chain, "GET", b.URL, nil)
		if azure, ok := errors.AsType[*azcore.ResponseError](err); !ok || azure.ErrorCode != "ServerBusy" {
			t.Errorf("error %v, want an azcore.ResponseError with the code ServerBusy", err)
		}
		b.expect(t, "GET /blob", 3)
	})
	t.Run("post is sent once", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, reset, nil)
		chain, _ := newChain(t, bare(t))
		_, without := do(t, bare(t), "POST", b.URL, []byte("{}"))
		_, with := do(t, chain, "POST", b.URL, []byte("{}"))
		sameError(t, without, with)
		b.expect(t, "POST /blob", 2) // one each
	})
	t.Run("slow download", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, busy, func(w http.ResponseWriter, r *http.Request) { slowly(w, r, "one", "two") })
		chain, _ := newChain(t, bare(t))
		resp, err := do(t, chain, "GET", b.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(resp.Body); string(got) != "onetwo" || err != nil {
			t.Errorf("read %q, %v, want onetwo", got, err)
		}
	})
}
