package transporttest

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
)

var bodyChecks = []check{
	{"body_closed", "The body of the caller's request is closed on every path.", everywhere, bodyClosed},
	{"body_not_read_ahead", "Nothing of a request's body is ever read ahead of the base.", stub, bodyNotReadAhead},
	{"body_streams", "A request's body and its response stream at the same time: full-duplex works.", everywhere, bodyStreams},
	{"body_costs_no_memory", "An upload of 64 MiB costs no memory.", stub, bodyCostsNoMemory},
	{"expect_continue", "Expect: 100-continue passes: the body is not touched until the server asks for it.", everywhere, expectContinue},
}

func bodyClosed(e *env) error {
	return e.each(func(p *play) error {
		if !e.eventually(func() bool { return p.bodies.unclosed() == 0 }) {
			return fmt.Errorf("%d of %d bodies were not closed", p.bodies.unclosed(), len(p.bodies.made))
		}
		return nil
	})
}

func bodyNotReadAhead(e *env) error {
	for _, want := range []int{0, 1, 3} {
		for _, length := range []int64{-1, int64(len(content))} {
			body := &source{r: strings.NewReader(content)}
			e.over(roundTripper(func(req *http.Request) (*http.Response, error) {
				defer req.Body.Close()
				if want > 0 {
					io.ReadFull(req.Body, make([]byte, want))
				}
				return &http.Response{StatusCode: http.StatusUnauthorized, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
			}))
			req, err := http.NewRequestWithContext(e.ctx, "PUT", e.url, body)
			if err != nil {
				return err
			}
			req.ContentLength = length
			if _, err := e.send(req); err != nil {
				return err
			}
			if _, reads, taken := body.state(); taken > int64(want) || want == 0 && reads > 0 {
				return fmt.Errorf("the base read %d bytes of the body, which was read %d times for %d bytes", want, reads, taken)
			}
		}
	}
	return nil
}

func bodyStreams(e *env) error {
	e.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		c.EnableFullDuplex()
		w.WriteHeader(http.StatusOK)
		c.Flush()
		in := bufio.NewReader(r.Body)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			io.WriteString(w, "echo "+line)
			c.Flush()
		}
	}))
	from, to := io.Pipe()
	defer to.Close()
	req, err := http.NewRequestWithContext(e.ctx, "POST", e.url, &source{r: from})
	if err != nil {
		return err
	}
	req.ContentLength = -1
	resp, err := e.send(req)
	if err != nil {
		return fmt.Errorf("with the request's body still open: %w", err)
	}
	defer resp.Body.Close()
	out := bufio.NewReader(resp.Body)
	for i := range 3 {
		line := fmt.Sprintf("line %d\n", i)
		if err := e.within("sending a line", func() error { _, err := io.WriteString(to, line); return err }); err != nil {
			return err
		}
		var got string
		err := e.within(fmt.Sprintf("reading the answer to line %d, with the request's body still open,", i), func() (err error) {
			got, err = out.ReadString('\n')
			return err
		})
		if err != nil {
			return err
		}
		if want := "echo " + line; got != want {
			return fmt.Errorf("line %d was answered %q, want %q", i, got, want)
		}
	}
	to.Close()
	if rest, err := e.text(resp); err != nil || rest != "" {
		return fmt.Errorf("after the last line came %q, %v", rest, err)
	}
	return nil
}

func bodyCostsNoMemory(e *env) error {
	const size, most = 64 << 20, 1 << 20
	for _, tt := range []struct {
		what   string
		length int64
		rewind bool
	}{
		{"of known length", size, false},
		{"of unknown length", -1, false},
		{"with GetBody", size, true},
	} {
		least := uint64(1 << 62)
		for try := 0; try < 3 && least > most && (try == 0 || least < size/4); try++ { // others allocate too
			n, err := e.upload(size, tt.length, tt.rewind)
			if err != nil {
				return fmt.Errorf("an upload %s: %w", tt.what, err)
			}
			least = min(least, n)
		}
		if least > most {
			return fmt.Errorf("an upload of 64 MiB %s allocated %d bytes, want at most 1 MiB", tt.what, least)
		}
	}
	return nil
}

// upload returns how much an upload allocates.
func (e *env) upload(size, length int64, rewind bool) (uint64, error) {
	got := int64(0)
	buffer := make([]byte, 64<<10)
	e.over(roundTripper(func(req *http.Request) (*http.Response, error) {
		defer req.Body.Close()
		for got = 0; ; {
			n, err := req.Body.Read(buffer)
			got += int64(n)
			if err == io.EOF {
				break
			}
			if err != nil {
				return nil, err
			}
		}
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	}))
	req, err := http.NewRequestWithContext(e.ctx, "PUT", e.url, io.NopCloser(&zeros{size}))
	if err != nil {
		return 0, err
	}
	req.ContentLength = length
	if rewind {
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(&zeros{size}), nil }
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = e.send(req)
	runtime.ReadMemStats(&after)
	if err == nil && got != size {
		err = fmt.Errorf("%d of %d bytes reached the base", got, size)
	}
	return after.TotalAlloc - before.TotalAlloc, err
}

// zeros is a body that costs nothing to make.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	z.left -= n
	return int(n), nil
}

func expectContinue(e *env) error {
	e.serve(e.peer())
	for _, tt := range []struct{ path, want string }{{"/status/401", answerOf(401)}, {"/echo", content}} {
		for _, k := range kinds[1:] {
			req, bodies := e.request(k, tt.path)
			req.Header.Set("Expect", "100-continue")
			resp, err := e.send(req)
			if err != nil {
				return fmt.Errorf("%s to %s: %w", k.name, tt.path, err)
			}
			if got, err := e.text(resp); err != nil || got != tt.want {
				return fmt.Errorf("%s to %s was answered %q, %v; want %q", k.name, tt.path, got, err, tt.want)
			}
			for _, b := range bodies.made {
				if _, reads, _ := b.state(); tt.path != "/echo" && reads > 0 {
					return fmt.Errorf("the body of %s was read although the server refused it", k.name)
				}
			}
		}
	}
	return nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
