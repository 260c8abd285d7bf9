package transport

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
)

// A stream is a request body without GetBody, which the attempts of a call share. It keeps
// the bytes that an attempt reads, up to a limit. Another attempt reads those again and
// continues from the source. The source is read only when an attempt reads: nothing is
// read ahead.
type stream struct {
	mu     sync.Mutex // guards what follows; never held during a Read or Close
	idle   sync.Cond  // signalled when busy turns false or a cursor is closed
	busy   bool       // an attempt is reading the source
	source io.ReadCloser
	kept   []byte
	limit  int64
	passed int64 // bytes read from the source
	lost   bool  // more than limit has passed, so the start is not kept
	err    error // what the source ended with
	over   bool  // the call is over: the current cursor closes the source
	closed bool

	current *cursor // of the newest attempt; earlier cursors return errBodyClosed
	first   cursor
}

// A cursor is the body of one attempt.
type cursor struct {
	s      *stream
	at     int64
	closed bool // guarded by s.mu
}

// errBodyClosed is the error of net/http's own bodies after Close.
var errBodyClosed = errors.New("http: invalid Read on closed Body")

// errNotKept cannot happen, because next is called before each attempt.
var errNotKept = errors.New("transport: the start of the request body is no longer kept")

// newStream returns the stream of req's body, and keeps nothing if its length
// is known to be over the limit.
func newStream(req *http.Request, limit int64) *stream {
	if req.ContentLength > limit {
		limit = 0
	}
	s := &stream{source: req.Body, limit: limit}
	s.idle.L = &s.mu
	return s
}

// body returns the body of the first attempt.
func (s *stream) body() io.ReadCloser {
	s.first.s, s.current = s, &s.first
	return s.current
}

// next returns the body of another attempt and ends the one before: a base that still
// sends that must not race with the new attempt for the source. If the start is no longer
// kept, it reports false and changes nothing.
func (s *stream) next() (body io.ReadCloser, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.whole() {
		return nil, false
	}
	s.current = &cursor{s: s}
	s.idle.Broadcast()
	return s.current, true
}

// replayable reports whether another attempt can send the body from its start.
func (s *stream) replayable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.whole()
}

// whole is replayable with s.mu held.
func (s *stream) whole() bool {
	// A source that failed would fail the next attempt at the same place.
	return !s.lost && !s.closed && (s.err == nil || s.err == io.EOF)
}

// end says that there will be no other attempt. The source is closed with the current
// cursor, because the base may keep sending while the response is read.
func (s *stream) end() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.closeIfDone()
}

// abort closes the source at once, after the base panicked.
func (s *stream) abort() {
	s.mu.Lock()
	s.over = true
	if s.current != nil {
		s.current.closed = true
	}
	s.mu.Unlock()
	s.closeIfDone()
}

func (s *stream) closeIfDone() error {
	s.mu.Lock()
	due := s.over && !s.closed && (s.current == nil || s.current.closed)
	s.closed = s.closed || due
	s.mu.Unlock()
	if !due {
		return nil
	}
	return s.source.Close()
}

func (c *cursor) Read(p []byte) (int, error) {
	s := c.s
	if n, done, err := c.again(p); done {
		return n, err
	}
	n, err := s.source.Read(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.took(p[:n], err)
	s.busy = false
	s.idle.Broadcast()
	return n, err
}

// again reads kept bytes and reports true, or reports false if c must read the source.
// One attempt at a time reads it. An earlier attempt may still be in a Read when the next
// one starts. What it gets is kept for that.
func (c *cursor) again(p []byte) (n int, done bool, err error) {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case c.closed || s.closed || c != s.current:
			return 0, true, errBodyClosed
		case c.at < s.passed && s.lost:
			return 0, true, errNotKept
		case c.at < s.passed:
			n = copy(p, s.kept[c.at:])
			c.at += int64(n)
			return n, true, nil
		case s.err != nil:
			return 0, true, s.err
		case len(p) == 0:
			return 0, true, nil
		case !s.busy:
			s.busy = true
			return 0, false, nil
		}
		s.idle.Wait()
	}
}

// took records what came from the source; s.mu is held.
func (c *cursor) took(p []byte, err error) {
	s := c.s
	s.passed += int64(len(p))
	c.at = s.passed
	if err != nil {
		s.err = err
	}
	if s.lost {
		return
	}
	// An attempt that was replaced during its Read has taken bytes that the
	// current one needs, so these are kept even past the limit.
	if s.passed > s.limit && c == s.current {
		s.lost, s.kept = true, nil
		return
	}
	s.kept = append(s.kept, p...)
}

// Close ends the attempt's use of the body. The source stays open for a later
// attempt until the call is over.
func (c *cursor) Close() error {
	c.s.mu.Lock()
	c.closed = true
	c.s.idle.Broadcast()
	c.s.mu.Unlock()
	return c.s.closeIfDone()
}

// A memory is a request body whose bytes are in memory, as they were before anyone read
// them: one that http.NewRequest makes of a bytes.Buffer, bytes.Reader or strings.Reader,
// or a body of the same form. Readers over it share only bytes that nobody writes.
type memory struct {
	of    io.Reader // the reader of the bytes; nil if the body is of another form
	bytes bytes.Reader
	text  strings.Reader
}

// inMemory returns the memory of a body that is not being read.
func inMemory(body io.ReadCloser) (m memory) {
	switch r := inside(body).(type) {
	case *bytes.Buffer:
		m.of = r
		m.bytes.Reset(r.Bytes())
	case *bytes.Reader:
		m.of, m.bytes = r, *r
	case *strings.Reader:
		m.of, m.text = r, *r
	}
	return m
}

// inside returns the reader within an io.NopCloser. net/http looks for it in the same
// way, and writes such a body together with the header.
func inside(body io.ReadCloser) io.Reader {
	r := io.Reader(body)
	for range 4 {
		switch reflect.TypeOf(r) {
		case reflect.TypeOf(io.NopCloser(nil)), reflect.TypeOf(io.NopCloser(struct {
			io.Reader
			io.WriterTo
		}{})):
			r, _ = reflect.ValueOf(r).Field(0).Interface().(io.Reader)
		default:
			return r
		}
	}
	return r
}

// known reports whether there is such a body.
func (m *memory) known() bool { return m.of != nil }

func (m *memory) size() int { return m.bytes.Len() + m.text.Len() }

// body returns a body of its own each time.
func (m *memory) body() io.ReadCloser {
	if _, ok := m.of.(*strings.Reader); ok {
		text := m.text
		return io.NopCloser(&text)
	}
	bytes := m.bytes
	return io.NopCloser(&bytes)
}

func (m *memory) getBody() (io.ReadCloser, error) { return m.body(), nil }

// hasBody reports whether anything can be read of the request's body.
func hasBody(req *http.Request) bool { return req.Body != nil && req.Body != http.NoBody }
