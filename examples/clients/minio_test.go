package clients_test

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/datapunk/evenkeel/transport"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

func minioClient(endpoint string, options []transport.Option) (*minio.Client, error) {
	// README: minio
	base, err := minio.DefaultTransport(false) // true for https
	if err != nil {
		return nil, err
	}
	chain, err := transport.New(base, append(options, transport.WithServicePolicy(endpoint, transport.Policy{MaxAttempts: 1}))...)
	if err != nil {
		return nil, err
	}
	client, err := minio.New(endpoint, &minio.Options{
		Creds:     credentials.NewStaticV4("id", "secret", ""),
		Transport: chain, MaxRetries: 3,
	})
	// README: end
	return client, err
}

func TestMinio(t *testing.T) {
	t.Parallel()
	const route = "PUT /bucket/key"
	body := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	fail := func(w http.ResponseWriter, r *http.Request) {
		if _, ok := r.URL.Query()["location"]; ok {
			answer(200, "application/xml", `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></LocationConstraint>`)(w, r)
			return
		}
		answer(503, "application/xml", slowDown)(w, r)
	}
	client := func(t *testing.T, b *backend) (*minio.Client, *record) {
		t.Helper()
		options, calls := options(t)
		client, err := minioClient(strings.TrimPrefix(b.URL, "http://"), options)
		if err != nil {
			t.Fatal(err)
		}
		return client, calls
	}
	put := func(t *testing.T, client *minio.Client) error {
		_, err := client.PutObject(t.Context(), "bucket", "key", bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{})
		return err
	}

	// Each attempt signs the chunks of the body anew.
	expect := func(t *testing.T, b *backend) {
		t.Helper()
		if n := len(b.of(route)); n != 3 {
			t.Errorf("%s arrived %d times, want 3", route, n)
		}
		for i, a := range b.of(route) {
			if got := unsigned(a.body); !bytes.Equal(got, body) {
				t.Errorf("%d bytes arrived by attempt %d, want the %d that were put", len(got), i+1, len(body))
			}
		}
	}

	t.Run("minio repeats, the chain sends each once", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, fail, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("ETag", `"e"`) })
		client, calls := client(t, b)
		if err := put(t, client); err != nil {
			t.Error(err)
		}
		expect(t, b)
		if got, want := calls.String(), "PUT 1 disabled PUT 1 disabled PUT 1 succeeded]"; !strings.HasSuffix(got, want) {
			t.Errorf("calls %s, want them to end with %s", got, want)
		}
	})
	t.Run("three attempts stay three", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, fail, nil)
		client, _ := client(t, b)
		err := put(t, client)
		expect(t, b)
		if code := minio.ToErrorResponse(err).Code; code != "SlowDown" {
			t.Errorf("code %q of %v, want SlowDown", code, err)
		}
	})
	t.Run("slow download", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, fail, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"e"`)
			w.Header().Set("Last-Modified", "Thu, 26 Nov 2026 10:00:00 GMT")
			w.Header().Set("Content-Length", "6")
			slowly(w, r, "one", "two")
		})
		client, _ := client(t, b)
		object, err := client.GetObject(t.Context(), "bucket", "key", minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer object.Close()
		if got, err := io.ReadAll(object); string(got) != "onetwo" || err != nil {
			t.Errorf("read %q, %v, want onetwo", got, err)
		}
	})
}

// unsigned takes the signatures out of a body that is sent in signed chunks,
// "size;chunk-signature=...\r\ndata\r\n".
func unsigned(body []byte) []byte {
	var data []byte
	for {
		header, rest, ok := bytes.Cut(body, []byte("\r\n"))
		size, _, _ := bytes.Cut(header, []byte(";"))
		n, err := strconv.ParseUint(string(size), 16, 31)
		if !ok || err != nil || n == 0 || int(n)+2 > len(rest) {
			return data
		}
		data, body = append(data, rest[:n]...), rest[n+2:]
	}
}
