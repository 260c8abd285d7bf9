package transport

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// A lender has the body of a request with GetBody. GetBody may return the same reader, put
// back to its start, as in go-retryablehttp, azcore, connect-go and with files. So one
// attempt at a time may read, and GetBody is called only after the attempt before has
// stopped reading.
type lender struct {
	get    func() (io.ReadCloser, error) // the caller's
	direct bool                          // the base is net/http's, and get makes readers
	kept   memory                        // the newest body, if that is in memory

	mu   sync.Mutex // guards what follows; never held during a Read or Close
	turn int        // the attempt that may read
	busy int        // what an attempt or recall is doing with bodies
	free sync.Cond  // signalled when busy turns 0
	open *lent      // the newest body that is not closed

	first lent
}

// A lent is the body of one attempt.
type lent struct {
	io.ReadCloser // the caller's
	from          *lender
	turn          int

	older  *lent // that is open too; this and what follows is guarded by from.mu
	reads  int   // under way
	closed bool
}

// inOneWrite is the length up to which net/http writes a body together with the header,
// if its type says that it is in memory.
const inOneWrite = 4 << 10

// newLender returns the lender of req's body, and that body for the first attempt. The
// makers are nil if the base is not net/http's.
func newLender(req *http.Request, makers []uintptr) (*lender, io.ReadCloser) {
	l := &lender{get: req.GetBody}
	l.direct = makers != nil && slices.Contains(makers, reflect.ValueOf(req.GetBody).Pointer())
	l.free.L = &l.mu
	return l, l.lend(req.Body)
}

// readerMakers returns the code addresses of the GetBody funcs that return a new reader
// each time: those that http.NewRequest makes, and that of RetryableClient. Funcs cannot
// be compared, but their addresses can.
func readerMakers() (makers []uintptr) {
	for _, body := range []io.Reader{new(bytes.Buffer), new(bytes.Reader), new(strings.Reader)} {
		if req, err := http.NewRequest(http.MethodPut, "http://localhost/", body); err == nil {
			makers = append(makers, reflect.ValueOf(req.GetBody).Pointer())
		}
	}
	return append(makers, reflect.ValueOf(new(memory).getBody).Pointer())
}

// lend hands a body to the attempt whose turn it is.
func (l *lender) lend(body io.ReadCloser) io.ReadCloser {
	if body == http.NoBody {
		return body
	}
	if l.kept.known() && inside(body) == l.kept.of {
		// The same reader again, which an earlier attempt may still read.
		return l.kept.body()
	}
	m := inMemory(body)
	l.kept = m
	// A lent body would cost another packet, because net/http does not know its
	// type. Readers that GetBody makes of the same bytes are independent of this one.
	if l.direct && m.known() && m.size() <= inOneWrite {
		return body
	}
	return l.wrap(body, l.turn)
}

func (l *lender) wrap(body io.ReadCloser, turn int) *lent {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := &l.first
	if b.from != nil {
		b = new(lent)
	}
	*b = lent{ReadCloser: body, from: l, turn: turn, older: l.open}
	l.open = b
	return b
}

// next asks for the body of another attempt, once recall has reported true.
func (l *lender) next() (body io.ReadCloser, ok bool) {
	body, err := l.get()
	if err != nil || body == nil {
		return nil, false
	}
	return l.lend(body), true
}

// recall ends the current attempt's use of the body. No Read begins after it, and what
// the base has not closed is closed. It reports whether the Reads in progress ended within
// the patience and before the context.
func (l *lender) recall(ctx context.Context, patience time.Duration) bool {
	l.mu.Lock()
	l.turn++
	var idle *lent // linked by older
	for b := l.open; b != nil; {
		older := b.older
		if b.reads == 0 { // else the Read closes it when it ends
			b.closed, b.older, idle = true, idle, b
			l.busy++
		}
		b = older
	}
	l.open = nil
	l.mu.Unlock()
	for b := idle; b != nil; b = b.older {
		b.ReadCloser.Close()
		l.done(1)
	}
	return l.wait(ctx, patience)
}

// wait reports whether no Read or Close is in progress.
func (l *lender) wait(ctx context.Context, patience time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy == 0 {
		return true
	}
	over := false
	end := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		over = true
		l.free.Broadcast()
	}
	timer := time.AfterFunc(patience, end)
	defer timer.Stop()
	defer context.AfterFunc(ctx, end)()
	for l.busy > 0 && !over {
		l.free.Wait()
	}
	return l.busy == 0
}

func (l *lender) done(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy -= n; l.busy == 0 {
		l.free.Broadcast()
	}
}

// again is the GetBody of an attempt, for a base or a layer that sends it again
// by itself.
func (b *lent) again() (io.ReadCloser, error) {
	if !b.mine() {
		return nil, errBodyClosed
	}
	defer b.from.done(1)
	body, err := b.from.get()
	if err != nil || body == nil || body == http.NoBody {
		return body, err
	}
	return b.from.wrap(body, b.turn), nil
}

// mine reports whether b may be used, and if so counts a use that lasts until done.
func (b *lent) mine() bool {
	l := b.from
	l.mu.Lock()
	defer l.mu.Unlock()
	if b.turn != l.turn {
		return false
	}
	l.busy++
	return true
}

func (b *lent) Read(p []byte) (int, error) {
	if !b.enter() {
		return 0, errBodyClosed
	}
	defer b.leave()
	return b.ReadCloser.Read(p)
}

func (b *lent) enter() bool {
	l := b.from
	l.mu.Lock()
	defer l.mu.Unlock()
	if b.closed || b.turn != l.turn {
		return false
	}
	b.reads++
	l.busy++
	return true
}

// leave ends a Read. The last Read after a recall closes the body: the base might close it
// only when another attempt has it.
func (b *lent) leave() {
	l := b.from
	l.mu.Lock()
	b.reads--
	last := b.reads == 0 && b.turn != l.turn && !b.closed
	b.closed = b.closed || last
	l.mu.Unlock()
	if last {
		b.ReadCloser.Close()
	}
	l.done(1)
}

// Close closes the body once, also during a Read, which it may have to end.
func (b *lent) Close() error {
	l := b.from
	l.mu.Lock()
	if b.closed {
		l.mu.Unlock()
		return nil
	}
	b.closed = true
	l.busy++
	for at := &l.open; *at != nil; at = &(*at).older {
		if *at == b {
			*at = b.older
			break
		}
	}
	l.mu.Unlock()
	defer l.done(1)
	return b.ReadCloser.Close()
}

// out reports whether an attempt may still read.
func (l *lender) out() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open != nil || l.busy > 0
}
