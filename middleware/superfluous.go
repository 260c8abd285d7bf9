package middleware

import (
	"log"
	"net/http"
	"path"
	"reflect"
	"runtime"
	"strings"
)

// writeHeaderAgain is a WriteHeader after the header was written, or the
// connection hijacked, which is a mistake of the handler. The writer inside decides
// what it does; the event keeps the first status. The server of net/http only logs it,
// with the line of its caller. That would be a line of this package, so the same is
// logged here with the line of the handler.
func (x *exchange) writeHeaderAgain(status int) {
	srv := x.server()
	if srv == nil || reflect.TypeOf(x.ResponseWriter).String() != "*http.response" {
		x.ResponseWriter.WriteHeader(status)
		return
	}
	what := "superfluous response.WriteHeader call"
	if x.hijacked {
		what = "response.WriteHeader on hijacked connection"
	}
	logf := log.Printf
	if srv.ErrorLog != nil {
		logf = srv.ErrorLog.Printf
	}
	from := handlerFrame()
	logf("http: %s from %s (%s:%d)", what, from.Function, path.Base(from.File), from.Line)
}

// handlerFrame is the innermost frame that is neither of this package nor of
// net/http.
func handlerFrame() runtime.Frame {
	own := reflect.TypeFor[exchange]().PkgPath() + "."
	pc := make([]uintptr, 16)
	frames := runtime.CallersFrames(pc[:runtime.Callers(1, pc)])
	for {
		f, more := frames.Next()
		if !more || !strings.HasPrefix(f.Function, own) && !strings.HasPrefix(f.Function, "net/http.") {
			return f
		}
	}
}

func (x *exchange) server() *http.Server {
	srv, _ := x.origin().Context().Value(http.ServerContextKey).(*http.Server)
	return srv
}
