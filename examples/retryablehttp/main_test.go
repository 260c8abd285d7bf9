package main

import (
	"errors"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"

	"github.com/hashicorp/go-retryablehttp"
)

func Example() {
	main()
	// Output:
	// go-retryablehttp:
	//   POST /orders Post "...": POST ... giving up after 3 attempt(s); orders made: 3
	//   GET /down    Get "...": GET ... giving up after 3 attempt(s)
	//   GET /busy    Get "...": context deadline exceeded
	// evenkeel, with the settings of that client:
	//   POST /orders 502 Bad Gateway, "lost" (attempts: 1, stopped by: method); orders made: 1
	//   GET /down    503 Service Unavailable, "closed" (attempts: 3, stopped by: attempts)
	//   GET /busy    429 Too Many Requests, "come back later" (attempts: 1, stopped by: retry_after)
	// code that asks for a *retryablehttp.Client:
	//   GET /flaky   200 OK (attempts: 2, stopped by: succeeded)
}

// A setting that cannot be kept is an error, not silently lost.
func TestSettingsThatCannotBeMoved(t *testing.T) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for setting, set := range map[string]func(*retryablehttp.Client){
		"ErrorHandler":             func(c *retryablehttp.Client) { c.ErrorHandler = giveUp },
		"HTTPClient.Jar":           func(c *retryablehttp.Client) { c.HTTPClient.Jar = jar },
		"HTTPClient.CheckRedirect": func(c *retryablehttp.Client) { c.HTTPClient.CheckRedirect = noRedirects },
	} {
		t.Run(setting, func(t *testing.T) {
			old := oldClient()
			set(old)
			if _, err := moved(old); err == nil || !strings.Contains(err.Error(), setting) {
				t.Errorf("got %v, want an error that names %s", err, setting)
			}
		})
	}
}

func giveUp(*http.Response, error, int) (*http.Response, error) { return nil, errors.New("gave up") }

func noRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
