package transporttest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// busy is the answer that comes before the body was read.
const busy = "no room"

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// An early is a base that answers the first requests before it has read their
// bodies, and goes on reading, as net/http does. It answers the next one with
// the sum of the body that came.
type early struct {
	habit
	length int    // of the whole body
	sent   func() // called by each request; nil: nobody

	bodies sync.WaitGroup
	mu     sync.Mutex // guards what follows
	seen   int
	taken  []string // the sums of bodies that came whole
}

type habit struct {
	answers int           // early ones
	fails   bool          // and these are errors
	reads   int64         // bytes before an early answer
	pause   time.Duration // before each Read after it
}

func (b *early) RoundTrip(req *http.Request) (*http.Response, error) {
	if b.sent != nil {
		b.sent()
	}
	b.mu.Lock()
	b.seen++
	n := b.seen
	b.mu.Unlock()
	if n > b.answers {
		sum, err := b.take(req.Body, 0)
		if err != nil {
			return nil, err
		}
		return answerWith(req, http.StatusOK, sum), nil
	}
	var start bytes.Buffer
	if _, err := io.CopyN(&start, req.Body, b.reads); err != nil {
		req.Body.Close()
		return nil, err
	}
	b.bodies.Go(func() {
		body := struct {
			io.Reader
			io.Closer
		}{io.MultiReader(&start, req.Body), req.Body}
		b.take(body, b.pause)
	})
	<-time.After(time.Millisecond) // until it reads, since nothing else can happen
	if b.fails {
		return nil, errFault
	}
	return answerWith(req, http.StatusServiceUnavailable, busy), nil
}

// take reads a body to its end and closes it, late where it reads slowly.
func (b *early) take(body io.ReadCloser, pause time.Duration) (string, error) {
	defer body.Close()
	hash, length := sha256.New(), 0
	for buf := make([]byte, 64<<10); ; {
		if pause > 0 {
			<-time.After(pause)
		}
		n, err := body.Read(buf)
		hash.Write(buf[:n])
		length += n
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", err
		}
	}
	sum := hex.EncodeToString(hash.Sum(nil))
	if length == b.length { // else no server would take it for whole
		b.mu.Lock()
		defer b.mu.Unlock()
		b.taken = append(b.taken, sum)
	}
	return sum, nil
}

func answerWith(req *http.Request, code int, text string) *http.Response {
	return &http.Response{
		Status: http.StatusText(code), StatusCode: code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"X-Why": {text}}, Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)), Request: req,
	}
}

// An earlyServer is the same on a wire. Over HTTP/1.1 it reads on after an early
// answer, once the next request is there or after a while; over HTTP/2 an
// answer like that ends the upload.
type earlyServer struct {
	patience time.Duration

	mu    sync.Mutex                 // guards what follows
	begun map[string]<-chan struct{} // when a body is being read, by path
	calls map[string]chan struct{}
	taken map[string][]string // sums of what came whole, by path
}

func (s *earlyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	next, again := s.calls[r.URL.Path]
	begun := s.begun[r.URL.Path]
	if !again {
		next = make(chan struct{})
		s.calls[r.URL.Path] = next
	}
	s.mu.Unlock()
	c := http.NewResponseController(w)
	c.EnableFullDuplex()
	if !again {
		if begun != nil && r.ProtoMajor == 2 {
			select { // net/http would not begin to read once there is an answer
			case <-begun:
			case <-time.After(s.patience):
			}
		}
		w.Header().Set("X-Why", busy)
		w.Header().Set("Content-Length", fmt.Sprint(len(busy)))
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, busy)
		c.Flush()
		if r.ProtoMajor == 2 {
			return
		}
		select {
		case <-next:
		case <-r.Context().Done():
		case <-time.After(40 * time.Millisecond):
		}
	} else {
		s.mu.Lock()
		select {
		case <-next:
		default:
			close(next)
		}
		s.mu.Unlock()
	}
	hash := sha256.New()
	if n, err := io.Copy(hash, r.Body); err != nil || n != r.ContentLength {
		panic(http.ErrAbortHandler) // or the server would linger over the connection
	}
	sum := hex.EncodeToString(hash.Sum(nil))
	s.mu.Lock()
	s.taken[r.URL.Path] = append(s.taken[r.URL.Path], sum)
	s.mu.Unlock()
	if again {
		w.Header().Set("X-Why", sum)
		io.WriteString(w, sum)
	}
}

// whole checks what came of a call whose body has the given sum: the answer is
// that of the server, and what the server took is right.
func (e *env) whole(resp *http.Response, want string, taken []string) error {
	text, err := e.text(resp)
	switch {
	case err != nil:
		return err
	case resp.StatusCode == http.StatusServiceUnavailable && text != busy,
		resp.StatusCode == http.StatusOK && resp.Header.Get("X-Why") != text,
		resp.StatusCode != http.StatusServiceUnavailable && resp.StatusCode != http.StatusOK:
		return fmt.Errorf("the answer was %d %q, which the server did not give", resp.StatusCode, text)
	case resp.StatusCode == http.StatusOK && text != want:
		return errors.New("another body arrived than was sent")
	}
	for _, sum := range taken {
		if sum != want {
			return errors.New("a body arrived whole that nobody sent")
		}
	}
	return nil
}
