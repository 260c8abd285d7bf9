package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"
)

// A line is a budget as -json prints it. Rates are per second and of the whole fleet.
type line struct {
	Name      string  `json:"name"`
	Prefix    string  `json:"prefix"`
	Key       string  `json:"key"`
	State     string  `json:"state"`     // active, paused, or foreign: its value is not one of this version
	Processes float64 `json:"processes"` // about; too few within half a minute of their start
	Requests  float64 `json:"requests_per_second"`
	Retries   float64 `json:"retries_per_second"`
	Refused   float64 `json:"refused_per_second"`
	Pool      float64 `json:"pool_tokens"`
	SpokeAgo  float64 `json:"spoke_seconds_ago"` // since a process last spoke
}

func (f *found) line() line {
	state := "active"
	switch {
	case f.foreign:
		state = "foreign"
	case f.Paused:
		state = "paused"
	}
	round := func(x float64) float64 { return math.Round(10*x) / 10 }
	return line{
		Name: f.name, Prefix: f.prefix, Key: f.key, State: state, Processes: round(f.Instances), Requests: round(f.Requests),
		Retries: round(f.Retries), Refused: round(f.Refused), Pool: round(f.Pool), SpokeAgo: round(f.Last.Seconds()),
	}
}

// status prints the budgets once.
func (o *operator) status(ctx context.Context) error {
	all, err := o.survey(ctx)
	if err != nil {
		return err
	}
	if o.json {
		e := json.NewEncoder(o.out)
		for i := range all {
			var l any = all[i].line()
			if all[i].health != nil {
				l = all[i].healthLine()
			}
			if err := e.Encode(l); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(o.out, "No process has used a budget, or reported the health of a service, for ten minutes.")
		return err
	}
	if err := printBudgets(o.out, all); err != nil {
		return err
	}
	return printHealth(o.out, all)
}

// printBudgets prints the table of budgets, if there are any.
func printBudgets(out io.Writer, all []found) error {
	budgets := slices.DeleteFunc(slices.Clone(all), func(f found) bool { return f.health != nil })
	if len(budgets) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSTATE\tPROCESSES\tREQUESTS/s\tRETRIES/s\tREFUSED/s\tPOOL\tSPOKE\tPREFIX")
	for i := range budgets {
		l := budgets[i].line()
		if budgets[i].foreign {
			fmt.Fprintf(w, "%s\t%s\t-\t-\t-\t-\t-\t-\t%s\n", shown(l.Name), l.State, shown(l.Prefix))
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%.1f\t%.1f\t%.1f\t%.1f\t%v ago\t%s\n", shown(l.Name), l.State, l.Processes, l.Requests, l.Retries, l.Refused,
			l.Pool, budgets[i].Last.Round(100*time.Millisecond), shown(l.Prefix))
	}
	return w.Flush()
}

// clear moves a terminal to its upper left corner and empties it.
const clear = "\x1b[H\x1b[2J"

// watch prints the budgets again and again, until ctx is done. An error of Redis is
// printed, and does not end it.
func (o *operator) watch(ctx context.Context, step func(func(context.Context) error) error) error {
	tick := time.NewTicker(o.every)
	defer tick.Stop()
	for {
		if !o.json {
			fmt.Fprintf(o.out, "%s%s\n\n", clear, time.Now().Format(time.TimeOnly))
		}
		if err := step(o.status); err != nil && ctx.Err() == nil {
			if o.json {
				return err
			}
			fmt.Fprintln(o.out, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// shown makes a name safe for a terminal: anyone who may write to Redis chooses it.
func shown(name string) string {
	for _, r := range name {
		if !strconv.IsPrint(r) {
			return strconv.Quote(name)
		}
	}
	return name
}
