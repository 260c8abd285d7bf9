package clients_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

const slowDown = `<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`

func s3Client(url string, chain http.RoundTripper) *s3.Client {
	config := aws.Config{
		Region:       "eu-west-1",
		BaseEndpoint: aws.String(url),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}, nil
		}),
	}
	// README: aws
	config.HTTPClient = &http.Client{Transport: chain}
	client := s3.NewFromConfig(config)
	// README: end
	return client
}

func TestAWS(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	fail := answer(503, "application/xml", slowDown)
	put := func(b *backend, rt http.RoundTripper) error {
		_, err := s3Client(b.URL, rt).PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String("bucket"), Key: aws.String("key"), Body: bytes.NewReader(body)})
		return err
	}

	t.Run("the SDK repeats, the chain sends each once", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, fail, answer(200, "", ""))
		chain, calls := newChain(t, bare(t))
		if err := put(b, chain); err != nil {
			t.Error(err)
		}
		b.expect(t, "PUT /bucket/key", 3)
		if got := b.of("PUT /bucket/key")[0].body; !bytes.Equal(got, body) {
			t.Errorf("%d bytes arrived, want the %d that were put", len(got), len(body))
		}
		if got, want := calls.String(), "[PUT 1 disabled PUT 1 disabled PUT 1 succeeded]"; got != want {
			t.Errorf("calls %s, want %s", got, want)
		}
	})
	t.Run("three attempts stay three", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, fail, nil)
		chain, _ := newChain(t, bare(t))
		err := put(b, chain)
		b.expect(t, "PUT /bucket/key", 3)
		if api, ok := errors.AsType[smithy.APIError](err); !ok || api.ErrorCode() != "SlowDown" {
			t.Errorf("error %v, want a smithy.APIError with the code SlowDown", err)
		}
	})
	t.Run("typed error", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 0, nil, answer(404, "application/xml", `<Error><Code>NoSuchKey</Code></Error>`))
		chain, _ := newChain(t, bare(t))
		_, err := s3Client(b.URL, chain).GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: aws.String("key")})
		if _, ok := errors.AsType[*types.NoSuchKey](err); !ok {
			t.Errorf("error %v, want a NoSuchKey", err)
		}
		b.expect(t, "GET /bucket/key", 1)
	})
	t.Run("slow download", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, fail, func(w http.ResponseWriter, r *http.Request) { slowly(w, r, "one", "two") })
		chain, _ := newChain(t, bare(t))
		out, err := s3Client(b.URL, chain).GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: aws.String("key")})
		if err != nil {
			t.Fatal(err)
		}
		defer out.Body.Close()
		if got, err := io.ReadAll(out.Body); string(got) != "onetwo" || err != nil {
			t.Errorf("read %q, %v, want onetwo", got, err)
		}
		b.expect(t, "GET /bucket/key", 3)
	})
}
