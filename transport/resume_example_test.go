package transport_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// The first download breaks off. The rest is asked for, and the caller sees one body.
func ExampleWithResume() {
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		fmt.Println("asked for", r.Header["Range"])
		w.Header().Set("ETag", `"v1"`)
		if requests == 1 {
			w.Header().Set("Accept-Ranges", "bytes")
			w.Header().Set("Content-Length", "12")
			io.WriteString(w, "hello")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader("hello, world"))
	}))
	defer server.Close()
	rt, err := transport.New(nil, transport.WithResume(3))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: rt}
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	fmt.Println(string(text), err)
	// Output:
	// asked for []
	// asked for [bytes=5-]
	// hello, world <nil>
}
