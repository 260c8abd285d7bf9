package transport_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/datapunk/evenkeel/transport"
)

// A POST is sent again if its error says that no handler saw it, and only then.
func TestUnsentByText(t *testing.T) {
	const hidden = "http2: Transport: cannot retry err [%s] after Request.Body was written; define Request.GetBody to avoid this error"
	const goAway = "http2: Transport received Server's graceful shutdown GOAWAY"
	for _, tt := range []struct {
		err  error
		sent int
	}{
		{errors.New(goAway), 3},
		{fmt.Errorf(hidden, goAway), 3},
		{fmt.Errorf("signing: %w", fmt.Errorf(hidden, goAway)), 3},
		{errors.Join(errors.New("attempt failed"), fmt.Errorf(hidden, goAway)), 3},
		{fmt.Errorf(hidden, "stream error: stream ID 1; REFUSED_STREAM; received from peer"), 3},
		{errors.New("stream error: stream ID 17; REFUSED_STREAM"), 3},
		{errors.New("http2: Transport received GOAWAY from server ErrCode:ENHANCE_YOUR_CALM"), 3},
		{errors.New("http2: client conn not usable"), 3},
		{errors.New("http2: client conn could not be established"), 3},

		{fmt.Errorf(hidden, "stream error: stream ID 1; PROTOCOL_ERROR; received from peer"), 1},
		{errors.New("stream error: stream ID 3; INTERNAL_ERROR; received from peer; REFUSED_STREAM"), 1},
		{errors.New("stream error: stream ID 3; CANCEL; received from peer"), 1},
		{errors.New("http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR, debug=\"\""), 1},
		{errors.New("http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR, debug=\"" + goAway + "\""), 1},
		{fmt.Errorf("the server said: %s", goAway), 1},
		{fmt.Errorf("the server said: "+hidden, goAway), 1},
		{errors.New("http2: client conn is closed"), 1},
		{errors.New("http2: client connection lost"), 1},
		{errors.New("http: server closed idle connection"), 1},
		{io.ErrUnexpectedEOF, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			sent := 0
			base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				sent++
				io.Copy(io.Discard, req.Body)
				req.Body.Close()
				return nil, tt.err
			})
			req := put(t, io.MultiReader(strings.NewReader("hello")))
			req.Method = "POST"
			if _, err := build(t, base, unlimited()).RoundTrip(req); err == nil || sent != tt.sent {
				t.Errorf("%v: sent %d times, want %d", tt.err, sent, tt.sent)
			}
		})
	}
}

// frames is an HTTP/2 server without TLS that treats the first request of its
// first connections as refuse says, and answers 200 to all others.
type frames struct {
	net.Listener
	refuse func(w io.Writer, stream uint32)
	first  int // connections
	conns  sync.WaitGroup

	mu     sync.Mutex // guards what follows
	seen   int
	bodies []string
}

func (s *frames) serve() {
	var open []net.Conn
	defer func() {
		for _, conn := range open {
			conn.Close()
		}
	}()
	for {
		conn, err := s.Accept()
		if err != nil {
			return
		}
		open = append(open, conn)
		s.mu.Lock()
		s.seen++
		refusing := s.seen <= s.first
		s.mu.Unlock()
		s.conns.Go(func() {
			defer conn.Close()
			s.talk(conn, refusing)
		})
	}
}

