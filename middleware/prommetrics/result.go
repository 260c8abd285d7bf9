package prommetrics

import (
	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/transport"
)

// results are what an attempt can come to. The last is for words that are not
// among them.
var results = [...]transport.Result{
	transport.ResultSuccess, transport.ResultClientError, transport.ResultThrottled, transport.ResultUnavailable,
	transport.ResultServerError, transport.ResultTimeout, transport.ResultCancelled, transport.ResultOutrun,
	transport.ResultPanicked, transport.ResultError,
}

// verdicts are what a request can. The last is again for the others.
var verdicts = [...]middleware.Result{
	middleware.ResultSuccess, middleware.ResultClientError, middleware.ResultThrottled, middleware.ResultUnavailable,
	middleware.ResultShed, middleware.ResultTimeout, middleware.ResultCancelled, middleware.ResultAborted,
	middleware.ResultPanicked, middleware.ResultHijacked, middleware.ResultServerError,
}

// index returns the place of a word, which is the last for one that is not
// there.
func index[T ~string](words []T, word T) int {
	for i, w := range words {
		if w == word {
			return i
		}
	}
	return len(words) - 1
}
