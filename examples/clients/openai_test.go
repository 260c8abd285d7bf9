package clients_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/datapunk/evenkeel/transport"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

func openaiClient(url string, options []transport.Option) (openai.Client, error) {
	// README: openai
	chain, err := transport.New(nil, append(options, transport.WithRepeatable(func(r *http.Request) bool {
		return strings.HasSuffix(r.URL.Path, "/chat/completions") // twice costs twice, no more
	}))...)
	if err != nil {
		return openai.Client{}, err
	}
	client := openai.NewClient(option.WithHTTPClient(&http.Client{Transport: chain}), option.WithMaxRetries(0),
		option.WithBaseURL(url), option.WithAPIKey("key"))
	// README: end
	return client, nil
}

func TestOpenAI(t *testing.T) {
	t.Parallel()
	const route = "POST /v1/chat/completions"
	busy := answer(503, "application/json", `{"error":{"message":"busy"}}`)
	question := openai.ChatCompletionNewParams{Model: "gpt-x", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hello")}}
	client := func(t *testing.T, b *backend) (openai.Client, *record) {
		t.Helper()
		options, calls := options(t)
		client, err := openaiClient(b.URL+"/v1/", options)
		if err != nil {
			t.Fatal(err)
		}
		return client, calls
	}

	t.Run("completion", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, busy, answer(200, "application/json",
			`{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"}}]}`))
		client, calls := client(t, b)
		got, err := client.Chat.Completions.New(t.Context(), question)
		if err != nil || got.Choices[0].Message.Content != "hi" {
			t.Errorf("got %v, %v, want hi", got, err)
		}
		b.expect(t, route, 3)
		if got, want := calls.String(), "[POST 3 succeeded]"; got != want {
			t.Errorf("calls %s, want %s", got, want)
		}
	})
	t.Run("three attempts stay three", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, busy, nil)
		client, _ := client(t, b)
		_, err := client.Chat.Completions.New(t.Context(), question)
		if api, ok := errors.AsType[*openai.Error](err); !ok || api.StatusCode != 503 {
			t.Errorf("error %v, want an openai.Error of status 503", err)
		}
		b.expect(t, route, 3)
	})
	t.Run("what may not be repeated", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, reset, nil)
		plain := openai.NewClient(option.WithHTTPClient(&http.Client{Transport: bare(t)}), option.WithMaxRetries(0),
			option.WithBaseURL(b.URL+"/v1/"), option.WithAPIKey("key"))
		client, _ := client(t, b)
		job := openai.FineTuningJobNewParams{Model: "gpt-x", TrainingFile: "file"}
		_, without := plain.FineTuning.Jobs.New(t.Context(), job)
		_, with := client.FineTuning.Jobs.New(t.Context(), job)
		sameError(t, without, with)
		b.expect(t, "POST /v1/fine_tuning/jobs", 2) // one each
	})
	t.Run("left to the SDK", func(t *testing.T) {
		t.Parallel()
		b := serve(t, always, busy, nil)
		chain, calls := newChain(t, bare(t))
		client := openai.NewClient(option.WithHTTPClient(&http.Client{Transport: chain}), option.WithBaseURL(b.URL+"/v1/"), option.WithAPIKey("key"))
		if _, err := client.Chat.Completions.New(t.Context(), question); err == nil {
			t.Error("no error")
		}
		b.expect(t, route, 3)
		if got, want := calls.String(), "[POST 1 method POST 1 disabled POST 1 disabled]"; got != want {
			t.Errorf("calls %s, want %s", got, want)
		}
	})
	t.Run("stream", func(t *testing.T) {
		t.Parallel()
		b := serve(t, 2, busy, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			chunk := "data: " + `{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"hi"}}]}` + "\n\n"
			slowly(w, r, chunk, chunk, "data: [DONE]\n\n")
		})
		client, _ := client(t, b)
		stream := client.Chat.Completions.NewStreaming(t.Context(), question)
		defer stream.Close()
		var got strings.Builder
		for stream.Next() {
			got.WriteString(stream.Current().Choices[0].Delta.Content)
		}
		if got.String() != "hihi" || stream.Err() != nil {
			t.Errorf("got %q, %v, want hihi", &got, stream.Err())
		}
		b.expect(t, route, 3)
	})
}
