package sqlstore

import "sync"

// mostRecent bounds one generation of recent keys. Both take about a megabyte.
const mostRecent = 4096

// recent has the keys that this process has asked for in the last while. A key that is
// not among them is likely to be new, so it is inserted without a look first.
type recent struct {
	mu           sync.Mutex // guards what follows
	young, older map[string]struct{}
}

// add reports whether the key was there.
func (r *recent) add(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.young[key]; ok {
		return true
	}
	_, known := r.older[key]
	if r.young == nil || len(r.young) == mostRecent {
		r.young, r.older = make(map[string]struct{}), r.young
	}
	r.young[key] = struct{}{}
	return known
}
