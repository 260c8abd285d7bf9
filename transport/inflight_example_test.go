package transport_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// opening is a server whose responses have a body.
var opening = transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("data")), Request: req}, nil
})

// One attempt at a time. The second call waits until the body of the first is closed.
func ExampleWithInFlight() {
	rt, err := transport.New(opening, transport.WithInFlight(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: rt}
	first, err := client.Get("http://api.test/")
	if err != nil {
		fmt.Println(err)
		return
	}
	time.AfterFunc(20*time.Millisecond, func() { first.Body.Close() })
	second, err := client.Get("http://api.test/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer second.Body.Close()
	call, _ := transport.CallOf(second)
	fmt.Println(second.StatusCode, call.Waited > 0)
	// Output:
	// 200 true
}

// A call waits for a place until its deadline, or for as long as its policy says.
func ExampleWithInFlight_deadline() {
	rt, _ := transport.New(opening, transport.WithInFlight(1),
		transport.WithPolicy(transport.Policy{MaxThrottle: 10 * time.Millisecond}))
	for range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, "GET", "http://api.test/", nil)
		resp, err := rt.RoundTrip(req)
		if err != nil {
			fmt.Println(err.(*transport.Error).Stop, err.(*transport.Error).Attempts, "attempts")
			continue
		}
		defer resp.Body.Close()
		fmt.Println(resp.StatusCode)
	}
	// Output:
	// 200
	// in_flight 0 attempts
}

// A second copy needs a place as well.
func ExampleWithInFlight_hedging() {
	for _, places := range []int{1, 2} {
		sent := make(chan bool, 2)
		slow := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			sent <- true
			if len(sent) == 1 { // the first waits for the second
				select {
				case <-req.Context().Done():
					return nil, req.Context().Err()
				case <-time.After(100 * time.Millisecond):
				}
			}
			return &http.Response{StatusCode: 200, Body: http.NoBody, Request: req}, nil
		})
		rt, _ := transport.New(slow, transport.WithInFlight(places), transport.WithHedging(transport.Hedge{Delay: 10 * time.Millisecond, Ratio: 1}))
		req, _ := http.NewRequest("GET", "http://api.test/", nil)
		rt.RoundTrip(req)
		fmt.Println(places, "places:", len(sent), "sent")
	}
	// Output:
	// 1 places: 1 sent
	// 2 places: 2 sent
}

// A body keeps its place until it is read to its end.
func ExampleWithInFlight_body() {
	rt, _ := transport.New(opening, transport.WithInFlight(1), transport.WithPolicy(transport.Policy{MaxThrottle: time.Millisecond}))
	client := &http.Client{Transport: rt}
	resp, _ := client.Get("http://api.test/")
	_, err := client.Get("http://api.test/")
	fmt.Println("unread:", err != nil)
	io.Copy(io.Discard, resp.Body)
	_, err = client.Get("http://api.test/")
	fmt.Println("read:", err != nil)
	// Output:
	// unread: true
	// read: false
}
