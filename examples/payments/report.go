package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// watch prints a line each second until ctx is done.
func watch(ctx context.Context, worlds []*world, out io.Writer) error {
	fmt.Fprintln(out, "         without the middleware            with it")
	fmt.Fprintln(out, "second   kills   paid  charges  twice      kills   paid  charges  twice")
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for second := 1; ; second++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		fmt.Fprintf(out, "%6d", second)
		for i, w := range worlds {
			c, err := w.count(context.WithoutCancel(ctx))
			if err != nil {
				return err
			}
			if i > 0 {
				fmt.Fprint(out, "   ")
			}
			fmt.Fprintf(out, "%8d%7d%9d%7d", c.Kills, c.Paid, c.Charges, c.Twice)
		}
		fmt.Fprintln(out)
	}
}

// conclude prints what came of it.
func conclude(out io.Writer, counts []count) {
	fmt.Fprintln(out)
	for _, c := range counts {
		name := "without the middleware"
		if c.Keys {
			name = "with the middleware"
		}
		fmt.Fprintf(out, "%-23s %d kills, %d purchases paid, %d charges: %d purchases charged twice or more, %d never, %d with two answers\n",
			name+":", c.Kills, c.Paid, c.Charges, c.Twice, c.Never, c.Differing)
		if !c.Balance {
			fmt.Fprintln(out, "the accounts do not agree with the charges")
		}
	}
}
