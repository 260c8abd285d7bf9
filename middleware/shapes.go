package middleware

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"reflect"
)

// What a ResponseWriter may offer besides, one bit each.
const (
	flushes = 1 << iota
	hijacks
	readsFrom
	pushes
	closeNotifies
	shapeCount = 1 << iota
)

// closeNotifier is [http.CloseNotifier], which is deprecated but asked for.
type closeNotifier interface{ CloseNotify() <-chan bool }

// flushErrorer is the other way to flush, by [http.ResponseController].
type flushErrorer interface{ FlushError() error }

// offers returns what w can do.
func offers(w http.ResponseWriter) (mask int) {
	switch w.(type) {
	case http.Flusher, flushErrorer:
		mask |= flushes
	}
	if _, ok := w.(http.Hijacker); ok {
		mask |= hijacks
	}
	if _, ok := w.(io.ReaderFrom); ok {
		mask |= readsFrom
	}
	if _, ok := w.(http.Pusher); ok {
		mask |= pushes
	}
	if _, ok := w.(closeNotifier); ok {
		mask |= closeNotifies
	}
	return mask
}

// A shape is an exchange with the methods of the writer that it wraps and no
// more: handlers tell by type assertions what they can do.
type shape interface {
	http.ResponseWriter
	self() *exchange
}

// Each shape is one with a method less, and that method. The letters say which
// it has: Flush, Hijack, ReadFrom, Push, CloseNotify.
type (
	shapeF     struct{ exchange }
	shapeH     struct{ exchange }
	shapeFH    struct{ shapeF }
	shapeR     struct{ exchange }
	shapeFR    struct{ shapeF }
	shapeHR    struct{ shapeH }
	shapeFHR   struct{ shapeFH }
	shapeP     struct{ exchange }
	shapeFP    struct{ shapeF }
	shapeHP    struct{ shapeH }
	shapeFHP   struct{ shapeFH }
	shapeRP    struct{ shapeR }
	shapeFRP   struct{ shapeFR }
	shapeHRP   struct{ shapeHR }
	shapeFHRP  struct{ shapeFHR }
	shapeC     struct{ exchange }
	shapeFC    struct{ shapeF }
	shapeHC    struct{ shapeH }
	shapeFHC   struct{ shapeFH }
	shapeRC    struct{ shapeR }
	shapeFRC   struct{ shapeFR }
	shapeHRC   struct{ shapeHR }
	shapeFHRC  struct{ shapeFHR } // of net/http over HTTP/1
	shapePC    struct{ shapeP }
	shapeFPC   struct{ shapeFP } // of net/http over HTTP/2
	shapeHPC   struct{ shapeHP }
	shapeFHPC  struct{ shapeFHP }
	shapeRPC   struct{ shapeRP }
	shapeFRPC  struct{ shapeFRP }
	shapeHRPC  struct{ shapeHRP }
	shapeFHRPC struct{ shapeFHRP }
)

func (w *shapeF) Flush()            { w.flush() }
func (w *shapeF) FlushError() error { return w.flush() }

func (w *shapeH) Hijack() (net.Conn, *bufio.ReadWriter, error)  { return w.hijack() }
func (w *shapeFH) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }

func (w *shapeR) ReadFrom(r io.Reader) (int64, error)   { return w.readFrom(r) }
func (w *shapeFR) ReadFrom(r io.Reader) (int64, error)  { return w.readFrom(r) }
func (w *shapeHR) ReadFrom(r io.Reader) (int64, error)  { return w.readFrom(r) }
func (w *shapeFHR) ReadFrom(r io.Reader) (int64, error) { return w.readFrom(r) }

func (w *shapeP) Push(target string, o *http.PushOptions) error    { return w.push(target, o) }
func (w *shapeFP) Push(target string, o *http.PushOptions) error   { return w.push(target, o) }
func (w *shapeHP) Push(target string, o *http.PushOptions) error   { return w.push(target, o) }
func (w *shapeFHP) Push(target string, o *http.PushOptions) error  { return w.push(target, o) }
func (w *shapeRP) Push(target string, o *http.PushOptions) error   { return w.push(target, o) }
func (w *shapeFRP) Push(target string, o *http.PushOptions) error  { return w.push(target, o) }
func (w *shapeHRP) Push(target string, o *http.PushOptions) error  { return w.push(target, o) }
func (w *shapeFHRP) Push(target string, o *http.PushOptions) error { return w.push(target, o) }

