package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/report"
	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/store/postgres"
	"github.com/dibs-deals/dibs/internal/testserver"
)

// The group commit on PostgreSQL: callers hand decisions of about 7 KB to one committer and wait, which takes what waits
// into one commit, as the engine's does. It is measured against itself with one decision in a commit.
const (
	groupLimit  = 256
	commitTurns = 3 // of each, alternately: the median counts
	commitFor   = 1500 * time.Millisecond
)

// measureCommits makes the table of group commits.
func measureCommits(ctx context.Context) (string, error) {
	server, err := testserver.StartPostgres()
	if err != nil {
		return "", err
	}
	defer func() { _ = server.Remove() }()
	st, err := postgres.Open(ctx, postgres.Config{URL: server.URL("postgres")})
	if err != nil {
		return "", err
	}
	defer func() { _ = st.Close() }()
	g := &group{st: st, tree: ledger.NewTree()}
	var b strings.Builder
	fmt.Fprintf(&b, "Decisions of about 7 KB with their rows, through the store alone, PostgreSQL and callers on the same machine. Median of %d turns of %s, taken alternately.\n\n", commitTurns, commitFor)
	fmt.Fprintln(&b, "| callers at once | one in a commit: decisions/s, p50 | what waits in a commit: decisions/s, p50 | decisions in a commit | × |")
	fmt.Fprintln(&b, "|---|---|---|---|---|")
	if _, err := g.run(ctx, 16, groupLimit); err != nil { // warm
		return "", err
	}
	for _, callers := range []int{1, 4, 16, 64, 256} {
		var single, grouped []turn
		for range commitTurns {
			s, err := g.run(ctx, callers, 1)
			if err != nil {
				return "", err
			}
			m, err := g.run(ctx, callers, groupLimit)
			if err != nil {
				return "", err
			}
			single, grouped = append(single, s), append(grouped, m)
		}
		s, m := median(single), median(grouped)
		fmt.Fprintf(&b, "| %d | %.0f, %s | %.0f, %s | %.1f | %.2f |\n", callers, s.perSecond, ms(s.p50), m.perSecond, ms(m.p50), m.inCommit, m.perSecond/s.perSecond)
	}
	return report.Machine() + b.String(), nil
}

// turn is one measurement.
type turn struct {
	perSecond, inCommit float64
	p50                 time.Duration
}

func median(ts []turn) turn {
	slices.SortFunc(ts, func(a, b turn) int { return int(a.perSecond - b.perSecond) })
	return ts[len(ts)/2]
}

// group is a committer without an engine.
type group struct {
	st   store.Store
	tree *ledger.Tree
	n    int
}

func (g *group) run(ctx context.Context, callers, limit int) (turn, error) {
	queue := make(chan chan error, 4*groupLimit)
	var wg sync.WaitGroup
	var stop atomic.Bool
	took := make([][]time.Duration, callers)
	errs := make([]error, callers)
	for c := range callers {
		wg.Go(func() {
			for !stop.Load() && errs[c] == nil {
				began := time.Now()
				done := make(chan error, 1)
				queue <- done
				errs[c] = <-done
				took[c] = append(took[c], time.Since(began))
			}
		})
	}
	go func() { wg.Wait(); close(queue) }()
	commits := 0
	began := time.Now()
	for first := range queue {
		batch := []chan error{first}
	fill:
		for len(batch) < limit {
			select {
			case next, ok := <-queue:
				if !ok {
					break fill
				}
				batch = append(batch, next)
			default:
				break fill
			}
		}
		err := g.commit(ctx, len(batch))
		commits++
		for _, done := range batch {
			done <- err
		}
		if time.Since(began) > commitFor {
			stop.Store(true)
		}
	}
	elapsed := time.Since(began)
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	return turn{float64(len(all)) / elapsed.Seconds(), float64(len(all)) / float64(commits), all[len(all)/2]}, errors.Join(errs...)
}

func (g *group) commit(ctx context.Context, n int) error {
	return g.st.Commit(ctx, func(ctx context.Context, l store.Locked) (store.Append, error) {
		batch, err := store.NewBatch(l.Head(), g.tree)
		if err != nil {
			return store.Append{}, err
		}
		var keys []store.IdemKey
		for range n {
			g.n++
			e, c, ev := committed(g.n, batch.NextSeq())
			keys = append(keys, store.IdemKey{KeyID: e.Actor.KeyID, Key: e.IdemKey})
			if err := batch.Add(e, c, ev); err != nil {
				return store.Append{}, err
			}
		}
		if _, err := l.Answered(ctx, keys); err != nil {
			return store.Append{}, err
		}
		add, tree, err := batch.Done()
		g.tree = tree
		return add, err
	})
}

// committed is an entry of the size, and with the rows, that decisions have.
func committed(n int, seq uint64) (store.Entry, *deal.Change, store.Event) {
	id, now := fmt.Sprintf("reg_%d", n), time.Now().UTC()
	r := deal.Registration{ID: id, Number: "DR-" + id, Sequence: seq, Version: seq, ReceivedAt: now, Status: deal.StatusProtected, DecisionID: "dec_" + id, CustomerRef: deal.CustomerRef{ProspectID: id},
		Filing: deal.Filing{PartnerID: "P-1", Type: "new_business", Description: strings.Repeat("Replacement of the firewall estate. ", 12), Customer: deal.Customer{Name: "Customer " + id}}}
	r.Protection = &deal.Protection{Scope: deal.Scope{Customer: r.CustomerRef, Lines: []string{"network"}}, StartsAt: now, EndsAt: now.AddDate(0, 0, 90)}
	d := deal.Decision{ID: r.DecisionID, RegistrationID: id, Sequence: seq, At: now, Outcome: deal.Protect, Facts: map[string]any{}}
	for i := range 85 {
		d.Facts[fmt.Sprintf("conflict.held_by_other.number_%d", i)] = fmt.Sprintf("%s as it was at %d", id, i)
	}
	person := func(field string) store.Personal {
		return store.Personal{Field: field, Salt: make([]byte, 32), Value: "Pat Example"}
	}
	return store.Entry{Kind: deal.EntryDecided, Subject: id, At: now, Actor: deal.Actor{KeyID: "key_1", Role: "portal"}, IdemKey: id, RequestHash: make([]byte, 32), Answer: []byte(strings.Repeat(id, 60)),
			Personal: []store.Personal{person("contact.name"), person("contact.email"), person("description")}},
		&deal.Change{Registrations: []deal.Registration{r}, Decision: &d}, store.Event{ID: "evt_" + id, Type: "dibs.registration.protected.v1", Subject: id, Body: []byte(`{"id":"` + id + `"}`)}
}
