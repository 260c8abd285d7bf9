package headers

import "context"

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