func (w *shapeC) CloseNotify() <-chan bool     { return w.closeNotify() }
func (w *shapeFC) CloseNotify() <-chan bool    { return w.closeNotify() }
func (w *shapeHC) CloseNotify() <-chan bool    { return w.closeNotify() }
func (w *shapeFHC) CloseNotify() <-chan bool   { return w.closeNotify() }
func (w *shapeRC) CloseNotify() <-chan bool    { return w.closeNotify() }
func (w *shapeFRC) CloseNotify() <-chan bool   { return w.closeNotify() }
func (w *shapeHRC) CloseNotify() <-chan bool   { return w.closeNotify() }
func (w *shapeFHRC) CloseNotify() <-chan bool  { return w.closeNotify() }
func (w *shapePC) CloseNotify() <-chan bool    { return w.closeNotify() }
func (w *shapeFPC) CloseNotify() <-chan bool   { return w.closeNotify() }
func (w *shapeHPC) CloseNotify() <-chan bool   { return w.closeNotify() }
func (w *shapeFHPC) CloseNotify() <-chan bool  { return w.closeNotify() }
func (w *shapeRPC) CloseNotify() <-chan bool   { return w.closeNotify() }
func (w *shapeFRPC) CloseNotify() <-chan bool  { return w.closeNotify() }
func (w *shapeHRPC) CloseNotify() <-chan bool  { return w.closeNotify() }
func (w *shapeFHRPC) CloseNotify() <-chan bool { return w.closeNotify() }

// A wrapper returns a writer for the handler around w, and the exchange inside it.
type wrapper func(w http.ResponseWriter) (http.ResponseWriter, *exchange)

// wrap is a wrapper that makes both in one allocation.
func wrap[S any, P interface {
	*S
	shape
}](w http.ResponseWriter) (http.ResponseWriter, *exchange) {
	s := P(new(S))
	x := s.self()
	x.ResponseWriter = w
	return s, x
}

// A kind is what is to be known of a type of writers.
type kind struct {
	of    reflect.Type
	wrap  wrapper // for such a writer
	plain bool    // it wraps no other writer
}

// kindOf returns the kind of the writer. The writers of a server are mostly of one type,
// so the first kind is kept.
func (m *machine) kindOf(w http.ResponseWriter) kind {
	usual, t := m.usual.Load(), reflect.TypeOf(w)
	if usual != nil && usual.of == t {
		return *usual
	}
	_, own := w.(shape)
	_, wraps := w.(unwrapper)
	k := kind{of: t, wrap: wrappers[offers(w)], plain: !own && !wraps}
	if usual == nil {
		kept := k // so that the others do not escape
		m.usual.Store(&kept)
	}
	return k
}

// wrappers by what the wrapped writer offers.
var wrappers = [shapeCount]wrapper{
	wrap[exchange], wrap[shapeF], wrap[shapeH], wrap[shapeFH],
	wrap[shapeR], wrap[shapeFR], wrap[shapeHR], wrap[shapeFHR],
	wrap[shapeP], wrap[shapeFP], wrap[shapeHP], wrap[shapeFHP],
	wrap[shapeRP], wrap[shapeFRP], wrap[shapeHRP], wrap[shapeFHRP],
	wrap[shapeC], wrap[shapeFC], wrap[shapeHC], wrap[shapeFHC],
	wrap[shapeRC], wrap[shapeFRC], wrap[shapeHRC], wrap[shapeFHRC],
	wrap[shapePC], wrap[shapeFPC], wrap[shapeHPC], wrap[shapeFHPC],
	wrap[shapeRPC], wrap[shapeFRPC], wrap[shapeHRPC], wrap[shapeFHRPC],
}
