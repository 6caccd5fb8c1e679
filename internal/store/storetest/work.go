package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

// job is one of lane l, due at start.
func job(id, lane string) store.Job {
	return store.Job{ID: id, Kind: "k", Key: id, Topic: "t", Lane: lane, Payload: []byte(`{"x":"` + id + `"}`), RunAt: start, CreatedAt: start}
}

// claim takes up to ten jobs at start + after, for a minute.
func claim(t *testing.T, db store.Store, lease string, after time.Duration, change ...func(*store.Claim)) []store.Job {
	t.Helper()
	c := store.Claim{Kinds: []string{"k"}, Lease: lease, Now: start.Add(after), Until: start.Add(after + time.Minute), Limit: 10}
	for _, f := range change {
		f(&c)
	}
	got, err := db.Claim(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func ids(jobs []store.Job) string {
	var out []string
	for _, j := range jobs {
		out = append(out, j.ID)
	}
	return strings.Join(out, " ")
}

func finish(t *testing.T, db store.Store, j store.Job, s store.JobState) {
	t.Helper()
	j.State, j.DoneAt, j.Log = s, start.Add(time.Second), []byte(`["x"]`)
	if lost, err := db.Finish(ctx, j); err != nil || len(lost) > 0 {
		t.Fatalf("%s: %v, lost %v", j.ID, err, lost)
	}
}

func testJobs(t *testing.T, db store.Store, reopen func() store.Store) {
	late, other := job("late", ""), job("other", "")
	late.RunAt = start.Add(time.Hour)
	other.Kind = "another"
	twice := job("twice", "")
	twice.Key = "a1" // of a job that waits
	if err := db.Enqueue(ctx, job("a1", "a"), job("a2", "a"), job("b1", "b"), job("free", ""), late, other, twice); err != nil {
		t.Fatal(err)
	}
	db = reopen()
	if got := claim(t, db, "none", 0, func(c *store.Claim) { c.Except = []string{"s", "t"} }); len(got) != 0 {
		t.Errorf("claimed of a topic that was left out: %s", ids(got))
	}
	if got := claim(t, db, "one", 0, func(c *store.Claim) { c.Limit = 1 }); ids(got) != "a1" {
		t.Errorf("first %s", ids(got))
	}
	got := claim(t, db, "two", 0)
	if ids(got) != "b1 free" { // a2 waits for a1, late for its hour
		t.Fatalf("then %s", ids(got))
	}
	want := job("b1", "b")
	want.N, want.State, want.Attempts, want.Lease, want.LeasedUntil, want.Log = got[0].N, store.JobWaiting, 1, "two", start.Add(time.Minute), []byte("[]")
	if !reflect.DeepEqual(got[0], want) {
		t.Errorf("got  %+v\nwant %+v", got[0], want)
	}
	if again := claim(t, db, "three", 59*time.Second); len(again) != 0 {
		t.Errorf("claimed while leased: %s", ids(again))
	}
	finish(t, db, got[0], store.JobDone)
	if lost, err := db.Finish(ctx, got[0]); err != nil || len(lost) != 1 {
		t.Errorf("finished twice: %v, %v", lost, err)
	}
	// Who stopped loses what it had, and is told so.
	again := claim(t, db, "four", time.Minute)
	if ids(again) != "a1 free" || again[0].Attempts != 2 {
		t.Fatalf("after the lease %s", ids(again))
	}
	if lost, err := db.Finish(ctx, got[1]); err != nil || !slices.Equal(lost, []string{"free"}) {
		t.Errorf("finished by who had it before: %v, %v", lost, err)
	}
	// One that is to be tried again keeps its place in the lane.
	again[0].State, again[0].RunAt, again[0].Error = store.JobWaiting, start.Add(30*time.Minute), "no\x00\xff"
	if lost, err := db.Finish(ctx, again[0]); err != nil || len(lost) > 0 {
		t.Fatal(lost, err)
	}
	if got := claim(t, db, "five", 2*time.Minute, func(c *store.Claim) { c.Limit = 1 }); ids(got) != "free" {
		t.Errorf("while a1 waits: %s", ids(got))
	}
	if j, err := db.Job(ctx, "a1"); err != nil || j.Error != "no\x00\xff" || !j.LeasedUntil.IsZero() || !j.DoneAt.IsZero() {
		t.Errorf("%+v, %v", j, err)
	}
	// A topic that is held off is due later, except what somebody is at; what is due later yet stays so.
	if err := db.HoldOff(ctx, "t", start.Add(45*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got := claim(t, db, "six", 44*time.Minute); ids(got) != "free" {
		t.Errorf("while held off: %s", ids(got))
	}
	got = claim(t, db, "seven", 50*time.Minute)
	if ids(got) != "a1 free" {
		t.Fatalf("afterwards: %s", ids(got))
	}
	finish(t, db, got[0], store.JobDead)
	finish(t, db, got[1], store.JobDone)
	if got := claim(t, db, "eight", 2*time.Hour); ids(got) != "a2 late" { // the dead one is in nobody's way
		t.Errorf("at last: %s", ids(got))
	}
	for f, want := range map[store.JobFilter]string{
		{}: "other late free b1 a2 a1", {Kind: "another"}: "other", {Topic: "t", State: store.JobDone}: "free b1", {State: store.JobDead}: "a1", {Topic: "x"}: "",
	} {
		f.Limit = 10
		all, err := db.Jobs(ctx, f)
		if err != nil || ids(all) != want {
			t.Errorf("%+v: %s, %v", f, ids(all), err)
		}
		if len(all) > 2 {
			f.Page = store.Page{After: fmt.Sprint(all[1].N), Limit: 1}
			if page, err := db.Jobs(ctx, f); err != nil || page[0].ID != all[2].ID {
				t.Errorf("after the second: %s, %v", ids(page), err)
			}
		}
	}
	if b, err := db.Backlog(ctx, "k"); err != nil || b.Waiting != 2 || b.Dead != 1 || !b.Since.Equal(start) {
		t.Errorf("%+v, %v", b, err)
	}
	// By hand.
	now := start.Add(3 * time.Hour)
	if err := db.Retry(ctx, "a1", now); err != nil {
		t.Fatal(err)
	}
	if j, err := db.Job(ctx, "a1"); err != nil || j.State != store.JobWaiting || j.Attempts != 0 || !j.RunAt.Equal(now) || !j.DoneAt.IsZero() || string(j.Log) != `["x"]` {
		t.Errorf("retried: %+v, %v", j, err)
	}
	if err := db.Retry(ctx, "a1", now); !errors.Is(err, deal.ErrNotPossible) {
		t.Errorf("retried while it waits: %v", err)
	}
	if err := db.Retry(ctx, "nobody", now); !errors.Is(err, deal.ErrNotFound) {
		t.Errorf("retried what is not there: %v", err)
	}
	if _, err := db.Job(ctx, "nobody"); !errors.Is(err, deal.ErrNotFound) {
		t.Errorf("read what is not there: %v", err)
	}
	if err := db.DropJobs(ctx, start.Add(time.Minute), start); err != nil {
		t.Fatal(err)
	}
	if all, err := db.Jobs(ctx, store.JobFilter{Page: store.Page{Limit: 10}}); err != nil || ids(all) != "other late a2 a1" {
		t.Errorf("left are %s, %v", ids(all), err)
	}
}

// testJobsRace: of many who claim at once each job has one, and of a lane one job is out at a time.
func testJobsRace(t *testing.T, db store.Store, reopen func() store.Store) {
	var all []store.Job
	for i := range 120 {
		all = append(all, job(fmt.Sprintf("j%03d", i), fmt.Sprint("lane", i%12)))
	}
	if err := db.Enqueue(ctx, all...); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	finished := sync.NewCond(&mu) // who finds nothing waits for another to finish: polling would keep the others from the file
	seen, out, place := map[string]bool{}, map[string]bool{}, map[string]uint64{}
	over := false // all are seen, or one failed
	var wg sync.WaitGroup
	for w := range 6 {
		db := db
		if w%2 == 1 {
			db = reopen()
		}
		wg.Go(func() {
			for {
				got, err := db.Claim(ctx, store.Claim{Kinds: []string{"k"}, Lease: fmt.Sprint("w", w), Now: start, Until: start.Add(time.Hour), Limit: 3})
				mu.Lock()
				for _, j := range got {
					if seen[j.ID] || out[j.Lane] || place[j.Lane] > j.N {
						t.Errorf("%s of %s: claimed before %v, another out %v, after %d", j.ID, j.Lane, seen[j.ID], out[j.Lane], place[j.Lane])
					}
					seen[j.ID], out[j.Lane], place[j.Lane] = true, true, j.N
				}
				if len(got) == 0 && err == nil && !over {
					finished.Wait()
				}
				mu.Unlock()
				for i, j := range got {
					mu.Lock()
					out[j.Lane] = false // before it is said: the next may be claimed the moment it is
					mu.Unlock()
					got[i].State, got[i].DoneAt = store.JobDone, start
					if lost, ferr := db.Finish(ctx, got[i]); ferr != nil || len(lost) > 0 {
						err = errors.Join(err, ferr, fmt.Errorf("finishing %s: lost %v", j.ID, lost))
					}
				}
				mu.Lock()
				over = over || err != nil || len(seen) == len(all)
				stop := over
				finished.Broadcast()
				mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if stop {
					return
				}
			}
		})
	}
	wg.Wait()
}

// testOutbox: every event becomes jobs once, in the order of the ledger, whoever makes them; those of a failed attempt are
// there at the next.
func testOutbox(t *testing.T, db store.Store, reopen func() store.Store) {
	tell := func(n int) {
		t.Helper()
		id := fmt.Sprintf("reg_%03d", n)
		it := regItem(registration(id, "P-1", "acc"))
		it.change.Registrations[0].Filing.DistributorID = "D-1"
		it.change.Cases = []deal.Case{{ID: "case_" + id, RegistrationID: id, Status: "open"}}
		it.events = []store.Event{
			{ID: fmt.Sprintf("evt_%03d_a", n), Type: "dibs.registration.routed.v1", Subject: id, Body: []byte("{}")},
			{ID: fmt.Sprintf("evt_%03d_b", n), Type: "dibs.case.opened.v1", Subject: "case_" + id, Body: []byte("{}")},
		}
		must(t, db, it)
	}
	tell(0)
	var got []store.Event
	fan := func(_ []store.Webhook, events []store.Event) (out []store.Job, err error) {
		for _, e := range events {
			out = append(out, job("job_"+e.ID, e.RegistrationID))
		}
		got = events
		return out, nil
	}
	if n, err := db.Dispatch(ctx, 5, fan); err != nil || n != 0 || got != nil {
		t.Fatalf("without webhooks: %d, %v, %v", n, got, err)
	}
	if err := db.AddWebhook(ctx, store.Webhook{ID: "wh_1"}); err != nil {
		t.Fatal(err)
	}
	for n := range 7 {
		tell(n + 1)
	}
	boom := errors.New("boom")
	if _, err := db.Dispatch(ctx, 5, func([]store.Webhook, []store.Event) ([]store.Job, error) { return []store.Job{job("lost", "")}, boom }); !errors.Is(err, boom) {
		t.Fatalf("failed: %v", err)
	}
	if n, err := db.Dispatch(ctx, 5, fan); err != nil || n != 4 || got[0].ID != "evt_001_a" || got[3].ID != "evt_002_b" { // whole entries
		t.Fatalf("first: %d %+v, %v", n, got, err)
	}
	want := store.Event{ID: "evt_001_b", Seq: 2, Type: "dibs.case.opened.v1", Subject: "case_reg_001", At: got[1].At, Body: []byte("{}"), RegistrationID: "reg_001"}
	if !reflect.DeepEqual(got[1], want) {
		t.Errorf("got  %+v\nwant %+v", got[1], want)
	}
	if e, err := db.Event(ctx, "evt_001_a"); err != nil || e.PartnerID != "P-1" || e.DistributorID != "D-1" || e.RegistrationID != "reg_001" {
		t.Errorf("%+v, %v", e, err)
	}
	var wg sync.WaitGroup
	for range 4 {
		db := reopen()
		wg.Go(func() {
			for {
				n, err := db.Dispatch(ctx, 3, func(_ []store.Webhook, events []store.Event) (out []store.Job, err error) {
					for _, e := range events {
						out = append(out, job("job_"+e.ID, e.RegistrationID))
					}
					return out, nil
				})
				if err != nil {
					t.Error(err)
				}
				if n == 0 || err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	all, err := db.Jobs(ctx, store.JobFilter{Page: store.Page{Limit: 99}})
	if err != nil || len(all) != 14 {
		t.Fatalf("%d jobs of 14 events, %v", len(all), err)
	}
	slices.Reverse(all)
	for i, j := range all {
		if want := fmt.Sprintf("job_evt_%03d_%c", i/2+1, 'a'+rune(i%2)); j.ID != want {
			t.Errorf("job %d is %s, not %s", i, j.ID, want)
		}
	}
}

func testWebhooks(t *testing.T, db store.Store, reopen func() store.Store) {
	a := store.Webhook{ID: "wh_a", URL: "https://a.example/x", Types: []string{"*"}, PartnerIDs: []string{"P-1"}, Status: store.WebhookEnabled,
		Secrets: []store.Secret{{Text: "whsec_eA=="}, {Text: "whsec_eQ==", Until: start}}, CreatedAt: start, CreatedBy: "key_1", ChangedAt: start}
	a.After = must(t, db, item{}).Head.Seq
	b := store.Webhook{ID: "wh_b", URL: "https://b.example"}
	for _, w := range []store.Webhook{b, a} {
		if err := db.AddWebhook(ctx, w); err != nil {
			t.Fatal(err)
		}
	}
	db = reopen()
	if got, err := db.Webhooks(ctx); err != nil || len(got) != 2 || !reflect.DeepEqual(got[0], a) {
		t.Errorf("%+v, %v", got, err)
	}
	boom := errors.New("boom")
	if _, err := db.ChangeWebhook(ctx, "wh_a", func(w *store.Webhook) error { w.URL = "x"; return boom }); !errors.Is(err, boom) {
		t.Errorf("a change that fails: %v", err)
	}
	var wg sync.WaitGroup
	for range 8 { // changes do not overwrite each other
		wg.Go(func() {
			if _, err := db.ChangeWebhook(ctx, "wh_a", func(w *store.Webhook) error { w.Note += "x"; return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	a.Note = "xxxxxxxx"
	if got, err := db.Webhook(ctx, "wh_a"); err != nil || !reflect.DeepEqual(got, a) {
		t.Errorf("%+v, %v", got, err)
	}
	of := job("of", "")
	of.Topic = "wh_a"
	if err := db.Enqueue(ctx, of, job("other", "")); err != nil {
		t.Fatal(err)
	}
	if err := db.DropWebhook(ctx, "wh_a"); err != nil {
		t.Fatal(err)
	}
	if all, err := db.Jobs(ctx, store.JobFilter{Page: store.Page{Limit: 9}}); err != nil || ids(all) != "other" {
		t.Errorf("left are %s, %v", ids(all), err)
	}
	_, changed := db.ChangeWebhook(ctx, "wh_a", func(*store.Webhook) error { return nil })
	_, read := db.Webhook(ctx, "wh_a")
	for _, err := range []error{changed, read, db.DropWebhook(ctx, "wh_a")} {
		if !errors.Is(err, deal.ErrNotFound) {
			t.Errorf("of one that is gone: %v", err)
		}
	}
}
