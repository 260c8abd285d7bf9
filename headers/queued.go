package headers

import (
	"net/http"
	"strings"
	"time"
)

// QueuedOf returns how long the request waited at the server for room, before the
// handler got it. It reads Request-Queued-Ms of the response, whole milliseconds. If
// that is given more than once, the longest wait counts. It returns false if the server
// does not say: most requests do not wait. The result is in [0, MaxDelay]. The value is
// written by [FormatTimeout].
func QueuedOf(h http.Header) (d time.Duration, ok bool) {
	var most longest
	for v := range lines(h, RequestQueuedMs) {
		for part := range strings.SplitSeq(v, ",") {
			most.take(whole(trim(part), time.Millisecond))
		}
	}
	return most.d, most.ok
}
