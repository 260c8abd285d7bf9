package moving_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/datapunk/evenkeel/transport"
)

var errGone, errLost = errors.New("no such job"), errors.New("connection lost")

// A queue is something that is not HTTP. Its operation fails twice.
type queue struct{ tries int }

func (q *queue) take(context.Context) (string, error) {
	q.tries++
	if q.tries < 3 {
		return "", errLost
	}
	return "job 7", nil
}

func backoffBefore(ctx context.Context, q *queue) (string, error) {
	// README: backoff before
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval = 10 * time.Millisecond
	waits.MaxInterval = time.Second
	job, err := backoff.Retry(ctx, func() (string, error) {
		job, err := q.take(ctx)
		if errors.Is(err, errGone) {
			return "", backoff.Permanent(err)
		}
		return job, err
	}, backoff.WithBackOff(waits), backoff.WithMaxTries(3))
	// README: end
	return job, err
}

func backoffAfter(ctx context.Context, q *queue) (string, error) {
	// README: backoff after
	policy := transport.Policy{
		MaxAttempts: 3,
		BaseDelay:   10 * time.Millisecond,
		MaxDelay:    time.Second,
	}
	job, err := transport.Do(ctx, policy, func(ctx context.Context) (string, error) {
		job, err := q.take(ctx)
		if errors.Is(err, errGone) {
			return "", transport.Permanent(err)
		}
		return job, err
	})
	// README: end
	return job, err
}

func Example_backoff() {
	for _, c := range []struct {
		when string
		take func(context.Context, *queue) (string, error)
	}{{"before", backoffBefore}, {"after", backoffAfter}} {
		q := &queue{}
		job, err := c.take(context.Background(), q)
		fmt.Printf("%s: %s, %v, after %d tries\n", c.when, job, err, q.tries)
		_, err = c.take(context.Background(), &queue{tries: -3})
		fmt.Printf("  it goes on failing: %v\n", err)
	}
	// Output:
	// before: job 7, <nil>, after 3 tries
	//   it goes on failing: connection lost
	// after: job 7, <nil>, after 3 tries
	//   it goes on failing: connection lost (3 attempts, stopped by attempts)
}
