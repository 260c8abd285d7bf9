package transport

import (
	"bytes"
	"io"
	"net/http"
	"reflect"
	"strings"
)

// A memory is a request body whose bytes are at hand, as they were before
// anybody read any: those that http.NewRequest makes of a bytes.Buffer,
// bytes.Reader or strings.Reader, and others in the same clothes. Readers over
// it share nothing but bytes that nobody writes.
type memory struct {
	of    io.Reader // whose bytes they are; nil: it is no such body
	bytes bytes.Reader
	text  strings.Reader
}

// inMemory looks at a body that nobody is reading.
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

// inside returns what io.NopCloser was put around, as net/http has it, which
// writes such a body together with the header.
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
