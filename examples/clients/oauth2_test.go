package clients_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/datapunk/evenkeel/transport"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

func oauthClient(ctx context.Context, config *clientcredentials.Config, options []transport.Option) (*http.Client, error) {
	// README: oauth2
	chain, err := transport.New(nil, append(options, transport.WithRepeatable(func(r *http.Request) bool {
		return r.URL.Path == "/token" // an extra token does no harm
	}))...)
	if err != nil {
		return nil, err
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: chain})
	client := config.Client(ctx)
	// README: end
	return client, nil
}

func TestOAuth2(t *testing.T) {
	t.Parallel()
	const token = `{"access_token":"T","token_type":"bearer","expires_in":3600}`
	busy := answer(503, "application/json", `{"error":"temporarily_unavailable"}`)
	config := func(b *backend) *clientcredentials.Config {
		return &clientcredentials.Config{ClientID: "id", ClientSecret: "secret", TokenURL: b.URL + "/token", AuthStyle: oauth2.AuthStyleInParams}
	}
	client := func(t *testing.T, b *backend) (*http.Client, *record) {
		t.Helper()
		options, calls := options(t)
		client, err := oauthClient(t.Context(), config(b), options)
		if err != nil {
			t.Fatal(err)
		}
		return client, calls
	}
	put := func(t *testing.T, client *http.Client, url string) (*http.Response, error) {
		t.Helper()
		req, err := http.NewRequest("PUT", url+"/api", strings.NewReader("tea"))
		if err != nil {
			t.Fatal(err)
		}
		return client.Do(req)
	}

	t.Run("token and call", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, busy, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				answer(200, "application/json", token)(w, r)
				return
			}
			slowly(w, r, "Authorization: ", r.Header.Get("Authorization"))
		})
		client, calls := client(t, b)
		resp, err := put(t, client, b.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got, err := io.ReadAll(resp.Body); string(got) != "Authorization: Bearer T" || err != nil {
			t.Errorf("read %q, %v, want the token", got, err)
		}
		b.expect(t, "POST /token", 3)
		b.expect(t, "PUT /api", 3)
		if body := string(b.of("PUT /api")[0].body); body != "tea" {
			t.Errorf("body %q, want tea", body)
		}
		if got, want := calls.String(), "[POST 3 succeeded PUT 3 succeeded]"; got != want {
			t.Errorf("calls %s, want %s", got, want)
		}
	})
	t.Run("three attempts stay three", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, busy, nil)
		client, _ := client(t, b)
		_, with := put(t, client, b.URL)
		b.expect(t, "POST /token", 3)
		if retrieve, ok := errors.AsType[*oauth2.RetrieveError](with); !ok || retrieve.ErrorCode != "temporarily_unavailable" {
			t.Errorf("error %v, want an oauth2.RetrieveError with its code", with)
		}
		ctx := context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: bare(t)})
		_, without := put(t, config(b).Client(ctx), b.URL)
		sameError(t, without, with)
	})
	t.Run("a token for each attempt", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, busy, answer(200, "", ""))
		tokens := 0
		source := tokenFunc(func() (*oauth2.Token, error) {
			tokens++
			return &oauth2.Token{AccessToken: "T"}, nil
		})
		options, _ := options(t)
		// README: oauth2-layer
		chain, err := transport.New(nil, append(options, transport.WithAttemptLayer(func(next http.RoundTripper) http.RoundTripper {
			return &oauth2.Transport{Source: source, Base: next}
		}))...)
		// README: end
		if err != nil {
			t.Fatal(err)
		}
		resp, err := put(t, &http.Client{Transport: chain}, b.URL)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		b.expect(t, "PUT /api", 3)
		if tokens != 3 {
			t.Errorf("asked for %d tokens, want 3", tokens)
		}
	})
}

type tokenFunc func() (*oauth2.Token, error)

func (f tokenFunc) Token() (*oauth2.Token, error) { return f() }
