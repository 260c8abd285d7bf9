package transport_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// The server sends a part of the body and then nothing.
func ExamplePolicy_bodyIdleTimeout() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "the first part")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	rt, err := transport.New(nil, transport.WithPolicy(transport.Policy{BodyIdleTimeout: 50 * time.Millisecond}))
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
	var timeout net.Error
	fmt.Printf("%s, timeout: %v\n", text, errors.As(err, &timeout) && timeout.Timeout())
	fmt.Println(err)
	// Output:
	// the first part, timeout: true
	// transport: no byte of the response body within BodyIdleTimeout 50ms, after 14 bytes
}
