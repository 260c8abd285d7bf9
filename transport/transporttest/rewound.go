package transporttest

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"
)

// payload is what large bodies are made of: no part of it is like another.
var payload = sync.OnceValue(func() []byte {
	b := make([]byte, 8<<20)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
})

// A rewound is the one body that a request has: its GetBody puts it back to
// its start, as those of go-retryablehttp, azcore, connect-go and of files do.
// It notes what nobody may do to such a body.
type rewound struct {
	data  []byte
	pause time.Duration // of each Read
	first time.Duration // of the first Read of each body
	exact bool          // time is fake
	begun chan struct{} // closed by the first Read

	mu      sync.Mutex // guards what follows
	at      int
	open    bool
	reading int
	read    bool      // ever
	gotAt   time.Time // the newest, unless it was sent
	twice   bool      // closed without being open
	wrong   error
}

func newRewound(data []byte, exact bool) *rewound {
	return &rewound{data: data, exact: exact, begun: make(chan struct{}), open: true}
}

var errClosed = errors.New("transporttest: Read of a body that is closed")

func (b *rewound) Read(p []byte) (int, error) {
	pause, ok := b.enter()
	if !ok {
		return 0, errClosed
	}
	if pause > 0 {
		<-time.After(pause)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading--
	n := copy(p, b.data[b.at:])
	if b.at += n; n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (b *rewound) enter() (pause time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return 0, false
	}
	if b.reading++; b.reading > 1 {
		b.fault("two Reads of one reader were under way at a time")
	}
	if !b.read {
		b.read = true
		close(b.begun)
	}
	if b.at == 0 {
		return b.pause + b.first, true
	}
	return b.pause, true
}

func (b *rewound) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.twice = b.twice || !b.open
	b.open = false
	return nil
}

// again is the GetBody of the request.
func (b *rewound) again() (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.gotAt.IsZero():
		b.fault("GetBody was called again although what it returned was not sent")
	case b.reading > 0:
		b.fault("GetBody was called during a Read of the body that it rewinds")
	case b.open:
		b.fault("GetBody was called before the body that it rewinds was closed")
	}
	b.at, b.open, b.gotAt = 0, true, time.Now()
	return b, nil
}

// sent tells that a request reached the base.
func (b *rewound) sent() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if early := time.Since(b.gotAt); b.exact && !b.gotAt.IsZero() && early > 0 {
		b.fault(fmt.Sprintf("GetBody was called %v before its body was sent", early))
	}
	b.gotAt = time.Time{}
}

// fault notes the first thing that was wrong.
func (b *rewound) fault(what string) {
	if b.wrong == nil {
		b.wrong = errors.New(what)
	}
}

// end returns what was wrong, once the call is over.
func (b *rewound) end() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.gotAt.IsZero() {
		b.fault("what GetBody returned was not sent")
	}
	return b.wrong
}

// closedOnce reports whether each body was closed, and none twice.
func (b *rewound) closedOnce() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.open && !b.twice
}
