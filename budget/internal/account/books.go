package account

// Books is what an account did since it was made, in micro-tokens. Denied counts
// withdrawals. Spent does not include Refunded, so it can fall.
type Books struct {
	Balance, Ceiling, Dropped, Spent, Refunded, Brought int64
	Repaid                                              int64 // for retries that helped; part of Brought
	Denied                                              int64
	mint                                                int64
}

// Books reads the account. The fields are read one after the other, so with
// traffic they agree only nearly. The order is such that a withdrawal, refund or
// repayment in between hides requests and never makes any up: a token is as
// much as many requests mint, and ceilings follow their rate.
func (a *Account) Books() Books {
	dropped, spent := a.dropped.Load(), a.spent.Load()
	balance := a.balance.Load()
	refunded, brought := a.refunded.Load(), a.brought.Load()
	return Books{
		Balance: balance, Ceiling: a.ceiling.Load(), Dropped: dropped,
		Spent: spent - refunded, Refunded: refunded, Brought: brought,
		Repaid: a.repaid.Load(), Denied: a.denied.Load(), mint: a.mint,
	}
}

// Requests is how many deposits the books show. They are not counted on their
// own: each left its mint in the balance, or where that went.
func (b Books) Requests() int64 {
	if b.mint == 0 {
		return 0
	}
	return (b.Balance - b.Brought + b.Spent + b.Dropped) / b.mint
}

// Stats are the books in tokens. Package budget exports the fields, and documents
// them.
type Stats struct {
	Balance  float64
	Ceiling  float64
	Spent    float64
	Refunded float64
	Repaid   float64
	Dropped  float64
	Denied   int64
	Requests int64
}

// Stats returns the books in tokens.
func (b Books) Stats() Stats {
	return Stats{
		Balance: float64(b.Balance) / Token, Ceiling: float64(b.Ceiling) / Token,
		Spent: float64(b.Spent) / Token, Refunded: float64(b.Refunded) / Token,
		Repaid: float64(b.Repaid) / Token, Dropped: float64(b.Dropped) / Token,
		Denied: b.Denied, Requests: b.Requests(),
	}
}
