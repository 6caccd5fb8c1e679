package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/report"
	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/store/postgres"
	"github.com/dibs-deals/dibs/internal/store/sqlite"
	"github.com/dibs-deals/dibs/internal/testserver"
	"github.com/dibs-deals/dibs/internal/world"
)

// lineRules protect the first claim on a customer, for 30 days or 60, and let the others wait in line.
const lineRules = `apiVersion: dealreg/v1
kind: Policy
metadata: {name: bench, title: Bench}
settings: {currency: EUR, timezone: Europe/Berlin, tiers: [gold], custom: {long: {type: bool}}}
precedence: [route, escalate, protect]
defaults: {escalate: {queue: desk}}
rules:
  - {id: held, when: conflict.held_by_other.found || conflict.pending_other.found, then: {outcome: route, disposition: waitlisted, of: held_by_other, reason: ALREADY_REGISTERED}}
  - {id: long, when: custom.long, then: {outcome: protect, reason: PROTECTED, terms: {days: 60}}}
  - {id: short, when: "true", then: {outcome: protect, reason: PROTECTED, terms: {days: 30}}}
`

// measureDue measures on both engines what due makes of windows that end together.
func measureDue(ctx context.Context, live, due int) (string, error) {
	table := fmt.Sprintf("%d customers, of whose protections %d end in one instant, each with one in line behind it, while others register, 50 a second.\n\n", live, due) +
		"| | live protections | who waited are promoted | until the last is | registrations before: p50, p99, longest | meanwhile |\n|---|---|---|---|---|---|\n"
	for _, on := range []struct {
		name string
		open func() (store.Store, func(), error)
	}{{"SQLite", onSQLite}, {"PostgreSQL", onPostgres}} {
		st, done, err := on.open()
		if err != nil {
			return "", err
		}
		row, err := dueOn(ctx, st, live, due)
		done()
		if err != nil {
			return "", fmt.Errorf("%s: %w", on.name, err)
		}
		log.Printf("%s | %s", on.name, row)
		table += "| " + on.name + " | " + row + " |\n"
	}
	return report.Machine() + table, nil
}

func onSQLite() (store.Store, func(), error) {
	dir, err := os.MkdirTemp("", "dibs-bench-")
	if err != nil {
		return nil, nil, err
	}
	st, err := sqlite.Open(context.Background(), sqlite.Config{Path: filepath.Join(dir, "dibs.db")})
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return st, func() { _ = st.Close(); _ = os.RemoveAll(dir) }, nil
}

func onPostgres() (store.Store, func(), error) {
	server, err := testserver.StartPostgres("shared_buffers=512MB", "max_wal_size=8GB")
	if err != nil {
		return nil, nil, err
	}
	st, err := postgres.Open(context.Background(), postgres.Config{URL: server.URL("postgres")})
	if err != nil {
		return nil, nil, errors.Join(err, server.Remove())
	}
	return st, func() { _ = st.Close(); _ = server.Remove() }, nil
}

