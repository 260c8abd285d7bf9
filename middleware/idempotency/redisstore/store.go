package redisstore

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
	"github.com/redis/go-redis/v9"
)

const (
	// replicaTime is how long replicas may take to confirm.
	replicaTime = time.Second
	// maxMoves is how often a key is looked for that has moved in a cluster, and
	// movePause how long the client has to find out where to.
	maxMoves  = 10
	movePause = 100 * time.Millisecond
)

// Store is an [idempotency.Store] in Redis. It is safe for concurrent use and starts no
// goroutine.
type Store struct {
	client redis.UniversalClient
	config
	checked atomic.Bool // the configuration of Redis
}

var _ idempotency.Store = (*Store)(nil)

// New returns a store. It does not contact Redis, and does not close client.
func New(client redis.UniversalClient, opts ...Option) (*Store, error) {
	c := defaults()
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	err := c.validate()
	if v := reflect.ValueOf(client); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		err = errors.Join(err, errors.New("redisstore: New: want a client, not nil"))
	}
	if err != nil {
		return nil, err
	}
	return &Store{client: client, config: c}, nil
}

// Begin implements [idempotency.Store].
func (s *Store) Begin(ctx context.Context, c idempotency.Claim) (idempotency.Found, error) {
	s.checkEviction(ctx, s.name(c.Key))
	resume := 0
	if c.Resume {
		resume = 1
	}
	reply, err := s.run(ctx, scripts.begin, c.Key, true, c.Fingerprint, c.Owner, milliseconds(c.Lease), milliseconds(c.Keep), resume)
	found, parseErr := foundOf(reply)
	var few *fewReplicas
	if errors.As(err, &few) && parseErr == nil && found.State == idempotency.Started {
		s.withdraw(ctx, c.Hold, found.Runs)
	}
	if err == nil {
		err = parseErr
	}
	if err != nil {
		return idempotency.Found{}, s.wrap("Begin", c.Key, err)
	}
	return found, nil
}

// withdraw gives up a claim that too few replicas have: the handler is not called. An
// earlier run may have done something, so its record stays.
func (s *Store) withdraw(ctx context.Context, h idempotency.Hold, runs int) {
	if runs > 1 {
		s.run(ctx, scripts.renew, h.Key, false, h.Owner, 0, milliseconds(h.Keep))
		return
	}
	s.run(ctx, scripts.release, h.Key, false, h.Owner)
}

// Renew implements [idempotency.Store].
func (s *Store) Renew(ctx context.Context, h idempotency.Hold) error {
	return s.held(ctx, "Renew", scripts.renew, h, false, h.Owner, milliseconds(h.Lease), milliseconds(h.Keep))
}

// Finish implements [idempotency.Store].
func (s *Store) Finish(ctx context.Context, h idempotency.Hold, a idempotency.Answer) error {
	answer, err := a.MarshalBinary()
	if err != nil {
		return s.wrap("Finish", h.Key, err)
	}
	return s.held(ctx, "Finish", scripts.finish, h, true, h.Owner, answer, milliseconds(h.Keep))
}

// Release implements [idempotency.Store].
func (s *Store) Release(ctx context.Context, h idempotency.Hold) error {
	return s.held(ctx, "Release", scripts.release, h, false, h.Owner)
}

// held runs a script that replies 1 to the owner of the key, and 0 to others.
func (s *Store) held(ctx context.Context, method string, sc script, h idempotency.Hold, safe bool, args ...any) error {
	reply, err := s.run(ctx, sc, h.Key, safe, args...)
	switch {
	case err != nil:
	case reply == int64(0):
		err = idempotency.ErrLost
	case reply != int64(1):
		err = fmt.Errorf("unexpected reply %v", reply)
	}
	return s.wrap(method, h.Key, err)
}

// run executes a script in one round trip. If safe, replicas must confirm what it has
// written, where the options say so.
func (s *Store) run(ctx context.Context, sc script, key string, safe bool, args ...any) (any, error) {
	call := make([]any, 0, 4+len(args))
	call = append(append(call, "evalsha", sc.sha, 1, s.name(key)), args...)
	reply, err := s.send(ctx, call, safe)
	if redis.HasErrorPrefix(err, "NOSCRIPT") { // nothing was executed
		call[0], call[1] = "eval", sc.source
		reply, err = s.send(ctx, call, safe)
	}
	return reply, err
}

func (s *Store) send(ctx context.Context, call []any, safe bool) (any, error) {
	if safe && s.replicas > 0 {
		return s.sendAndWait(ctx, call)
	}
	cmd := redis.NewCmd(ctx, call...)
	cmd.SetFirstKeyPos(3)
	if err := s.client.Process(ctx, cmd); err != nil {
		return nil, err
	}
	return cmd.Result()
}

// fewReplicas says that a script was executed, and too few replicas have confirmed it.
type fewReplicas struct{ confirmed, want int64 }

func (e *fewReplicas) Error() string {
	return fmt.Sprintf("%d replicas have confirmed it within %v, want %d", e.confirmed, replicaTime, e.want)
}

// sendAndWait has WAIT follow on the same connection, since it waits for what that
// connection has written. The server that has the key must be known for that.
func (s *Store) sendAndWait(ctx context.Context, call []any) (reply any, err error) {
	for range maxMoves {
		node, err := s.node(ctx, call[3].(string))
		if err != nil {
			return nil, err
		}
		pipe := node.Pipeline()
		cmd := pipe.Do(ctx, call...)
		confirmed := pipe.Do(ctx, "wait", s.replicas, replicaTime.Milliseconds())
		pipe.Exec(ctx) // its error is that of a command
		reply, err := cmd.Result()
		if _, moved := redis.IsMovedError(err); moved {
			if cluster, ok := s.client.(*redis.ClusterClient); ok {
				cluster.ReloadState(ctx) // which does not wait for the state
			}
			select {
			case <-time.After(movePause):
				continue
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		if err != nil {
			return nil, err
		}
		n, err := confirmed.Int64()
		if err == nil && n < int64(s.replicas) {
			err = &fewReplicas{n, int64(s.replicas)}
		}
		return reply, err
	}
	return nil, fmt.Errorf("the key has moved %d times in the cluster", maxMoves)
}

func (s *Store) name(key string) string { return s.prefix + ":{" + key + "}" }

// wrap says where an error is from. A key is told by the start of its hash.
func (s *Store) wrap(method, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("redisstore: %s of %.8s: %w", method, key, err)
}

// milliseconds rounds up.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// foundOf reads the reply of the script.
func foundOf(reply any) (idempotency.Found, error) {
	fields, _ := reply.([]any)
	if len(fields) != 3 {
		return idempotency.Found{}, fmt.Errorf("unexpected reply %v", reply)
	}
	state, _ := fields[0].(int64)
	n, _ := fields[1].(int64)
	answer, _ := fields[2].(string)
	found := idempotency.Found{State: idempotency.State(state)}
	switch found.State {
	case idempotency.Started:
		found.Runs = int(n)
	case idempotency.Busy:
		found.Left = time.Duration(n) * time.Millisecond
	case idempotency.Done:
		if err := found.Answer.UnmarshalBinary([]byte(answer)); err != nil {
			return idempotency.Found{}, err
		}
	case idempotency.Mismatch, idempotency.Unknown:
	default:
		return idempotency.Found{}, fmt.Errorf("unexpected reply %v", reply)
	}
	return found, nil
}
