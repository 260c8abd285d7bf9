package headers

import (
	"context"
	"strings"
)

// ServiceKey is the key of the context value that names the service a request
// goes to. The value is a *string, so that reading it allocates nothing. The
// chain of package transport sets it for the layers below it.
type ServiceKey struct{}

// Service returns the name of the service that a request with this context
// goes to, or "" if there is none.
func Service(ctx context.Context) string {
	if name, ok := ctx.Value(ServiceKey{}).(*string); ok && name != nil {
		return *name
	}
	return ""
}

// WithService returns a context in which [Service] is name.
func WithService(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, ServiceKey{}, &name)
}

// HostService returns the name of the service behind a host where nobody gives
// it another: the host in lower case, without the ports 80 and 443. So one
// host is one service, however it is spelt; the ports go whatever the scheme,
// since a host in a setting has none.
func HostService(host string) string {
	if i := strings.LastIndexByte(host, ':'); i > 0 && (host[i:] == ":80" || host[i:] == ":443") {
		if host[i-1] == ']' || strings.IndexByte(host, ':') == i {
			host = host[:i]
		}
	}
	return strings.ToLower(host)
}
