package main

import (
	"context"
	"errors"

	"github.com/alicebob/miniredis/v2"
	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/budget/redisbudget"
	"github.com/redis/go-redis/v9"
)

// A fleet is a retry budget that processes share, with its Redis.
type fleet struct {
	*redisbudget.Fleet
	client *redis.Client
	memory *miniredis.Miniredis // nil with a real Redis
}

// policy is what a service may be sent again, by all processes together: what
// package transport allows a single one by default. Proportional is for that one alone.
var policy = func() budget.Policy {
	p := budget.Default()
	p.Proportional = false
	return p
}()

// joinFleet uses the Redis at addr, or an embedded one if addr is empty.
func joinFleet(addr string) (*fleet, error) {
	f := &fleet{}
	if addr == "" {
		memory, err := miniredis.Run()
		if err != nil {
			return nil, err
		}
		f.memory, addr = memory, memory.Addr()
	}
	f.client = redis.NewClient(&redis.Options{Addr: addr})
	var err error
	if f.Fleet, err = redisbudget.New(f.client); err != nil {
		return nil, errors.Join(err, f.end())
	}
	return f, nil
}

func (f *fleet) end() error {
	var errs []error
	if f.Fleet != nil {
		errs = append(errs, f.Close(context.Background()))
	}
	errs = append(errs, f.client.Close())
	if f.memory != nil {
		f.memory.Close()
	}
	return errors.Join(errs...)
}
