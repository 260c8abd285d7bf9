package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/datapunk/evenkeel/budget/redisbudget"
	"github.com/datapunk/evenkeel/budget/redisbudget/internal/layout"
)

// turn pauses or resumes the budgets of a name, under all prefixes and shards that
// have it.
func (o *operator) turn(ctx context.Context, name string, pause bool) error {
	all, err := o.survey(ctx)
	if err != nil {
		return err
	}
	var others []string
	done := 0
	for i := range all {
		if all[i].health != nil {
			continue
		}
		if all[i].name != name {
			others = append(others, shown(all[i].name))
			continue
		}
		instances, err := o.turnOne(ctx, &all[i], pause)
		if err != nil {
			return err
		}
		done++
		if err := o.turned(&all[i], pause, instances); err != nil {
			return err
		}
	}
	if done == 0 {
		slices.Sort(others)
		return fmt.Errorf("no process has a budget %q; there are: %s", name, strings.Join(slices.Compact(others), ", "))
	}
	return nil
}

func (o *operator) turnOne(ctx context.Context, f *found, pause bool) (instances int, err error) {
	shards, err := shardsOf(f)
	if err != nil {
		return 0, err
	}
	fleet, err := redisbudget.New(o.client, redisbudget.WithPrefix(f.prefix), redisbudget.WithShards(shards))
	if err != nil {
		return 0, err
	}
	defer fleet.Close(ctx)
	if pause {
		return fleet.Pause(ctx, f.name)
	}
	return fleet.Resume(ctx, f.name)
}

// mostShards is that of redisbudget.WithShards.
const mostShards = 1024

// shardsOf returns a number of shards with which the budget has the key that it has.
// The fleet may have another number, with which it has that key too.
func shardsOf(f *found) (int, error) {
	for n := f.shard + 1; n <= mostShards; n++ {
		if key, _ := layout.Key(f.prefix, n, f.name); key == f.key {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%q is not a key of this layout", f.key)
}

// turned reports one turn of a switch.
func (o *operator) turned(f *found, pause bool, instances int) error {
	word := "resumed"
	if pause {
		word = "paused"
	}
	if o.json {
		return json.NewEncoder(o.out).Encode(struct {
			Name      string `json:"name"`
			Prefix    string `json:"prefix"`
			State     string `json:"state"`
			Processes int    `json:"processes"`
		}{f.name, f.prefix, word, instances})
	}
	_, err := fmt.Fprintf(o.out, "%s is %s: about %d processes follow within seconds (prefix %s)\n", shown(f.name), word, instances, shown(f.prefix))
	return err
}
