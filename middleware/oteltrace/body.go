package oteltrace

import (
	"context"
	"io"
	"sync/atomic"

	"go.opentelemetry.io/otel/trace"
)

// untilClosed ends the span when the body is read to its end or closed, after
// the span of the attempt. The body of an upgraded connection stays writable.
func untilClosed(ctx context.Context, body io.ReadCloser, span trace.Span) io.ReadCloser {
	if rw, ok := body.(io.ReadWriteCloser); ok {
		return &upgraded{ReadWriteCloser: rw, ending: ending{span: span}}
	}
	return &spanned{ReadCloser: body, ctx: ctx, ending: ending{span: span}}
}

// ending ends a span once.
type ending struct {
	span trace.Span
	over atomic.Bool
}

func (e *ending) end() {
	if e.over.CompareAndSwap(false, true) {
		e.span.End()
	}
}

type spanned struct {
	io.ReadCloser
	ctx context.Context // of the call
	ending
}

func (b *spanned) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch err {
	case nil:
	case io.EOF:
		b.end()
	default:
		if word, failed := bodyWord(b.ctx); failed {
			spoil(b.span, word)
		}
	}
	return n, err
}

func (b *spanned) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

type upgraded struct {
	io.ReadWriteCloser
	ending
}

func (b *upgraded) Close() error {
	defer b.end()
	return b.ReadWriteCloser.Close()
}

// CloseWrite is there since the body of net/http has it.
func (b *upgraded) CloseWrite() error { return closeWrite(b.ReadWriteCloser) }
