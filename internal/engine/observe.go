package engine

import (
	"context"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
)

// Observer is told what the engine does and for how long. It changes nothing, and what decides knows nothing of it: the
// stages are timed where they meet. Its methods are called by many goroutines at once and return at once.
type Observer interface {
	// Filed is told through which stages a registration went, under its own context, before Register returns. d is what was
	// decided; nil after an error, and for an answer that was recorded before. It is not the observer's to keep or change.
	Filed(ctx context.Context, d *deal.Decision, stages []Stage)
	// Commit is told that requests, given by their contexts, go into one commit. The store is asked under the context that
	// it returns, which must have no end; done is told how the commit ended.
	Commit(requests []context.Context) (ctx context.Context, done func(error))
}

// Stage is one part of the way of a registration, by the system's clock. Stages follow each other without a gap.
type Stage struct {
	Name     string
	From, To time.Time
}

// The stages of a registration, in order. When a commit is tried again they repeat from StageQueue on.
const (
	StageAdmit   = "admit"   // the filing is held against partners and products, and the question is put
	StageSearch  = "search"  // candidates are found, outside any lock
	StageQueue   = "queue"   // waits for the committer
	StageLock    = "lock"    // the head is locked, what others have added is applied, those before it in the commit are decided
	StageRefresh = "refresh" // candidates are brought up to date
	StageDecide  = "decide"  // territory, conflicts, policy, and the entry made of the decision
	StageWrite   = "write"   // those after it in the commit are decided, and all is written to disk
	StageProve   = "prove"   // the receipt
)

// Stages are all stages, in order.
var Stages = []string{StageAdmit, StageSearch, StageQueue, StageLock, StageRefresh, StageDecide, StageWrite, StageProve}

// stopwatch times one registration. A nil one costs nothing. It belongs to the caller, then to the committer from
// enqueue until the proposal is done, then to the caller again: a caller that leaves before must not look at it.
type stopwatch struct {
	stages  []Stage
	at      time.Time
	decided *deal.Decision
}

func (e *Engine) stopwatch() *stopwatch {
	if e.cfg.Observer == nil {
		return nil
	}
	return &stopwatch{stages: make([]Stage, 0, len(Stages)), at: time.Now()}
}

// lap ends a stage.
func (s *stopwatch) lap(name string) {
	if s == nil {
		return
	}
	now := time.Now()
	s.stages = append(s.stages, Stage{name, s.at, now})
	s.at = now
}

// made notes the decision.
func (s *stopwatch) made(d *deal.Decision) {
	if s != nil {
		s.decided = d
	}
}

// filed tells the observer of a registration, unless the committer still has it.
func (e *Engine) filed(ctx context.Context, s *stopwatch, p *proposal, err error) {
	if s == nil || p != nil && !p.ended() {
		return
	}
	if err != nil || p != nil && p.replayed {
		s.decided = nil
	}
	e.cfg.Observer.Filed(ctx, s.decided, s.stages)
}

// ended reports whether the committer is done with the proposal.
func (p *proposal) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// observed returns the context of a commit, and whom to tell how it ended.
func (e *Engine) observed(batch []*proposal) (context.Context, func(error)) {
	if e.cfg.Observer == nil || len(batch) == 0 {
		return context.Background(), func(error) {}
	}
	requests := make([]context.Context, len(batch))
	for i, p := range batch {
		requests[i] = p.ctx
		p.request.watch.lap(StageQueue)
	}
	return e.cfg.Observer.Commit(requests)
}
