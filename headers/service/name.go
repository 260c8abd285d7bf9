package service

import (
	"context"
	"strings"
	"unicode/utf8"
)

// Others is the name under which telemetry shows the services that share one
// value because a bounded set has no room for them.
const Others = "(other services)"

// Key is the context key of the name of the service that a request goes to. The
// value is a *string, so that reading it allocates nothing. Package transport
// sets it for its layers. Use [Of] and [With] unless a context type of your own
// answers for the key.
type Key struct{}

// Of returns the name of the service that a request with this context goes to.
// It returns "" if the context has none.
func Of(ctx context.Context) string {
	if name, ok := ctx.Value(Key{}).(*string); ok && name != nil {
		return *name
	}
	return ""
}

// With returns a context for requests to the service of that name.
func With(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, Key{}, &name)
}

// OfHost returns the default name of the service behind a host: the host in
// lower case, without the port if that is 80 or 443. The port is dropped
// whatever the scheme, because a host in a setting comes without one. So each
// host has one name, however it is spelled.
func OfHost(host string) string {
	if i := strings.LastIndexByte(host, ':'); i > 0 && (host[i:] == ":80" || host[i:] == ":443") {
		if host[i-1] == ']' || strings.IndexByte(host, ':') == i {
			host = host[:i]
		}
	}
	for i := range len(host) {
		if c := host[i]; 'A' <= c && c <= 'Z' || c >= utf8.RuneSelf {
			return strings.ToLower(host)
		}
	}
	return host // as nearly all are; this is faster than to let ToLower find it out
}
