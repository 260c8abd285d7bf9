package clients_test

import (
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/datapunk/evenkeel/transport"
	vault "github.com/hashicorp/vault/api"
)

func vaultClient(config *vault.Config, chain *transport.Transport) (*vault.Client, error) {
	// README: vault
	config.HttpClient.Transport = chain.Wrap(config.HttpClient.Transport)
	config.MaxRetries = 0
	client, err := vault.NewClient(config)
	// README: end
	return client, err
}

func TestVault(t *testing.T) {
	t.Parallel()
	const route = "PUT /v1/secret/data/x"
	sealed := answer(503, "application/json", `{"errors":["Vault is sealed"]}`)
	config := func(b *backend) *vault.Config {
		config := vault.DefaultConfig()
		config.Address = b.URL
		return config
	}
	// plain is a client that neither repeats nor has a chain.
	plain := func(t *testing.T, b *backend) *vault.Client {
		t.Helper()
		config := config(b)
		config.MaxRetries = 0
		client, err := vault.NewClient(config)
		if err != nil {
			t.Fatal(err)
		}
		return client
	}
	client := func(t *testing.T, b *backend, chain *transport.Transport) *vault.Client {
		t.Helper()
		client, err := vaultClient(config(b), chain)
		if err != nil {
			t.Fatal(err)
		}
		client.SetToken("token")
		return client
	}
	secret := map[string]any{"data": map[string]any{"a": "b"}}

	t.Run("write", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, sealed, answer(200, "application/json", `{"data":{"version":1}}`))
		chain, calls := newChain(t, nil)
		got, err := client(t, b, chain).Logical().WriteWithContext(t.Context(), "secret/data/x", secret)
		if err != nil || got.Data["version"] == nil {
			t.Errorf("got %v, %v, want a version", got, err)
		}
		b.expect(t, route, 3)
		if body := string(b.of(route)[0].body); body != `{"data":{"a":"b"}}` {
			t.Errorf("body %s, want the secret", body)
		}
		if got, want := calls.String(), "[PUT 3 succeeded]"; got != want {
			t.Errorf("calls %s, want %s", got, want)
		}
	})
	t.Run("three attempts stay three", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, sealed, nil)
		chain, _ := newChain(t, nil)
		_, with := client(t, b, chain).Logical().WriteWithContext(t.Context(), "secret/data/x", secret)
		b.expect(t, route, 3)
		if api, ok := errors.AsType[*vault.ResponseError](with); !ok || api.StatusCode != 503 {
			t.Errorf("error %v, want a ResponseError of status 503", with)
		}
		_, without := plain(t, b).Logical().WriteWithContext(t.Context(), "secret/data/x", secret)
		sameError(t, without, with)
	})
	t.Run("permission denied", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, answer(403, "application/json", `{"errors":["permission denied"]}`), nil)
		chain, _ := newChain(t, nil)
		_, without := plain(t, b).Logical().ReadWithContext(t.Context(), "secret/data/x")
		_, with := client(t, b, chain).Logical().ReadWithContext(t.Context(), "secret/data/x")
		sameError(t, without, with)
		b.expect(t, "GET /v1/secret/data/x", 2) // one each
	})
	t.Run("slow download", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, sealed, func(w http.ResponseWriter, r *http.Request) { slowly(w, r, "one", "two") })
		chain, _ := newChain(t, nil)
		resp, err := client(t, b, chain).Logical().ReadRawWithContext(t.Context(), "sys/storage/raft/snapshot")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got, err := io.ReadAll(resp.Body); string(got) != "onetwo" || err != nil {
			t.Errorf("read %q, %v, want onetwo", got, err)
		}
	})
}
