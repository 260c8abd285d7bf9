// Package service keeps what is known of each service that a program calls, in
// a bounded [Set].
//
// A service is a name: the host of a request, or what the program calls it. Both
// may come from data, as in a crawler or a sender of webhooks, so there is no
// end of names. A Set has one: past its limit nothing is kept, and its users
// judge nothing by what they do not know.
//
// Importing it links nothing outside the standard library.
package service
