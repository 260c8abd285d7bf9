package limiter

import (
	"math"
	"testing"
	"time"
)

// traffic is what happens in some windows, one after the other.
type traffic struct {
	windows  int // 0: one
	n        int // completions in each, evenly spread over 100 ms, or span
	span     time.Duration
	took     time.Duration // each of them
	every    int           // but one in so many took
	long     time.Duration // this
	inFlight int           // 0: as many as the limit
	met      int           // the first found the handler empty, the last met so many others; 0: each met so many as are in flight
	rise     int           // and so many more at the end of a window
	gone     int           // of the completions: their clients had left
	failed   int           // of the completions
	shed     int           // requests refused
	queued   int           // and so many more in the queue at the end of a window
	route    string
	wait     time.Duration // goroutines wait so long for a processor
	notFirst bool          // requests from after the first ones
	until    string        // play windows until this is why the limit moved
	silent   time.Duration // no completion, and then a request finds no room
}

// The rules of the limit, a row each. A learnt limit has seen calm windows of 1000
// requests a second, 10 ms each, with 10 in flight: its limit is what is served in
// .7 of the latency from which on answers are late, a fourth of a second.
func TestLimitRules(t *testing.T) {
	const (
		start = "start"
		quick = "it binds, and nothing is late"
		more  = "trial of more, as no more is asked for"
		only  = "trial of more, as there is no less"
		less  = "trial of less"
		probe = "trial of more, as nothing is late"
		gains = "more at a time give more answers"
		vain  = "more at a time give no more answers"
		crowd = "trial of more, as most are refused"
		thin  = "trial of less, as more at a time gave fewer answers"
		line  = "the answers do not follow the number: a line"
		none  = "the answers follow the number: no line"
		room  = "nobody needs more"
		late  = "fewer at a time get no sooner answers: no line"
		hang  = "others hang, and one more was as quick as ever"
		alone = "as late where few meet as where many do: no line"
	)
	learnt := traffic{windows: 60, n: 100, took: 10 * ms, inFlight: 10}
	after := func(more ...traffic) []traffic {
		return append([]traffic{{n: firstCount, took: 10 * ms, inFlight: 10}, learnt}, more...)
	}
	// 500 a second of twice as many as before.
	slow := traffic{windows: 60, n: 50, took: 350 * ms, shed: 150, until: less}
	// 650 a second of less than twice as many, and a line.
	busy := []traffic{{windows: 60, n: 65, took: 270 * ms, shed: 60, until: less}, {windows: 99, n: 65, took: 135 * ms, shed: 60, until: line}}
	lined := func(more ...traffic) []traffic { return after(append(busy[:2:2], more...)...) }
	// No more is asked for.
	fits := traffic{windows: 60, n: 50, took: 350 * ms, shed: 20, until: more}
	for _, tt := range []struct {
		name    string
		least   float64
		most    float64 // 0: 10,000
		fixed   float64
		said    time.Duration // by clients, how long they wait
		left    time.Duration // by a client that left
		traffic []traffic
		limit   float64
		why     string
		base    time.Duration // 0: any
	}{
		{name: "at first it is 64", limit: 64, why: start},
		{name: "at first it is not below the minimum", least: 2000, limit: 2000, why: start},
		{name: "at first it is not above the maximum", most: 10, limit: 10, why: start},
		{name: "the first window waits for the first requests", limit: 64, why: start, traffic: []traffic{
			{windows: 9, n: 100, took: ms, shed: 9, notFirst: true}, {n: 11, took: ms, shed: 9}}},
		{name: "but not for those that hang", limit: 96, why: quick, traffic: []traffic{
			{n: 12, took: 10 * ms, span: 400 * ms, shed: 9}}},
		{name: "a given limit stays", fixed: 25, limit: 25, why: start, traffic: after(slow)},

		{name: "calm: what is served before an answer is late", traffic: after(), limit: 175, why: start, base: 10 * ms},
		{name: "calm: 2.5 times the most in flight", limit: 250, why: start,
			traffic: after(traffic{windows: 9, n: 100, took: 10 * ms, inFlight: 14}, traffic{windows: 60, n: 100, took: 100 * ms, inFlight: 100})},
		{name: "calm and rare: 16", limit: 16, why: start, traffic: []traffic{{windows: 30, n: 16, span: sec, took: 10 * ms, inFlight: 1}}},
		{name: "calm: the minimum is kept", least: 500, traffic: after(), limit: 500, why: start},
		{name: "clients say that they wait for 2 s", said: 2 * sec, traffic: after(), limit: 350, why: start},
		{name: "clients left after 400 ms", left: 400 * ms, traffic: after(), limit: 70, why: start},
		{name: "the work takes long: what takes twice as long is late", limit: 540, why: start,
			traffic: []traffic{{windows: 60, n: 100, took: 400 * ms, inFlight: 30}}},
		{name: "errors teach nothing", limit: 175, why: start, base: 10 * ms,
			traffic: after(traffic{windows: 50, n: 1000, took: time.Microsecond, inFlight: 1, failed: 1000})},
		{name: "nor do errors among answers", limit: 175, why: start, base: 10 * ms,
			traffic: after(traffic{windows: 50, n: 200, took: 10 * ms, inFlight: 10, failed: 100})},

		{name: "nothing is late and it binds: half as much again", limit: 263, why: quick, traffic: after(traffic{windows: 2, n: 300, took: 60 * ms, shed: 1})},
		{name: "it has only just begun to bind: it stays", limit: 175, why: start, traffic: after(traffic{n: 300, took: 60 * ms, shed: 1})},
		{name: "it has, and answers are as quick as ever: it grows", limit: 263, why: quick, traffic: after(traffic{n: 300, took: 14 * ms, shed: 1})},
		{name: "slower: it grows until a line would be nearly late", limit: 190, why: quick, traffic: after(traffic{windows: 3, n: 300, took: 160 * ms, shed: 1})},
		{name: "nearly late, and more is asked for: it stays", limit: 175, why: start, traffic: after(traffic{windows: 9, n: 100, took: 230 * ms, every: 3, long: 100 * ms, shed: 60})},
		{name: "nearly late, each as late as the one before: it stays", limit: 175, why: start, traffic: after(traffic{windows: 9, n: 100, took: 220 * ms, shed: 1})},
		{name: "nearly late, some much later than others, and no more is asked for: more", limit: 350, why: more,
			traffic: after(traffic{windows: 9, n: 100, took: 230 * ms, every: 3, long: 100 * ms, shed: 1, until: more})},
		{name: "it does not bind: it stays", limit: 175, why: start, traffic: after(traffic{n: 300, took: 60 * ms, inFlight: 148})},
		{name: "it binds, as requests were refused", limit: 263, why: quick, traffic: after(traffic{windows: 2, n: 300, took: 60 * ms, inFlight: 140, rise: 35, shed: 1})},
		{name: "it binds by the mean", limit: 263, why: quick, traffic: after(traffic{windows: 2, n: 300, took: 60 * ms, inFlight: 150})},
		{name: "requests from before it grew tell nothing of it", limit: 263, why: quick,
			traffic: after(traffic{windows: 2, n: 300, took: 60 * ms, shed: 1}, traffic{n: 300, took: 120 * ms, shed: 1})},
		{name: "some hang, the others are quick: it grows", limit: 263, why: quick,
			traffic: after(traffic{n: 300, took: 10 * ms, every: 5, long: sec, gone: 60, shed: 1})},

		{name: "late, rising, no more is asked for: twice as many as are in flight", limit: 122, why: start,
			traffic: after(traffic{n: 100, took: 300 * ms, inFlight: 58, rise: 3})},
		{name: "that goes on: it follows", limit: 200, why: start,
			traffic: after(traffic{n: 100, took: 300 * ms, inFlight: 58, rise: 3}, traffic{n: 100, took: 300 * ms, inFlight: 98, rise: 2})},
		{name: "late, rising, more is asked for than comes back: little more than are in flight", limit: 143, why: start,
			traffic: after(traffic{n: 100, took: 300 * ms, inFlight: 40, rise: 70})},
		{name: "later, but bearable: twice as many as are in flight", limit: 120, why: start,
			traffic: after(traffic{n: 60, took: 600 * ms, inFlight: 58, rise: 2})},
		{name: "that, when clients bear no more", limit: 66, why: start,
			traffic: after(traffic{n: 100, took: 1100 * ms, inFlight: 48, rise: 3})},
		{name: "few in flight are no line", limit: 175, why: start, traffic: after(traffic{n: 100, took: 300 * ms, inFlight: 15})},
		{name: "late, but not rising: it stays", limit: 250, why: start,
			traffic: after(traffic{windows: 90, n: 100, took: 10 * ms, inFlight: 100}, traffic{windows: 3, n: 100, took: 300 * ms, inFlight: 110})},
		{name: "late for long, but even: it is calm", limit: 250, why: start,
			traffic: after(traffic{windows: 150, n: 100, took: 300 * ms, inFlight: 100})},

		{name: "late and it binds, more is asked for: less", limit: 44, why: less, traffic: after(slow)},
		{name: "very late: so much less", limit: 22, why: less,
			traffic: after(traffic{windows: 9, n: 25, took: 700 * ms, shed: 180, until: less})},
		{name: "but not less than an eighth", limit: 22, why: less,
			traffic: after(traffic{windows: 40, n: 5, took: 700 * ms, shed: 150, until: less})},
		{name: "clients leave: less", limit: 113, why: less, left: 2 * sec,
			traffic: after(traffic{windows: 1, n: 100, took: 50 * ms, gone: 20, shed: 150, until: less})},
		{name: "late and it binds, no more is asked for: more", limit: 350, why: more, traffic: after(fits)},
		{name: "that late that some clients leave: more", limit: 350, why: more, traffic: after(traffic{windows: 60, n: 50, took: 950 * ms, gone: 20, shed: 20, until: more})},
		{name: "that late that half of them do, and more are answered later: less", limit: 83, why: less,
			traffic: after(traffic{windows: 60, n: 50, took: 950 * ms, gone: 25, shed: 20, until: more}, traffic{windows: 60, n: 50, took: 1900 * ms, gone: 25, shed: 20, until: less})},
		{name: "no less is allowed: more", least: 175, limit: 350, why: only, traffic: after(traffic{windows: 60, n: 50, took: 350 * ms, shed: 150, until: only})},
		{name: "late and it binds, but more come back than are asked for: it stays", limit: 175, why: start,
			traffic: after(traffic{windows: 20, n: 50, took: 350 * ms, queued: -15, shed: 1})},
		{name: "hardly more do: a trial", limit: 350, why: more,
			traffic: after(traffic{windows: 20, n: 50, took: 350 * ms, queued: -5, shed: 1, until: more})},
		{name: "no other limit is allowed: no trial", least: 100, most: 100, limit: 100, why: start,
			traffic: after(traffic{windows: 40, n: 50, took: 350 * ms, shed: 150})},
		{name: "less serve as many: a line", limit: 44, why: line,
			traffic: after(slow, traffic{windows: 99, n: 50, took: 170 * ms, shed: 150, until: line})},
		{name: "less serve nearly as many: a line, and as many more as are lacking", limit: 58, why: line, base: 10 * ms,
			traffic: after(slow, traffic{windows: 99, n: 38, took: 220 * ms, shed: 150, until: line})},
		{name: "less serve less: no line", limit: 324, why: none, base: 350 * ms,
			traffic: after(slow, traffic{windows: 99, n: 25, took: 350 * ms, shed: 150, until: none})},
		{name: "much less serve less, but not as much less: they were too few", limit: 53, why: line, base: 170 * ms,
			traffic: after(traffic{windows: 9, n: 25, took: 700 * ms, shed: 180, until: less},
				traffic{windows: 99, n: 13, took: 170 * ms, shed: 150, until: line})},
		{name: "less hardly serve any: no line, after two seconds", limit: 324, why: none,
			traffic: after(slow, traffic{windows: 2, n: 2, span: 1100 * ms, took: 300 * ms, shed: 1500, until: none})},
		{name: "the work varies: it takes more of them to tell", limit: 44, why: less,
			traffic: after(slow, traffic{windows: 7, n: 45, took: 10 * ms, every: 20, long: 2 * sec, shed: 150})},
		{name: "and then they tell", limit: 49, why: line,
			traffic: after(slow, traffic{windows: 24, n: 45, took: 10 * ms, every: 20, long: 2 * sec, shed: 150, until: line})},
		{name: "a line, and most are refused: twice as many", limit: 88, why: crowd,
			traffic: after(slow, traffic{windows: 99, n: 50, took: 170 * ms, shed: 150, until: line}, traffic{windows: 4, n: 50, took: 80 * ms, shed: 150, until: crowd})},
		{name: "that is answered, and most still are: twice as many again", limit: 176, why: crowd,
			traffic: after(slow, traffic{windows: 99, n: 50, took: 170 * ms, shed: 150, until: line}, traffic{windows: 4, n: 50, took: 80 * ms, shed: 150, until: crowd},
				traffic{windows: 5, n: 95, took: 80 * ms, shed: 150})},
		{name: "that was in vain: half as many more the next time", limit: 66, why: crowd,
			traffic: after(slow, traffic{windows: 99, n: 50, took: 170 * ms, shed: 150, until: line}, traffic{windows: 4, n: 50, took: 80 * ms, shed: 150, until: crowd},
				traffic{windows: 19, n: 50, took: 170 * ms, shed: 150, until: vain}, traffic{windows: 39, n: 50, took: 80 * ms, shed: 150, until: crowd})},
		{name: "that gave fewer: some less, once they tell", limit: 29, why: thin,
			traffic: after(slow, traffic{windows: 99, n: 50, took: 170 * ms, shed: 150, until: line}, traffic{windows: 4, n: 50, took: 80 * ms, shed: 150, until: crowd},
				traffic{windows: 19, n: 35, took: 170 * ms, shed: 150, until: vain}, traffic{windows: 8, n: 50, took: 80 * ms, shed: 150, until: thin})},
		{name: "that gives no more: back", limit: 43, why: line,
			traffic: after(slow, traffic{windows: 99, n: 50, took: 170 * ms, shed: 150, until: line}, traffic{windows: 4, n: 50, took: 80 * ms, shed: 150, until: crowd},
				traffic{windows: 19, n: 35, took: 170 * ms, shed: 150, until: vain}, traffic{windows: 8, n: 50, took: 80 * ms, shed: 150, until: thin},
				traffic{windows: 19, n: 34, took: 80 * ms, shed: 150, until: line})},
		{name: "a line, and it serves more: it grows", limit: 57, why: quick,
			traffic: after(slow, traffic{windows: 99, n: 50, took: 170 * ms, shed: 150, until: line}, traffic{windows: 4, n: 100, took: 20 * ms, shed: 1, until: quick})},
		{name: "a line, nearly late, and no more is asked for: more", limit: 131, why: probe, traffic: lined(traffic{windows: 19, n: 65, took: 230 * ms, shed: 1, until: probe})},
		{name: "a line, and nothing is late: more", limit: 131, why: probe, traffic: lined(traffic{windows: 19, n: 65, took: 20 * ms, shed: 1, until: probe})},
		{name: "that serves more: it stays", limit: 131, why: gains,
			traffic: lined(traffic{windows: 19, n: 65, took: 20 * ms, shed: 1, until: probe}, traffic{windows: 9, n: 95, took: 20 * ms, shed: 1, until: gains})},
		{name: "that serves no more: back", limit: 87, why: vain,
			traffic: lined(traffic{windows: 19, n: 65, took: 20 * ms, shed: 1, until: probe}, traffic{windows: 19, n: 67, took: 30 * ms, shed: 1, until: vain})},
		{name: "and is not tried again for a while", limit: 87, why: vain,
			traffic: lined(traffic{windows: 19, n: 65, took: 20 * ms, shed: 1, until: probe}, traffic{windows: 19, n: 67, took: 30 * ms, shed: 1, until: vain},
				traffic{windows: 19, n: 65, took: 20 * ms, shed: 1})},
		{name: "in vain again: not for longer", limit: 87, why: vain,
			traffic: lined(traffic{windows: 19, n: 65, took: 20 * ms, shed: 1, until: probe}, traffic{windows: 19, n: 67, took: 30 * ms, shed: 1, until: vain},
				traffic{windows: 40, n: 65, took: 20 * ms, shed: 1, until: probe}, traffic{windows: 19, n: 67, took: 30 * ms, shed: 1, until: vain},
				traffic{windows: 35, n: 65, took: 20 * ms, shed: 1})},
		{name: "less serve more: less still", limit: 22, why: line,
			traffic: after(slow, traffic{windows: 99, n: 80, took: 50 * ms, shed: 150, until: less}, traffic{windows: 99, n: 80, took: 25 * ms, shed: 150, until: line})},
		{name: "a line, and answers are late again: less", limit: 22, why: less,
			traffic: after(slow, traffic{windows: 99, n: 50, took: 170 * ms, shed: 150, until: line}, traffic{windows: 99, n: 25, took: 350 * ms, shed: 150, until: less})},
		{name: "no line: for a while nothing is late", limit: 486, why: quick,
			traffic: after(slow, traffic{windows: 99, n: 25, took: 350 * ms, shed: 150, until: none}, traffic{windows: 4, n: 100, took: 900 * ms, shed: 150},
				traffic{windows: 9, n: 100, took: 900 * ms, shed: 150, until: quick})},
		{name: "no line: unless clients leave", limit: 162, why: less,
			traffic: after(slow, traffic{windows: 99, n: 25, took: 350 * ms, shed: 150, until: none}, traffic{windows: 19, n: 100, took: 900 * ms, gone: 50, shed: 150, until: less})},
		{name: "as late where few meet as where many do: no line, and more at once", limit: 350, why: alone, base: 350 * ms,
			traffic: after(traffic{n: 50, took: 350 * ms, shed: 150, met: 200})},
		{name: "that, though nobody is in time", limit: 688, why: alone, base: 900 * ms,
			traffic: after(traffic{n: 50, took: 900 * ms, gone: 50, shed: 150, met: 200, until: alone})},
		{name: "that, and it does not bind: it stays", limit: 175, why: alone, base: 350 * ms,
			traffic: after(traffic{n: 50, took: 350 * ms, met: 100, inFlight: 100})},
		{name: "more serve more: no line", limit: 648, why: none, base: 350 * ms,
			traffic: after(fits, traffic{windows: 99, n: 100, took: 350 * ms, shed: 20, until: none})},
		{name: "more serve no more: a line", limit: 87, why: line, base: 10 * ms,
			traffic: after(fits, traffic{windows: 99, n: 50, took: 700 * ms, shed: 20, until: less}, traffic{windows: 99, n: 50, took: 170 * ms, shed: 20, until: line})},
		{name: "more serve no more, but less serve them no sooner: no line", limit: 324, why: late, base: 350 * ms,
			traffic: after(fits, traffic{windows: 99, n: 50, took: 700 * ms, shed: 20, until: late})},
		{name: "more, and clients leave: a line, and less at once", limit: 87, why: less,
			traffic: after(fits, traffic{windows: 8, n: 65, took: 700 * ms, gone: 9, shed: 20, until: line})},
		{name: "more, and clients leave, but it answers as soon: no line", limit: 349, why: late,
			traffic: after(fits, traffic{windows: 99, n: 65, took: 350 * ms, gone: 9, shed: 20, until: late})},
		{name: "more, and clients leave, but more are answered: it goes on", limit: 350, why: more,
			traffic: after(fits, traffic{windows: 1, n: 80, took: 700 * ms, gone: 12, shed: 20, until: line})},
		{name: "after a line, more is not tried first", limit: 44, why: less,
			traffic: after(fits, traffic{windows: 99, n: 50, took: 700 * ms, shed: 20, until: less}, traffic{windows: 99, n: 50, took: 170 * ms, shed: 20, until: line},
				traffic{windows: 99, n: 25, took: 350 * ms, shed: 20, until: less})},
		{name: "that, though it was calm for two seconds", limit: 44, why: less,
			traffic: after(fits, traffic{windows: 99, n: 50, took: 700 * ms, shed: 20, until: less}, traffic{windows: 99, n: 50, took: 170 * ms, shed: 20, until: line},
				traffic{windows: 20, n: 50, took: 10 * ms, inFlight: 10}, traffic{windows: 60, n: 50, took: 350 * ms, shed: 20, until: less})},
		{name: "latency has just changed, and most have yet to leave: no trial yet", limit: 175, why: start,
			traffic: after(traffic{windows: 3, n: 20, took: 350 * ms, shed: 80})},
		{name: "they have been leaving for as long as most take: a trial", limit: 350, why: more,
			traffic: after(traffic{windows: 12, n: 20, took: 350 * ms, shed: 80, until: more})},
		{name: "nobody needs more: it stays", limit: 350, why: room,
			traffic: after(fits, traffic{windows: 99, n: 70, took: 350 * ms, inFlight: 250, until: room})},
		{name: "nobody needs more: it is not tried again for a while", limit: 350, why: room,
			traffic: after(fits, traffic{windows: 99, n: 70, took: 350 * ms, inFlight: 250, until: room}, traffic{windows: 5, n: 50, took: 700 * ms, shed: 150})},
		{name: "the load goes during a trial of less: back", limit: 175, why: room,
			traffic: after(slow, traffic{windows: 40, n: 10, span: 300 * ms, took: 10 * ms, inFlight: 30, until: room})},

		{name: "silent from the start: twice as many", limit: 128, why: start, traffic: []traffic{{silent: sec}}},
		{name: "silent from the start, again and again: no end", limit: 1024, why: start, traffic: []traffic{{silent: sec}, {silent: sec}, {silent: sec}, {silent: sec}}},
		{name: "the first one is over, perhaps the next of a line: it stays", limit: 64, why: start, traffic: []traffic{{n: 1, took: 10 * ms}, {silent: 39 * ms}}},
		{name: "silent for more than twice as long as it took: twice as many", limit: 128, why: start, traffic: []traffic{{n: 1, took: 10 * ms}, {silent: 41 * ms}}},
		{name: "that, again and again: no end", limit: 1024, why: start, traffic: []traffic{{n: 1, took: 10 * ms}, {silent: 41 * ms}, {silent: ms}, {silent: ms}, {silent: ms}}},
		{name: "by all that are over", limit: 64, why: start, traffic: []traffic{{n: 1, took: 10 * ms}, {n: 1, took: 30 * ms, notFirst: true, gone: 1}, {silent: 59 * ms}}},
		{name: "a later one was served before: twice as many", limit: 128, why: start, traffic: []traffic{{n: 1, took: 10 * ms, notFirst: true}, {silent: ms}}},
		{name: "it failed: it stays", limit: 64, why: start, traffic: []traffic{{n: 1, took: 10 * ms, notFirst: true, failed: 1}, {silent: ms}}},
		{name: "its client left: it stays", limit: 64, why: start, traffic: []traffic{{n: 1, took: 10 * ms, notFirst: true, gone: 1}, {silent: ms}}},
		{name: "served before, again and again: up to 512", limit: 512, why: start,
			traffic: []traffic{{n: 1, took: 10 * ms, notFirst: true}, {silent: ms}, {silent: ms}, {silent: ms}, {silent: ms}}},
		{name: "served before, and 300 at least: up to 512", least: 300, limit: 512, why: start, traffic: []traffic{{n: 1, took: 10 * ms, notFirst: true}, {silent: ms}}},
		{name: "the first window is over: it stays", limit: 64, why: start, traffic: []traffic{{n: 16, took: 10 * ms, inFlight: 30}, {silent: 40 * ms}}},
		{name: "with errors only: twice as many", limit: 128, why: start, traffic: []traffic{{n: 16, took: 10 * ms, inFlight: 30, failed: 16}, {silent: ms}}},
		{name: "errors first: what is first answered is the latency without a line", limit: 64, why: start, base: 200 * ms,
			traffic: []traffic{{n: 16, took: 10 * ms, inFlight: 30, failed: 16}, {n: 50, took: 200 * ms, inFlight: 30}}},
		{name: "silent, and no more was asked for: as many as clients bear", limit: 350, why: start, traffic: after(traffic{silent: 50 * ms})},
		{name: "but not for a moment", limit: 175, why: start, traffic: after(traffic{silent: 30 * ms})},
		{name: "and no more than that", limit: 1176, why: start,
			traffic: after(traffic{silent: 50 * ms}, traffic{silent: 50 * ms}, traffic{silent: 50 * ms}, traffic{silent: 250 * ms}, traffic{silent: 90 * ms})},
		{name: "clients say that they wait for 2 s: as many as those bear", said: 2 * sec, limit: 1882, why: start,
			traffic: after(traffic{silent: 50 * ms}, traffic{silent: 50 * ms}, traffic{silent: 50 * ms})},
		{name: "silent, and more was asked for: one more", limit: 176, why: start,
			traffic: after(traffic{n: 300, took: 200 * ms, shed: 900}, traffic{silent: 1100 * ms}, traffic{silent: 90 * ms})},
		{name: "that, but not for long", limit: 175, why: start,
			traffic: after(traffic{n: 300, took: 200 * ms, shed: 900}, traffic{silent: 240 * ms})},
		{name: "one more, and not another at once", limit: 176, why: start,
			traffic: after(traffic{n: 300, took: 200 * ms, shed: 900}, traffic{silent: 1100 * ms}, traffic{silent: 1000 * ms})},
		{name: "one more, and another after a while", limit: 177, why: start,
			traffic: after(traffic{n: 300, took: 200 * ms, shed: 900}, traffic{silent: 1100 * ms}, traffic{silent: 1100 * ms})},
		{name: "the latency without a line goes down with what is seen", limit: 175, why: start, base: 5 * ms,
			traffic: after(traffic{windows: 90, n: 100, took: 5 * ms, inFlight: 10})},
		{name: "it hangs, and one more is as quick as ever: half as much again", limit: 264, why: hang,
			traffic: after(traffic{n: 300, took: 200 * ms, shed: 900}, traffic{silent: 1100 * ms}, traffic{n: 1, took: 90 * ms})},
		{name: "it grows once for one more", limit: 264, why: hang,
			traffic: after(traffic{n: 300, took: 200 * ms, shed: 900}, traffic{silent: 1100 * ms}, traffic{n: 1, took: 90 * ms}, traffic{n: 1, took: 50 * ms})},
		{name: "one more hangs too", limit: 176, why: start,
			traffic: after(traffic{n: 300, took: 200 * ms, shed: 900}, traffic{silent: 1100 * ms}, traffic{n: 1, took: 5 * sec, span: 5 * sec})},
		{name: "one that was there before says nothing", limit: 176, why: start,
			traffic: after(traffic{n: 300, took: 200 * ms, shed: 900}, traffic{silent: 1100 * ms}, traffic{n: 1, took: 150 * ms})},
		{name: "nor does one that fails", limit: 176, why: start,
			traffic: after(traffic{n: 300, took: 200 * ms, shed: 900}, traffic{silent: 1100 * ms}, traffic{n: 1, took: 90 * ms, failed: 1})},
		{name: "a given limit, silent", fixed: 25, limit: 25, why: start, traffic: []traffic{{silent: sec}}},

		{name: "goroutines wait long for a processor: less than what is in flight", limit: .8 * 40, why: start,
			traffic: after(traffic{windows: 6, n: 100, took: 10 * ms, inFlight: 40, wait: 100 * ms})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.least == 0 {
				tt.least = 2
			}
			if tt.most == 0 {
				tt.most = 10_000
			}
			a := newAdaptiveLimit(tt.least, tt.most)
			if tt.fixed > 0 {
				a.fixed, a.limit = true, tt.fixed
			}
			if tt.said > 0 {
				a.patience.say(tt.said.Seconds())
			}
			if tt.left > 0 {
				a.patience.leave(tt.left.Seconds())
			}
			var wait time.Duration
			a.sched = newSchedLimit(10*time.Millisecond, func() (SchedulerSample, bool) {
				return SchedulerSample{P99: wait, Processors: 1}, true
			})
			now := sec
			for _, tr := range tt.traffic {
				wait = tr.wait
				now = tr.play(&a, now)
			}
			if math.Abs(a.limit-tt.limit) > .005*tt.limit+.5 || a.why != tt.why {
				t.Errorf("got limit %.1f, %q, want %.0f, %q", a.limit, a.why, tt.limit, tt.why)
			}
			// A histogram tells a latency to a tenth.
			if got := time.Duration(a.trials.base * 1e9); tt.base > 0 && (got-tt.base).Abs() > tt.base/8 {
				t.Errorf("got a base of %v, want %v", got, tt.base)
			}
		})
	}
}

