// Package budget bounds how many retries a service may get.
//
// A retry policy bounds the retries of one call. In an outage every call fails,
// so that three attempts each make three times the load at the moment when the
// service can bear it least. A [Budget] bounds the retries of all calls
// together: each first attempt deposits a fraction of a token, each retry
// withdraws a whole one. Without a token there is no retry.
//
// # What it promises
//
// A [Local] budget with ratio r and floor m keeps, for every window of time,
//
//	retries <= r · requests + m · time + stock at its start
//
// whatever fails and however many goroutines use it. The stock is at most
// (r · requests per second + m) · (Hold + Pool), and at least one token may
// always be kept; with a floor, three. To it belongs what the floor earned in
// the quarter of a second before. So the burst is configured in seconds of
// budget, which bounds it at any traffic: 1.5 of them by default.
//
// With [Policy].Evidence only a first attempt that succeeds pays, and a retry
// that succeeds soon gives its token back, with another one if it followed an
// error or a timeout. Then it is the retries that did not help which are
// bounded, and "requests" above are those whose first attempt succeeded; as many
// as the retries that did help come to the right side.
//
// The floor lets a service with little traffic retry at all. A budget with one
// starts with the stock of an idle one, so that the first call of a process
// can be retried; without one it starts empty.
//
// # Choosing
//
// Ratio is the load that retries may add in an outage: 0.2 means at most 1.2
// times the requests, as Finagle, Linkerd and the Gateway API have it; 0.1 is
// what the SRE book (chapter 21) recommends. MinPerSecond is per Local, so it
// multiplies with the number of processes: keep it small.
//
// # What it does not do
//
// It does not choose which calls to retry, and it does not notice retries that
// bypass it: the automatic ones of net/http on a stale connection, or those of
// a proxy in between.
package budget
