package budget

// All returns a budget that grants a retry only if all of the budgets do, such as
// that of a service and that of a tenant. If one of them refuses, the tokens of
// those before it are refunded, if they are a [Refunder]. Nil budgets are skipped.
// If no budget remains, every retry is granted.
func All(budgets ...Budget) Budget {
	var bs all
	for _, b := range budgets {
		if b != nil {
			bs = append(bs, b)
		}
	}
	if len(bs) == 1 {
		return bs[0]
	}
	return bs
}

type all []Budget

func (bs all) Deposit() {
	for _, b := range bs {
		b.Deposit()
	}
}

func (bs all) Withdraw() bool {
	for i, b := range bs {
		if !b.Withdraw() {
			bs[:i].Refund()
			return false
		}
	}
	return true
}

func (bs all) WithdrawFor(attempt int) bool {
	for i, b := range bs {
		if !withdrawFor(b, attempt) {
			bs[:i].Refund()
			return false
		}
	}
	return true
}

func withdrawFor(b Budget, attempt int) bool {
	if g, ok := b.(Pricer); ok {
		return g.WithdrawFor(attempt)
	}
	return b.Withdraw()
}

func (bs all) WithdrawAfterTimeout(attempt int) bool {
	for i, b := range bs {
		if !withdrawAfterTimeout(b, attempt) {
			bs[:i].Refund()
			return false
		}
	}
	return true
}

func withdrawAfterTimeout(b Budget, attempt int) bool {
	if g, ok := b.(TimeoutPricer); ok {
		return g.WithdrawAfterTimeout(attempt)
	}
	return withdrawFor(b, attempt)
}

// Fetching is that of the first budget that fetches credit.
func (bs all) Fetching() <-chan struct{} {
	for _, b := range bs {
		if g, ok := b.(Fetcher); ok {
			if c := g.Fetching(); c != nil {
				return c
			}
		}
	}
	return nil
}

// Affords is false if one of the budgets is no Afforder.
func (bs all) Affords(attempt int) bool {
	for _, b := range bs {
		if g, ok := b.(Afforder); !ok || !g.Affords(attempt) {
			return false
		}
	}
	return len(bs) > 0
}

func (bs all) Settle(o Outcome) {
	for _, b := range bs {
		if s, ok := b.(Settler); ok {
			s.Settle(o)
		}
	}
}

// Refund goes from the last to the first, the reverse of Withdraw.
func (bs all) Refund() {
	for i := len(bs) - 1; i >= 0; i-- {
		if r, ok := bs[i].(Refunder); ok {
			r.Refund()
		}
	}
}
