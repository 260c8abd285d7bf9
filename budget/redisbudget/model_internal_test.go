package redisbudget

import (
	"context"
	"math"
	"sync"
)

// A model is the script in Go, with a clock and a memory that a test can
// change. The conversions to float64 keep a compiler from fusing operations,
// so that both come to the same bits.
type model struct {
	now  func() float64 // microseconds
	mu   sync.Mutex
	kept map[string]state
}

type state struct{ pool, at, act, req, wants, ret, den, switched float64 }

func newModel(now func() float64) *model { return &model{now: now, kept: map[string]state{}} }

func (m *model) settle(_ context.Context, c *call) ([]answer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	answers := make([]answer, len(c.asks))
	for i, a := range c.asks {
		s, ok := m.kept[c.keys[i]]
		answers[i] = s.step(ok, a, m.now())
		m.kept[c.keys[i]] = s
	}
	return answers, nil
}

func (s *state) step(known bool, a ask, now float64) answer {
	if !known {
		s.at = now
	}
	if now < s.at && s.at-now < 1e6 {
		now = s.at
	}
	el := max((now-s.at)/1e6, 0)
	s.at = now
	const long, short, soon = 10, 1, 0.5
	slow, fast := 1+el/long, 1+el/short
	s.act = s.act/slow + a.present
	s.req = s.req/slow + a.requests
	s.wants = s.wants/fast + a.want
	s.ret = s.ret/fast + a.spent
	s.den = s.den/fast + a.denied
	rate := s.req / (long + el)

	if math.Abs(a.known) > math.Abs(s.switched) {
		s.switched = a.known
	}
	if a.turn != 0 {
		s.switched = a.turn * max(math.Abs(s.switched)+1, now)
	}

	limit, grant := s.pool, 0.0
	if a.stock > 0 {
		limit = min(max((float64(rate*a.ratio)+a.floor)*a.stock*token, token), 1<<52)
		s.pool = min(s.pool+float64(a.floor*min(el, a.stock)*token)+a.give, limit)
		if a.want > 0 && s.pool >= token {
			share, need := a.want, s.wants/(short+el)*soon*token
			if s.pool < need {
				share = a.want * s.pool / need
			}
			grant = min(math.Floor(share+a.draw), a.want, math.Floor(s.pool/token))
			s.pool -= float64(grant * token)
		}
	}
	return answer{
		grant: grant, pool: s.pool / token, limit: limit / token, instances: s.act / (long + el), requests: rate,
		retries: s.ret / (short + el), denied: s.den / (short + el), switched: s.switched,
	}
}
