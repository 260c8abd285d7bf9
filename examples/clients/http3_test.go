package clients_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/datapunk/evenkeel/transport"
	"github.com/quic-go/quic-go/http3"
)

func http3Client(base *http3.Transport, options []transport.Option) (*http.Client, error) {
	// README: http3
	chain, err := transport.New(base, options...) // base is an *http3.Transport
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: chain}
	// README: end
	return client, nil
}

// serve3 starts a backend that speaks HTTP/3, and returns a client for it.
func serve3(t *testing.T, fails int, fail, then http.HandlerFunc) (*backend, *http.Client, *record) {
	t.Helper()
	certified := httptest.NewTLSServer(nil) // for its certificate
	defer certified.Close()
	b := &backend{Server: &httptest.Server{}}
	server := &http3.Server{
		Handler:   b.handler(fails, fail, then),
		TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: certified.TLS.Certificates}),
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(conn) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the server ended with %v", err)
		}
		conn.Close()
	})
	b.URL = "https://" + conn.LocalAddr().String()

	options, calls := options(t)
	roots := certified.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	base := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	client, err := http3Client(base, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { base.Close() })
	return b, client, calls
}

func TestHTTP3(t *testing.T) {
	t.Parallel()
	busy := answer(503, "text/plain", "busy")

	t.Run("upload", func(t *testing.T) {
		t.Parallel()
		body := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
		b, client, calls := serve3(t, 2, busy, answer(200, "", ""))
		req, err := http.NewRequestWithContext(t.Context(), "PUT", b.URL+"/x", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != 200 || resp.ProtoMajor != 3 {
			t.Errorf("%s over %s, want 200 over HTTP/3", resp.Status, resp.Proto)
		}
		b.expect(t, "PUT /x", 3)
		if got := b.of("PUT /x")[0].body; !bytes.Equal(got, body) {
			t.Errorf("%d bytes arrived, want the %d that were sent", len(got), len(body))
		}
		if got, want := calls.String(), "[PUT 3 succeeded]"; got != want {
			t.Errorf("calls %s, want %s", got, want)
		}
	})
	t.Run("three attempts stay three", func(t *testing.T) {
		t.Parallel()
		b, client, _ := serve3(t, always, busy, nil)
		resp, err := client.Get(b.URL + "/x")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 503 {
			t.Errorf("%s, want the 503", resp.Status)
		}
		b.expect(t, "GET /x", 3)
	})
	t.Run("reset stream", func(t *testing.T) {
		t.Parallel()
		b, client, _ := serve3(t, always, reset, nil)
		_, err := client.Post(b.URL+"/x", "text/plain", bytes.NewReader([]byte("tea")))
		if cause, ok := errors.AsType[*http3.Error](err); !ok || !cause.Remote {
			t.Errorf("error %v, want an http3.Error of the server", err)
		}
		if own, ok := errors.AsType[*transport.Error](err); ok {
			t.Errorf("the error wraps %v, want the error of the base itself", own)
		}
		b.expect(t, "POST /x", 1)
	})
	t.Run("slow download", func(t *testing.T) {
		t.Parallel()
		b, client, _ := serve3(t, 2, busy, func(w http.ResponseWriter, r *http.Request) { slowly(w, r, "one", "two") })
		resp, err := client.Get(b.URL + "/x")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got, err := io.ReadAll(resp.Body); string(got) != "onetwo" || err != nil {
			t.Errorf("read %q, %v, want onetwo", got, err)
		}
	})
}
