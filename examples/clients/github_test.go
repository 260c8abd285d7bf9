package clients_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-github/v74/github"
)

func githubClient(t *testing.T, base string, chain http.RoundTripper) *github.Client {
	t.Helper()
	// README: github
	client := github.NewClient(&http.Client{Transport: chain})
	// README: end
	var err error
	if client.BaseURL, err = url.Parse(base + "/"); err != nil {
		t.Fatal(err)
	}
	return client
}

func TestGitHub(t *testing.T) {
	t.Parallel()
	const route = "GET /repos/o/r"
	busy := answer(502, "application/json", `{"message":"Server Error"}`)

	t.Run("read", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, busy, answer(200, "application/json", `{"name":"r"}`))
		chain, calls := newChain(t, bare(t))
		repo, _, err := githubClient(t, b.URL, chain).Repositories.Get(t.Context(), "o", "r")
		if repo.GetName() != "r" || err != nil {
			t.Errorf("got %v, %v, want r", repo, err)
		}
		b.expect(t, route, 3)
		if got, want := calls.String(), "[GET 3 succeeded]"; got != want {
			t.Errorf("calls %s, want %s", got, want)
		}
	})
	t.Run("three attempts stay three", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, busy, nil)
		chain, _ := newChain(t, bare(t))
		_, _, with := githubClient(t, b.URL, chain).Repositories.Get(t.Context(), "o", "r")
		b.expect(t, route, 3)
		_, _, without := githubClient(t, b.URL, bare(t)).Repositories.Get(t.Context(), "o", "r")
		sameError(t, without, with)
	})
	t.Run("write", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, busy, nil)
		chain, _ := newChain(t, bare(t))
		issue := &github.IssueRequest{Title: github.Ptr("title")}
		_, _, without := githubClient(t, b.URL, bare(t)).Issues.Create(t.Context(), "o", "r", issue)
		_, _, with := githubClient(t, b.URL, chain).Issues.Create(t.Context(), "o", "r", issue)
		sameError(t, without, with)
		b.expect(t, "POST /repos/o/r/issues", 2) // one each
	})
	t.Run("rate limit", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-RateLimit-Remaining", "0")
			w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10))
			answer(403, "application/json", `{"message":"API rate limit exceeded"}`)(w, r)
		}, nil)
		chain, _ := newChain(t, bare(t))
		client := githubClient(t, b.URL, chain)
		for range 2 {
			_, _, err := client.Repositories.Get(t.Context(), "o", "r")
			if _, ok := errors.AsType[*github.RateLimitError](err); !ok {
				t.Errorf("error %v, want a RateLimitError", err)
			}
		}
		b.expect(t, route, 1) // the second is refused by go-github
	})
	for _, tt := range []struct {
		retryAfter string
		arrive     int
		calls      string
	}{
		{"1", 2, "[GET 2 succeeded]"},
		{"60", 1, "[GET 1 retry_after]"},
	} {
		t.Run("secondary rate limit for "+tt.retryAfter+"s", func(t *testing.T) {
			t.Parallel()
			b := serve(t, 1, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", tt.retryAfter)
				answer(403, "application/json", `{"message":"slow down","documentation_url":"https://docs.github.com/#secondary-rate-limits"}`)(w, r)
			}, answer(200, "application/json", `{"name":"r"}`))
			chain, calls := newChain(t, bare(t))
			_, _, err := githubClient(t, b.URL, chain).Repositories.Get(t.Context(), "o", "r")
			if _, ok := errors.AsType[*github.AbuseRateLimitError](err); ok != (tt.arrive == 1) || !ok && err != nil {
				t.Errorf("error %v, want an AbuseRateLimitError if it was sent once, and else none", err)
			}
			b.expect(t, route, tt.arrive)
			if got := calls.String(); got != tt.calls {
				t.Errorf("calls %s, want %s", got, tt.calls)
			}
		})
	}
	t.Run("slow download", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, busy, func(w http.ResponseWriter, r *http.Request) { slowly(w, r, "one", "two") })
		chain, _ := newChain(t, bare(t))
		body, _, err := githubClient(t, b.URL, chain).Repositories.DownloadReleaseAsset(t.Context(), "o", "r", 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		if got, err := io.ReadAll(body); string(got) != "onetwo" || err != nil {
			t.Errorf("read %q, %v, want onetwo", got, err)
		}
	})
}
