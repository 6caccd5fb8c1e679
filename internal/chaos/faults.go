package chaos

import (
	"context"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// fault is one way to break something.
type fault struct {
	name   string
	weight int
	// do breaks it, and mends it when ctx ends or its time is over. It returns when both are done.
	do func(ctx context.Context, rng *rand.Rand) error
}

// Steps are the steps of a commit at which a replica may die.
var Steps = []string{"begin", "locked", "caught-up", "decided", "written", "committed", "half-answered"}

// points says how likely a replica dies, or freezes, at each step.
func points(odds float64, freeze float64) string {
	var out []string
	for _, s := range Steps {
		out = append(out, s+"=kill:"+ftoa(odds))
		if s == "locked" || s == "decided" { // while it holds the head
			out = append(out, s+"=stop:"+ftoa(freeze))
		}
	}
	return strings.Join(out, ",")
}

// processFaults are what can befall replicas, whatever they stand on.
func (r *round) processFaults() []fault {
	one := func(rng *rand.Rand) *replica { return r.replicas[rng.IntN(len(r.replicas))] }
	return []fault{
		{"kill", 4, func(_ context.Context, rng *rand.Rand) error { one(rng).signal(syscall.SIGKILL); return nil }},
		{"freeze", 2, func(_ context.Context, rng *rand.Rand) error { one(rng).signal(syscall.SIGSTOP); return nil }},
		{"clock skew", 3, func(_ context.Context, rng *rand.Rand) error { // hours ahead or behind
			return r.skew(rng, one(rng))
		}},
		{"clock jump", 1, func(_ context.Context, _ *rand.Rand) error { return r.advance() }},
	}
}

// skew moves one replica's clock away from the others'.
func (r *round) skew(rng *rand.Rand, p *replica) error {
	r.clockMu.Lock()
	defer r.clockMu.Unlock()
	return p.setClock(r.ahead + time.Duration(rng.Int64N(int64(6*time.Hour))) - 3*time.Hour)
}

// advance moves all clocks on, far enough that short windows end.
func (r *round) advance() error {
	r.clockMu.Lock()
	defer r.clockMu.Unlock()
	r.ahead += 50 * time.Hour
	for _, p := range r.replicas {
		if err := p.setClock(r.ahead); err != nil {
			return err
		}
	}
	return nil
}

// breakThings lets faults happen until ctx ends, and returns when all are mended.
func (r *round) breakThings(ctx context.Context, faults []fault) {
	rng := rand.New(rand.NewPCG(r.cfg.Seed, 3))
	total := 0
	for _, f := range faults {
		total += f.weight
	}
	if total == 0 {
		return
	}
	var running sync.WaitGroup
	defer running.Wait()
	busy := map[string]bool{} // a fault that lasts is not begun twice
	var mu sync.Mutex
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(r.cfg.Every/2 + time.Duration(rng.Int64N(int64(r.cfg.Every)))):
		}
		n := rng.IntN(total)
		i := 0
		for ; n >= faults[i].weight; i++ {
			n -= faults[i].weight
		}
		f := faults[i]
		mu.Lock()
		again := busy[f.name]
		busy[f.name] = true
		mu.Unlock()
		if again {
			continue
		}
		own := rand.New(rand.NewPCG(rng.Uint64(), 4))
		running.Go(func() {
			if err := f.do(ctx, own); err != nil {
				r.h.violate("harness", "fault %q: %v", f.name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			busy[f.name] = false
			r.res.Faults[f.name]++
		})
	}
}

// countPoints reads how often replicas died or froze at each step.
func countPoints(file string) (map[string]int, error) {
	out := map[string]int{}
	b, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		out[strings.TrimSpace(line)]++
	}
	return out, nil
}
