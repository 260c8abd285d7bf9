package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// The page shows what curl prints. It is what the server answers.
func TestAnswersOfThePage(t *testing.T) {
	page, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	handler, err := newHandler()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path, timeout string // of the request, in ms
		status        int
		body          string
	}{
		{"/flaky", "", 500, "try again"},
		{"/flaky", "", 200, "hello"},
		{"/slow", "200", 504, "The deadline of the request has passed."},
	} {
		r := httptest.NewRequest(http.MethodGet, tt.path, nil)
		if tt.timeout != "" {
			r.Header.Set("Request-Timeout-Ms", tt.timeout)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != tt.status || strings.TrimSpace(w.Body.String()) != tt.body {
			t.Errorf("%s: %d %q, want %d %q", tt.path, w.Code, w.Body, tt.status, tt.body)
		}
		if shown := "localhost:8080" + tt.path; !strings.Contains(string(page), shown) || !strings.Contains(string(page), tt.body) {
			t.Errorf("the page lacks %s or %q", shown, tt.body)
		}
	}
}
