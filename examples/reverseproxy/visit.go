package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// visit is a client of the proxy that retries nothing itself.
func visit(proxy *url.URL) error {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPost} {
		if err := ask(client, method, proxy.JoinPath("hello").String()); err != nil {
			return err
		}
	}
	conn, err := dial(client, proxy.JoinPath("socket").String())
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, message := range []string{"ahoy", "and back"} {
		answer, err := say(conn, message)
		if err != nil {
			return err
		}
		fmt.Printf("client: WebSocket echoes %q\n", answer)
	}
	return nil
}

func ask(client *http.Client, method, url string) error {
	// http.NewRequest sets no GetBody for this type of Reader, as for the body
	// of an inbound request.
	var body io.Reader
	if method != http.MethodGet {
		body = io.MultiReader(strings.NewReader("cargo"))
	}
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	fmt.Printf("client: %s %s %s\n", method, resp.Status, answer)
	return nil
}
