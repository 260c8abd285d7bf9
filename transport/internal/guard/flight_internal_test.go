package guard

import "testing"

// How many of 9 in flight work, while the others hang. The limit began at 10; of those
// that were sent later, each is at its time.
func TestFlight(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(f *flight)
		want int
	}{
		{"none is overtaken: all", func(*flight) {}, 9},
		{"one that was sent as the limit began succeeds: all", func(f *flight) { f.overtake(10, 15) }, 9},
		{"one that was sent later does: of those before none", func(f *flight) { f.add(11, 1); f.overtake(11, 15); f.add(11, -1) }, 0},
		{"that, and two more were sent after the limit began", func(f *flight) { f.add(11, 1); f.add(12, 2); f.overtake(11, 15); f.add(11, -1) }, 2},
		{"that, and one after the success", func(f *flight) { f.add(11, 1); f.add(12, 2); f.overtake(11, 15); f.add(11, -1); f.add(16, 1) }, 3},
		{"that, and it succeeds: the two hang", func(f *flight) {
			f.add(12, 2)
			f.overtake(12, 15)
			f.add(16, 1)
			f.overtake(16, 20)
			f.add(16, -1)
		}, 0},
		{"one that was sent at the moment of the success is of those before", func(f *flight) {
			f.add(12, 2)
			f.overtake(12, 15)
			f.add(15, 1)
			f.overtake(15, 20)
		}, 3},
		{"times in another order take away no more than there are", func(f *flight) { f.add(11, 1); f.overtake(11, 15); f.add(11, -2); f.add(16, -1); f.add(17, 1) }, 1},
	} {
		var f flight
		f.begin(10)
		tt.do(&f)
		if got := f.working(9); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}
