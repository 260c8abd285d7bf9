package middleware

import (
	"testing"
	"unsafe"
)

// Each admitted request allocates one exchange. At more than 160 bytes the allocator
// takes 176 for it.
func TestExchangeFitsItsSizeClass(t *testing.T) {
	const most = 160
	if got := unsafe.Sizeof(exchange{}); got > most {
		t.Errorf("an exchange has %d bytes, want at most %d", got, most)
	}
}
