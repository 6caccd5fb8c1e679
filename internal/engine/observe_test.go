package engine

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
)

// TestUnwatched: an engine without an observer pays nothing for what could be watched.
func TestUnwatched(t *testing.T) {
	e := &Engine{}
	batch := []*proposal{{}}
	if n := testing.AllocsPerRun(100, func() {
		w := e.stopwatch()
		w.lap(StageAdmit)
		w.made(nil)
		_, done := e.observed(batch)
		done(nil)
		e.filed(context.Background(), w, batch[0], nil)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// witness is an observer that keeps what it is told.
type witness struct {
	mu      sync.Mutex
	stages  []Stage
	decided *deal.Decision
	filed   int
}

func (w *witness) Filed(_ context.Context, d *deal.Decision, stages []Stage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.filed++
	w.decided, w.stages = d, stages
}

func (w *witness) Commit([]context.Context) (context.Context, func(error)) {
	return context.Background(), func(error) {}
}

// TestStopwatch: stages follow each other without a gap, a caller that leaves before the committer is done leaves what it
// timed to it, and what was not decided now is not reported as decided.
func TestStopwatch(t *testing.T) {
	w := &witness{}
	e := &Engine{cfg: Config{Observer: w}}
	p := &proposal{done: make(chan struct{})}
	s := e.stopwatch()
	for _, name := range Stages {
		s.lap(name)
	}
	s.made(&deal.Decision{ID: "dec_1"})
	if e.filed(t.Context(), s, p, context.Canceled); w.filed != 0 {
		t.Error("reported while the committer has it")
	}
	close(p.done)
	e.filed(t.Context(), s, p, nil)
	if w.filed != 1 || w.decided == nil || len(w.stages) != len(Stages) {
		t.Fatalf("reported %d times: %v %v", w.filed, w.decided, w.stages)
	}
	at := w.stages[0].From
	for i, x := range w.stages {
		if x.Name != Stages[i] || !x.From.Equal(at) || x.To.Before(x.From) || time.Since(x.To) > time.Minute {
			t.Errorf("%d: %+v after %v", i, x, at)
		}
		at = x.To
	}
	p.replayed = true
	if e.filed(t.Context(), s, p, nil); w.decided != nil {
		t.Error("a retry is reported as decided")
	}
}
