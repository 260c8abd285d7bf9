package idempotency

import (
	"encoding/binary"
	"errors"
	"maps"
	"net/http"
	"slices"
)

// An Answer is the response of a handler, as it is stored and repeated.
type Answer struct {
	Status int         // from 200 to 999
	Header http.Header // the fields that are kept, each line as it was
	Body   []byte
	// Tombstone says that the request was answered and the answer not kept, because it
	// was too large or a stream. Header has a Location at most, and Body is empty.
	Tombstone bool
}

// tombstone returns what is left of an answer that is not kept.
func (a Answer) tombstone() Answer {
	left := Answer{Status: a.Status, Tombstone: true}
	if location, ok := a.Header["Location"]; ok {
		left.Header = http.Header{"Location": location}
	}
	return left
}

// The form of an answer: a version, flags, the status, the number of header lines, each
// line as its name and value, and the body. Numbers are uvarints; names and values have
// their length in front.
const (
	answerVersion = 1
	flagTombstone = 1
)

var errForeign = errors.New("idempotency: what is stored is no answer of this package")

// MarshalBinary encodes the answer for a store: any bytes in header and body come back
// as they were. Equal answers give equal bytes. It returns no error.
func (a Answer) MarshalBinary() ([]byte, error) {
	lines, size := 0, 2+2*binary.MaxVarintLen64+len(a.Body)
	for name, values := range a.Header {
		for _, v := range values {
			lines++
			size += 2*binary.MaxVarintLen64 + len(name) + len(v)
		}
	}
	b := append(make([]byte, 0, size), answerVersion, 0)
	if a.Tombstone {
		b[1] = flagTombstone
	}
	b = binary.AppendUvarint(b, uint64(a.Status))
	b = binary.AppendUvarint(b, uint64(lines))
	for _, name := range slices.Sorted(maps.Keys(a.Header)) {
		for _, v := range a.Header[name] {
			b = appendText(appendText(b, name), v)
		}
	}
	return append(b, a.Body...), nil
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// UnmarshalBinary decodes what MarshalBinary has encoded. It returns an error for data
// of any other form, and then leaves the answer as it was. The answer shares memory with
// data.
func (a *Answer) UnmarshalBinary(data []byte) error {
	if len(data) < 2 || data[0] != answerVersion || data[1]&^flagTombstone != 0 {
		return errForeign
	}
	r := answerReader{left: data[2:]}
	got := Answer{Tombstone: data[1] == flagTombstone, Status: int(r.number(999))}
	for range r.number(uint64(len(data))) {
		name, value := r.text(), r.text()
		if r.failed {
			break
		}
		if got.Header == nil {
			got.Header = make(http.Header)
		}
		got.Header[name] = append(got.Header[name], value)
	}
	if r.failed || got.Status < 200 {
		return errForeign
	}
	if len(r.left) > 0 {
		got.Body = r.left
	}
	*a = got
	return nil
}

type answerReader struct {
	left   []byte
	failed bool
}

// number reads one that is at most limit.
func (r *answerReader) number(limit uint64) uint64 {
	n, size := binary.Uvarint(r.left)
	if r.failed || size <= 0 || n > limit {
		r.failed = true
		return 0
	}
	r.left = r.left[size:]
	return n
}

func (r *answerReader) text() string {
	n := r.number(uint64(len(r.left)))
	if n > uint64(len(r.left)) {
		r.failed = true
	}
	if r.failed {
		return ""
	}
	text := string(r.left[:n])
	r.left = r.left[n:]
	return text
}