// play lets the traffic happen from start on, and returns when it is over.
func (tr traffic) play(a *adaptiveLimit, start time.Duration) time.Duration {
	if tr.span == 0 {
		tr.span = 100 * time.Millisecond
	}
	if tr.silent > 0 {
		a.short(start + tr.silent)
		return start + tr.silent
	}
	for range max(1, tr.windows) {
		inFlight := tr.inFlight
		if inFlight == 0 {
			inFlight = int(a.limit)
		}
		if a.last == 0 {
			a.last, a.window.since = start, start // a first window begins with its first request
		}
		a.shed(tr.shed)
		for i := range tr.n {
			part := float64(i+1) / float64(tr.n)
			c := Completion{
				At: start + time.Duration(float64(tr.span)*part), Took: tr.took, InFlight: inFlight + int(part*float64(tr.rise)),
				Met: inFlight, Slot: Slot{Weight: 1, First: !tr.notFirst}, Route: tr.route,
			}
			if tr.met > 0 {
				c.Met = int(part * float64(tr.met))
			}
			if tr.every > 0 && i%tr.every == 0 {
				c.Took = tr.long
			}
			switch {
			case i >= tr.n-tr.failed:
				c.Outcome = Failed
			case tr.gone > 0 && (tr.every > 0 && i%tr.every == 0 || tr.every == 0 && i < tr.gone):
				c.Outcome = Gone
			}
			a.completed(c, int(part*float64(tr.queued)))
		}
		start += tr.span
		if tr.until != "" && a.why == tr.until {
			break
		}
	}
	return start
}
