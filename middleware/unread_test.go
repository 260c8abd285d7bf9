package middleware_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

func (p pipes) dial() net.Conn {
	client, server := net.Pipe()
	p <- server
	return client
}

// refusing is a server that has no quota left for anybody.
func refusing(t *testing.T, srv *http.Server) pipes {
	t.Helper()
	none := middleware.Rate{
		Quota: middleware.Quota{Requests: 1, Per: time.Hour},
		Key:   func(*http.Request) string { return "all" },
	}
	h := build(t, func(http.ResponseWriter, *http.Request) {}, middleware.WithRate(none), middleware.WithDeadlines(middleware.Deadlines{Max: time.Hour}))
	serve(h, "GET") // takes what there is
	srv.Handler, srv.ErrorLog = h, quiet
	p := make(pipes)
	go srv.Serve(p)
	t.Cleanup(func() {
		srv.Close()
		time.Sleep(time.Minute) // connections end
	})
	return p
}

// A body that comes is taken in, and the answer and the connection are good,
// whether the client reads while it sends or only after that.
func TestRefusedBodyThatComesKeepsTheConnection(t *testing.T) {
	for _, size := range []int{1, 1000, 16 << 10, 40_000, 256 << 10} {
		for _, pause := range []time.Duration{0, 400 * time.Millisecond} {
			synctest.Test(t, func(t *testing.T) {
				conn := refusing(t, new(http.Server)).dial()
				defer conn.Close()
				answers := bufio.NewReader(conn)
				for range 2 {
					fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size)
					for left := size; left > 0; left -= 16 << 10 {
						time.Sleep(pause)
						if _, err := conn.Write(make([]byte, min(left, 16<<10))); err != nil {
							t.Fatalf("%d bytes, pauses of %v: %v", size, pause, err)
						}
					}
					resp, err := http.ReadResponse(answers, nil)
					if err != nil {
						t.Fatalf("%d bytes, pauses of %v: %v", size, pause, err)
					}
					io.Copy(io.Discard, resp.Body)
					if resp.StatusCode != 429 || resp.Close {
						t.Errorf("%d bytes, pauses of %v: %d, close %v; want 429 and the connection", size, pause, resp.StatusCode, resp.Close)
					}
				}
			})
		}
	}
}

// A body that dribbles, or is too large to be taken in, holds neither goroutine
// nor connection: the client is answered, and that is the end of it.
func TestRefusedBodyThatDribblesHoldsNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		header   string
		piece    string
		answered time.Duration // at the latest
	}{
		"small":             {"Content-Length: 200000", "x", 500 * time.Millisecond},
		"tiny":              {"Content-Length: 2", "", 500 * time.Millisecond},
		"large":             {"Content-Length: 1000000", "x", 0},
		"chunked":           {"Transfer-Encoding: chunked", "1\r\nx\r\n", 0},
		"expecting":         {"Expect: 100-continue\r\nContent-Length: 200000", "", 0},
		"expecting chunks":  {"Expect: 100-continue\r\nTransfer-Encoding: chunked", "", 0},
		"expecting, sends":  {"Expect: 100-continue\r\nContent-Length: 200000", "x", 0},
		"closing":           {"Connection: close\r\nContent-Length: 200000", "x", 500 * time.Millisecond},
		"silent":            {"Content-Length: 200000", "", 500 * time.Millisecond},
		"silent and large":  {"Content-Length: 1000000", "", 0},
		"silent and chunks": {"Transfer-Encoding: chunked", "", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			conn := refusing(t, new(http.Server)).dial()
			defer conn.Close()
			start := time.Now()
			fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", tt.header)
			go func() {
				for tt.piece != "" {
					if _, err := io.WriteString(conn, tt.piece); err != nil {
						return
					}
					time.Sleep(100 * time.Millisecond)
				}
			}()
			answers := bufio.NewReader(conn)
			resp, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			took := time.Since(start)
			b, err := io.ReadAll(resp.Body)
			if resp.StatusCode != 429 || !strings.Contains(string(b), "quota") || err != nil || !resp.Close || took > tt.answered {
				t.Errorf("%s: %d %q, %v, close %v, after %v; want a 429 that closes within %v", name, resp.StatusCode, b, err, resp.Close, took, tt.answered)
			}
			if _, err := answers.ReadByte(); err == nil {
				t.Errorf("%s: more than an answer", name)
			}
			if took := time.Since(start); took > 1500*time.Millisecond {
				t.Errorf("%s: held for %v, want at most 1.5s", name, took)
			}
		})
	}
}

// No read lasts longer than the server lets it.
func TestRefusedBodyKeepsToReadTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := refusing(t, &http.Server{ReadTimeout: 200 * time.Millisecond}).dial()
		defer conn.Close()
		start := time.Now()
		io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
		io.Copy(io.Discard, conn)
		if took := time.Since(start); took != 200*time.Millisecond {
			t.Errorf("held for %v, want ReadTimeout of 200ms", took)
		}
	})
}

// With HTTP/2 a refused upload ends at once, and the other streams of its
// connection go on.
func TestRefusedBodyOverHTTP2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h2c := new(http.Protocols)
		h2c.SetUnencryptedHTTP2(true)
		p := refusing(t, &http.Server{Protocols: h2c})
		dials := 0
		tr := &http.Transport{Protocols: h2c, DialContext: func(context.Context, string, string) (net.Conn, error) {
			dials++
			return p.dial(), nil
		}}
		defer tr.CloseIdleConnections()
		for _, length := range []int64{1000, 1_000_000, -1} {
			body, dribble := io.Pipe()
			defer dribble.Close()
			req, _ := http.NewRequest("POST", "http://x/", body)
			req.ContentLength = length
			start := time.Now()
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if took := time.Since(start); resp.StatusCode != 429 || took > 0 {
				t.Errorf("%d bytes: %d after %v, want 429 at once", length, resp.StatusCode, took)
			}
		}
		if dials != 1 {
			t.Errorf("%d connections, want 1", dials)
		}
	})
}
