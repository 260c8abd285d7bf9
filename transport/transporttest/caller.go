package transporttest

import (
	"context"
	"io"
	"strings"
	"sync"
	"time"
)

// bodies makes the bodies of one request and looks after them.
type bodies struct {
	content string

	mu   sync.Mutex // guards what follows
	made []*source
}

func (b *bodies) next() *source {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &source{r: strings.NewReader(b.content)}
	b.made = append(b.made, s)
	return s
}

// unclosed returns how many are not closed.
func (b *bodies) unclosed() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.made {
		if closed, _, _ := s.state(); !closed {
			n++
		}
	}
	return n
}

// A source is the body of a request that notes what is done to it.
type source struct {
	r  io.Reader
	mu sync.Mutex // guards what follows

	closed bool
	reads  int
	taken  int64
}

func (s *source) Read(p []byte) (int, error) {
	s.mu.Lock()
	s.reads++
	s.mu.Unlock()
	n, err := s.r.Read(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken += int64(n)
	return n, err
}

func (s *source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if c, ok := s.r.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

func (s *source) state() (closed bool, reads int, taken int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed, s.reads, s.taken
}

// A callerContext counts what hangs on it. Package context registers the
// contexts derived from it by its AfterFunc, since it cannot see the
// cancellable one inside.
type callerContext struct {
	inner  context.Context
	cancel context.CancelFunc

	mu       sync.Mutex // guards children
	children int
}

func newCallerContext(parent context.Context) *callerContext {
	c := new(callerContext)
	c.inner, c.cancel = context.WithCancel(parent)
	return c
}

func (c *callerContext) expireIn(d time.Duration) {
	parent, cancel := c.inner, c.cancel
	inner, stop := context.WithTimeout(parent, d)
	c.inner, c.cancel = inner, func() { stop(); cancel() }
}

func (c *callerContext) Deadline() (time.Time, bool) { return c.inner.Deadline() }
func (c *callerContext) Done() <-chan struct{}       { return c.inner.Done() }
func (c *callerContext) Err() error                  { return c.inner.Err() }
func (c *callerContext) Value(any) any               { return nil }

func (c *callerContext) AfterFunc(f func()) func() bool {
	c.add(1)
	release := sync.OnceFunc(func() { c.add(-1) })
	stop := context.AfterFunc(c.inner, func() { release(); f() })
	return func() bool { release(); return stop() }
}

func (c *callerContext) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.children += n
}

func (c *callerContext) held() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.children
}