// dueOn holds live protections, lets due of them end in one instant with somebody in line behind each, and measures how long it takes until
// all who waited are promoted, and what registrations that come meanwhile wait: a row of the table.
func dueOn(ctx context.Context, st store.Store, live, due int) (string, error) {
	signer, _, err := ledger.NewSigner("bench")
	if err != nil {
		return "", err
	}
	var ahead atomic.Int64 // of the machine's clock
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	e, err := engine.Open(ctx, engine.Config{Store: st, Signer: signer, Policy: []byte(lineRules), Clock: clock})
	if err != nil {
		return "", err
	}
	defer func() { _ = e.Close(ctx) }()
	crowd := world.NewCrowd(slices.Collect(world.Accounts()))
	q := engine.Request{Actor: deal.System}
	if _, err := e.Put(ctx, q, []deal.Record{&deal.Partner{ID: "P-1", Name: "First", Status: "active"}, &deal.Partner{ID: "P-2", Name: "Second", Status: "active"}, &deal.Partner{ID: "P-3", Name: "Third", Status: "active"}}, nil); err != nil {
		return "", err
	}
	if _, err := engine.ImportRows(ctx, e, q, false, func(put func(engine.ImportRow) error) error {
		for a := range crowd.Accounts(live) {
			if err := put(engine.ImportRow{Record: a}); err != nil {
				return err
			}
		}
		return nil
	}, func(line int, errs deal.FieldErrors) { log.Printf("row %d: %v", line, errs) }); err != nil {
		return "", err
	}
	file := func(partner string, i int, long bool) (engine.Answer, error) {
		a := crowd.Account(i)
		f := deal.Filing{PartnerID: partner, Type: "new_business", Customer: deal.Customer{Name: a.Name, AccountID: a.ID, Domain: a.Domain, Country: a.Country, Region: a.Region, City: a.City,
			PostalCode: a.PostalCode, Street: a.Street, TaxID: a.TaxID}}
		if long {
			f.Custom = map[string]string{"long": "true"}
		}
		var answer engine.Answer
		q := engine.Request{Actor: deal.Actor{KeyID: "bench", Role: "portal"}, IdemKey: fmt.Sprint(partner, " ", i)}
		got, err := e.Register(ctx, q, f)
		for tries := 0; errors.Is(err, deal.ErrUnavailable) && tries < 10; tries++ { // as a portal does: on a busy machine the database may end a session
			got, err = e.Register(ctx, q, f)
		}
		if err == nil {
			err = json.Unmarshal(got.Body, &answer)
		}
		return answer, err
	}
	var mu sync.Mutex
	waiting, ends, held := map[string]bool{}, map[time.Time]int{}, 0
	var failed error
	each := func(n int, do func(i int) error) {
		var next atomic.Int64
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
					if err := do(i); err != nil {
						mu.Lock()
						failed = errors.Join(failed, err)
						mu.Unlock()
						return
					}
				}
			})
		}
		wg.Wait()
	}
	began := time.Now()
	each(live, func(i int) error {
		a, err := file("P-1", i, i >= due)
		mu.Lock()
		defer mu.Unlock()
		if err == nil && a.Status == deal.StatusProtected {
			held++
			ends[a.Decision.Protection.EndsAt]++
		}
		return err
	})
	each(due, func(i int) error {
		a, err := file("P-2", i, true)
		mu.Lock()
		defer mu.Unlock()
		if err == nil && a.Status == deal.StatusWaitlisted {
			waiting[a.ID] = true
		}
		return err
	})
	if failed != nil {
		return "", failed
	}
	log.Printf("%d protections and %d in line made in %s", held, len(waiting), time.Since(began).Round(time.Second))
	var first time.Time
	for at := range ends {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	// Others register meanwhile, 50 a second.
	stop := make(chan struct{})
	var load sync.WaitGroup
	var lat []time.Duration
	customer := 0
	load.Go(func() {
		var wg sync.WaitGroup
		defer wg.Wait()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			customer++
			i := live + customer
			wg.Go(func() {
				t := time.Now()
				_, err := file("P-3", i, true)
				mu.Lock()
				lat = append(lat, time.Since(t))
				if wrong := (deal.FieldErrors)(nil); !errors.As(err, &wrong) { // some names in the crowd name nobody
					failed = errors.Join(failed, err)
				}
				mu.Unlock()
			})
		}
	})
	quantiles := func() (p50, p99, most time.Duration, n int) {
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(lat)
		if n = len(lat); n > 0 {
			p50, p99, most = lat[n/2], lat[n*99/100], lat[n-1]
		}
		lat = nil
		return p50, p99, most, n
	}
	time.Sleep(5 * time.Second)
	b50, b99, bmax, bn := quantiles()
	seq := e.Position()
	ahead.Store(int64(time.Until(first)))
	began = time.Now()
	promoted, took, meanwhile := 0, time.Duration(0), 0
	// Some wait behind another customer that reads alike, and go on waiting: it is over when nobody was promoted for ten seconds.
	for promoted < len(waiting) && time.Since(began) < took+10*time.Second {
		events, err := st.Events(ctx, seq, 2000)
		if err != nil {
			return "", err
		}
		for _, ev := range events {
			if seq = ev.Seq; ev.Type == "dibs.registration.protected.v1" && waiting[ev.Subject] {
				promoted, took = promoted+1, time.Since(began)
				mu.Lock()
				meanwhile = len(lat)
				mu.Unlock()
			}
		}
		if len(events) == 0 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	mu.Lock()
	lat = lat[:min(len(lat), meanwhile+64)] // and those that were waiting then
	mu.Unlock()
	d50, d99, dmax, dn := quantiles()
	close(stop)
	load.Wait()
	if failed != nil {
		return "", failed
	}
	if promoted < len(waiting)*9/10 {
		return "", fmt.Errorf("%d of %d were promoted, the last after %s", promoted, len(waiting), took)
	}
	return fmt.Sprintf("%d, of which %d end | %d | %.1f s | %s, %s, %s of %d | %s, %s, %s of %d", held, ends[first], promoted, took.Seconds(),
		ms(b50), ms(b99), ms(bmax), bn, ms(d50), ms(d99), ms(dmax), dn), nil
}
