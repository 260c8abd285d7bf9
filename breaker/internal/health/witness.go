package health

import "math"

// A process with bad news is remembered in one number: its id, times laps, and the half
// second in which it reported. Half seconds are counted round: a lap takes six days.
const (
	laps         = 1 << 20
	mostRemember = 4
)

// remember adds a process to a list, from which it drops those that are older than so
// many half seconds.
func remember(list []float64, id, half, most float64) []float64 {
	kept := make([]float64, 0, mostRemember)
	for _, w := range list {
		if math.Floor(w/laps) != id && ageOf(w, half) <= most {
			kept = append(kept, w)
		}
	}
	if len(kept) == mostRemember {
		kept = kept[1:]
	}
	return append(kept, float64(id*laps)+math.Mod(half, laps))
}

// fresh counts the processes of a list that are not older than so many half seconds.
func fresh(list []float64, half, most float64) (n float64) {
	for _, w := range list {
		if ageOf(w, half) <= most {
			n++
		}
	}
	return n
}

// ageOf is how many half seconds ago a process was remembered.
func ageOf(w, half float64) float64 {
	age := math.Mod(half, laps) - math.Mod(w, laps)
	if age < 0 {
		age += laps
	}
	return age
}
