package idempotency

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"io"
	"net/http"
	"strings"
)

var errDigest = errors.New("idempotency: the body is not the one of its Content-Digest")

// contentDigest returns the SHA-256 of the body, if the client has said it in
// Content-Digest (RFC 9530).
func contentDigest(h http.Header) (digest [sha256.Size]byte, ok bool) {
	for _, line := range h["Content-Digest"] {
		for member := range strings.SplitSeq(line, ",") {
			text, found := strings.CutPrefix(strings.TrimSpace(member), "sha-256=:")
			text, closed := strings.CutSuffix(text, ":")
			if !found || !closed {
				continue
			}
			sum, err := base64.StdEncoding.DecodeString(text)
			if err != nil || len(sum) != len(digest) || ok && !bytes.Equal(sum, digest[:]) {
				return digest, false
			}
			digest, ok = [sha256.Size]byte(sum), true
		}
	}
	return digest, ok
}

// verified is a body too large to be read in advance. Its end is an error if the body
// does not have the digest.
type verified struct {
	io.Reader
	closer io.Closer
	sum    hash.Hash
	want   [sha256.Size]byte
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.Reader.Read(p)
	v.sum.Write(p[:n])
	if err == io.EOF && [sha256.Size]byte(v.sum.Sum(nil)) != v.want {
		return n, errDigest
	}
	return n, err
}

func (v *verified) Close() error { return v.closer.Close() }
