package main

import (
	"bytes"
	"context"
	"io"
	"regexp"
	"testing"
)

// startPage serves a page until the test ends, and returns its URL.
func startPage(t *testing.T, args ...string) (url string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var stderr bytes.Buffer
	stdout, out := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append([]string{"-http", "127.0.0.1:0"}, args...), out, &stderr)
		out.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if got := <-code; got != 0 || stderr.Len() > 0 {
			t.Errorf("exit code %d, want 0; stderr:\n%s", got, &stderr)
		}
	})
	var said []byte
	for page := regexp.MustCompile(`http://127\.0\.0\.1:\d+/`); ; {
		part := make([]byte, 512)
		n, err := stdout.Read(part)
		said = append(said, part[:n]...)
		if found := page.Find(said); found != nil {
			return string(found)
		}
		if err != nil {
			t.Fatalf("no page: %q, %s", said, &stderr)
		}
	}
}
