package middleware_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/datapunk/evenkeel/middleware"
)

// What ServeMux and handlers leave in the request is seen by what is around
// the middleware: the pattern by telemetry, the form by net/http, which removes
// its files.
func TestOuterRequestSeesPatternAndForm(t *testing.T) {
	wrap, err := middleware.New(middleware.WithAttempts())
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /upload/{id}", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1); err != nil {
			t.Error(err)
		}
	})
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	form.WriteField("name", "value")
	form.Close()
	r := httptest.NewRequest("POST", "/upload/1", &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	wrap(mux).ServeHTTP(httptest.NewRecorder(), r)
	if got, want := r.Pattern, "POST /upload/{id}"; got != want {
		t.Errorf("pattern %q, want %q", got, want)
	}
	if r.MultipartForm == nil {
		t.Error("no form, want that of the handler")
	}
}