func frame(kind, flags byte, stream uint32, payload ...byte) []byte {
	b := []byte{0, byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

// The types of frames (RFC 9113 section 6).
const (
	frameData, frameHeaders, frameReset, frameSettings, frameGoAway = 0, 1, 3, 4, 7
)

func (s *frames) talk(conn net.Conn, refusing bool) {
	if _, err := io.ReadFull(conn, make([]byte, 24)); err != nil { // the preface
		return
	}
	conn.Write(frame(frameSettings, 0, 0))
	bodies := make(map[uint32]*bytes.Buffer)
	for {
		head := make([]byte, 9)
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(conn, payload); err != nil {
			return
		}
		kind, flags, stream := head[3], head[4], binary.BigEndian.Uint32(head[5:])
		switch {
		case kind == frameSettings && flags == 0:
			conn.Write(frame(frameSettings, 1, 0))
		case kind == frameHeaders:
			bodies[stream] = new(bytes.Buffer)
		case kind == frameData:
			bodies[stream].Write(payload)
		}
		if kind != frameHeaders && kind != frameData || flags&1 == 0 {
			continue
		}
		if refusing {
			refusing = false
			s.refuse(conn, stream)
			continue
		}
		s.mu.Lock()
		s.bodies = append(s.bodies, bodies[stream].String())
		s.mu.Unlock()
		conn.Write(frame(frameHeaders, 5, stream, 0x88)) // :status 200, and no more
	}
}

// What HTTP/2 says was not processed is sent again, whatever the method, and
// with or without GetBody, as through a reverse proxy.
func TestWhatHTTP2DidNotProcess(t *testing.T) {
	for _, tt := range []struct {
		name   string
		refuse func(io.Writer, uint32)
		first  int
		again  bool // a POST whose body has no GetBody
	}{
		{"GOAWAY below the stream", func(w io.Writer, _ uint32) { w.Write(frame(frameGoAway, 0, 0, make([]byte, 8)...)) }, 1, true},
		{"GOAWAY below the stream, of two servers", func(w io.Writer, _ uint32) { w.Write(frame(frameGoAway, 0, 0, make([]byte, 8)...)) }, 2, true},
		{"GOAWAY below the stream with an error", func(w io.Writer, _ uint32) {
			w.Write(frame(frameGoAway, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xb)) // ENHANCE_YOUR_CALM
		}, 1, true},
		{"REFUSED_STREAM", func(w io.Writer, id uint32) { w.Write(frame(frameReset, 0, id, 0, 0, 0, 7)) }, 1, true},
		{"INTERNAL_ERROR", func(w io.Writer, id uint32) { w.Write(frame(frameReset, 0, id, 0, 0, 0, 2)) }, 1, false},
		{"PROTOCOL_ERROR", func(w io.Writer, id uint32) { w.Write(frame(frameReset, 0, id, 0, 0, 0, 1)) }, 1, false},
		{"GOAWAY from the stream on, and the end", func(w io.Writer, _ uint32) {
			w.Write(frame(frameGoAway, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0))
			w.(net.Conn).Close()
		}, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			s := &frames{Listener: l, refuse: tt.refuse, first: tt.first}
			s.conns.Go(s.serve)
			base := &http.Transport{Protocols: new(http.Protocols)}
			base.Protocols.SetUnencryptedHTTP2(true)
			defer func() {
				l.Close()
				base.CloseIdleConnections()
				s.conns.Wait()
			}()
			rt := build(t, base, unlimited(), steady(0))
			target := &url.URL{Scheme: "http", Host: l.Addr().String()}
			front := httptest.NewServer(&httputil.ReverseProxy{
				Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target) },
				Transport:    rt,
				ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
			})
			defer front.Close()
			for _, through := range []struct {
				name   string
				client *http.Client
				url    string
			}{{"at once", &http.Client{Transport: rt}, target.String()}, {"through a proxy", front.Client(), front.URL}} {
				s.mu.Lock()
				s.seen, s.bodies = 0, nil
				s.mu.Unlock()
				base.CloseIdleConnections()
				req, err := http.NewRequestWithContext(t.Context(), "POST", through.url, io.MultiReader(strings.NewReader("hello")))
				if err != nil {
					t.Fatal(err)
				}
				req.ContentLength = 5
				resp, err := through.client.Do(req)
				got := err == nil && resp.StatusCode == 200
				if err == nil {
					resp.Body.Close()
				}
				s.mu.Lock()
				bodies := strings.Join(s.bodies, "|")
				s.mu.Unlock()
				if got != tt.again || got && bodies != "hello" || !got && bodies != "" {
					t.Errorf("%s: %v, %v, and the bodies %q were processed; want success: %v", through.name, resp, err, bodies, tt.again)
				}
			}
		})
	}
}
