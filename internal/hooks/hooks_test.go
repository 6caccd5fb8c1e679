package hooks_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/hooks"
	"github.com/dibs-deals/dibs/internal/store"
)

func ofPartners(ids ...string) func(*hooks.Settings) {
	return func(s *hooks.Settings) { s.PartnerIDs = ids }
}

func ofTypes(types ...string) func(*hooks.Settings) {
	return func(s *hooks.Settings) { s.Types = types }
}

// A delivery is a CloudEvent with the partner's answer in it, signed so that a receiver of Standard Webhooks takes it.
func TestDelivered(t *testing.T) {
	t.Parallel()
	b, rec := newBench(t), newReceiver(t)
	w := b.webhook(rec.URL + "/in")
	a, answer := b.file("P-1", "Kraftwerk Nord GmbH")
	if n := b.work(); n < 1 {
		t.Fatal("nothing was done")
	}
	got := rec.all()
	if len(got) != 1 {
		t.Fatalf("%d deliveries", len(got))
	}
	g := got[0]
	e := g.event
	if e.SpecVersion != "1.0" || e.Source != "test/ledger" || e.Type != "dibs.registration.protected.v1" || e.Subject != a.ID || !e.Time.Equal(start) ||
		e.DataContentType != "application/json" || e.Sequence != fmt.Sprintf("%020d", a.Sequence) || !strings.HasPrefix(e.ID, "evt_") {
		t.Errorf("%+v", e)
	}
	if string(e.Data) != answer {
		t.Errorf("the event says\n%s\nthe answer was\n%s", e.Data, answer)
	}
	if g.header.Get("Content-Type") != "application/cloudevents+json; charset=utf-8" || g.header.Get("webhook-id") != e.ID || g.header.Get("webhook-timestamp") != fmt.Sprint(start.Unix()) || g.path != "/in" {
		t.Errorf("%s %v", g.path, g.header)
	}
	secret := w.Secrets[0].Text
	if err := verify(secret, g); err != nil {
		t.Error(err)
	}
	for what, change := range map[string]func(r *received){
		"body":   func(r *received) { r.body[len(r.body)/2] ^= 1 },
		"id":     func(r *received) { r.header.Set("webhook-id", "evt_other") },
		"time":   func(r *received) { r.header.Set("webhook-timestamp", "1") },
		"secret": func(*received) { secret = "whsec_" + base64.StdEncoding.EncodeToString([]byte("another")) },
	} {
		r := g
		r.header, r.body = g.header.Clone(), slices.Clone(g.body)
		change(&r)
		if verify(secret, r) == nil {
			t.Errorf("taken with another %s", what)
		}
		secret = w.Secrets[0].Text
	}
	d := b.deliveries(w.ID)
	if len(d) != 1 || d[0].State != store.JobDone || d[0].Attempts != 1 || len(d[0].Log) != 1 || d[0].Log[0].Status != 204 || d[0].EventID != e.ID {
		t.Errorf("%+v", d)
	}
	if b.work() != 0 {
		t.Error("it was sent twice")
	}
	// Sent again by hand, it has the id it had.
	if _, err := b.Resend(ctx, w.ID, d[0].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Resend(ctx, w.ID, d[0].ID); !errors.Is(err, deal.ErrNotPossible) {
		t.Errorf("sent again while it waits: %v", err)
	}
	if _, err := b.Resend(ctx, "wh_other", d[0].ID); !errors.Is(err, deal.ErrNotFound) {
		t.Errorf("another's: %v", err)
	}
	b.work()
	if got := rec.all(); len(got) != 2 || string(got[1].body) != string(g.body) {
		t.Errorf("again: %d deliveries", len(got))
	}
}

// Two secrets sign for a day after a rotation, then one.
func TestRotate(t *testing.T) {
	t.Parallel()
	b, rec := newBench(t), newReceiver(t)
	w := b.webhook(rec.URL)
	secrets := []string{w.Secrets[0].Text}
	for range 2 {
		w, err := b.Rotate(ctx, admin, w.ID)
		if err != nil || len(w.Secrets) != 2 {
			t.Fatal(w.Secrets, err)
		}
		secrets = append(secrets, w.Secrets[0].Text)
	}
	tell := func(want ...bool) {
		t.Helper()
		if _, err := b.Ping(ctx, w.ID); err != nil {
			t.Fatal(err)
		}
		b.work()
		got := rec.all()
		last := got[len(got)-1]
		if last.event.Type != "dibs.webhook.ping.v1" || last.event.Subject != w.ID {
			t.Errorf("%+v", last.event)
		}
		for i, s := range secrets {
			if err := verify(s, last); (err == nil) != want[i] {
				t.Errorf("secret %d: %v", i, err)
			}
		}
	}
	tell(false, true, true)
	b.advance(24*time.Hour - time.Microsecond)
	tell(false, true, true)
	b.advance(time.Microsecond)
	tell(false, false, true)
}

// Who is told of what: by type, and by partner, in the partner's view alone.
func TestFilter(t *testing.T) {
	t.Parallel()
	b, rec := newBench(t), newReceiver(t)
	b.webhook(rec.URL+"/all", ofTypes("*"))
	b.webhook(rec.URL+"/protected", ofTypes("dibs.registration.protected.v1"))
	b.webhook(rec.URL+"/cases", ofTypes("dibs.case.*"))
	b.webhook(rec.URL+"/one", ofPartners("P-1"), ofTypes("*"))
	b.webhook(rec.URL+"/two", ofPartners("P-2", "P-3"))
	off := b.webhook(rec.URL + "/off")
	if _, err := b.Change(ctx, admin, off.ID, hooks.Settings{Status: store.WebhookDisabled}); err != nil {
		t.Fatal(err)
	}
	a, _ := b.file("P-1", "Kraftwerk Nord GmbH")
	b.file("P-2", "Kraftwerk Nord GmbH")
	b.file("P-1", "Hanseatische Werft AG", func(f *deal.Filing) { f.Type, f.DistributorID = "project", "P-3" })
	b.work()
	told := map[string][]string{}
	for _, g := range rec.all() {
		told[g.path] = append(told[g.path], strings.TrimPrefix(g.event.Type, "dibs."))
		if g.path == "/one" || g.path == "/two" {
			for _, word := range []string{"summary", "candidates", "customer_ref", "queue", "authority", "conflicts"} {
				if strings.Contains(string(g.event.Data), `"`+word+`"`) {
					t.Errorf("%s is told %q: %s", g.path, word, g.event.Data)
				}
			}
		}
		if g.path == "/two" && strings.Contains(string(g.body), a.ID) {
			t.Errorf("P-2 is told of P-1's: %s", g.body)
		}
	}
	for path, list := range told {
		slices.Sort(list)
		told[path] = list
	}
	want := map[string][]string{
		"/all":       {"case.opened.v1", "registration.escalated.v1", "registration.protected.v1", "registration.waitlisted.v1"},
		"/protected": {"registration.protected.v1"},
		"/cases":     {"case.opened.v1"},
		"/one":       {"registration.escalated.v1", "registration.protected.v1"},
		"/two":       {"registration.escalated.v1", "registration.waitlisted.v1"},
	}
	if fmt.Sprint(told) != fmt.Sprint(want) {
		t.Errorf("told %v\nwant %v", told, want)
	}
}

// An event is for who was its partner then, and what a webhook no longer asks for is not sent to it.
func TestFilterChanges(t *testing.T) {
	t.Parallel()
	b, rec := newBench(t), newReceiver(t)
	w := b.webhook(rec.URL, ofPartners("P-1"))
	rec.answers(func(w http.ResponseWriter, _ received) { w.WriteHeader(500) })
	b.file("P-1", "Kraftwerk Nord GmbH")
	b.work()
	if _, err := b.Change(ctx, admin, w.ID, hooks.Settings{PartnerIDs: []string{"P-2"}}); err != nil {
		t.Fatal(err)
	}
	rec.answers(nil)
	b.advance(time.Hour)
	b.work()
	if d := b.deliveries(w.ID); len(rec.all()) != 1 || d[0].State != store.JobDone || !strings.Contains(d[0].Error, "no longer asks") {
		t.Errorf("%d sent, %+v", len(rec.all()), d)
	}
	if _, err := b.Change(ctx, admin, w.ID, hooks.Settings{Types: []string{"dibs.case.*"}}); err == nil {
		t.Error("a webhook of a partner is told of cases")
	}
}

// A receiver that is slow, dead, flapping or lying costs its own deliveries and nobody else's.
func TestReceivers(t *testing.T) {
	t.Parallel()
	elsewhere := newReceiver(t)
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, r received)
		state  store.JobState
		status int
		error  string
		after  string // of the webhook
	}{
		"junk":     {answer: func(w http.ResponseWriter, _ received) { fmt.Fprint(w, "<html>ok?") }, state: store.JobDone, status: 200},
		"accepted": {answer: func(w http.ResponseWriter, _ received) { w.WriteHeader(202) }, state: store.JobDone, status: 202},
		"error":    {answer: func(w http.ResponseWriter, _ received) { w.WriteHeader(500) }, state: store.JobWaiting, status: 500, error: "it answered 500"},
		"no":       {answer: func(w http.ResponseWriter, _ received) { w.WriteHeader(400) }, state: store.JobWaiting, status: 400, error: "it answered 400"},
		"redirect": {answer: func(w http.ResponseWriter, _ received) { w.Header().Set("Location", elsewhere.URL); w.WriteHeader(307) }, state: store.JobWaiting, status: 307, error: "redirects are not followed"},
		"gone":     {answer: func(w http.ResponseWriter, _ received) { w.WriteHeader(410) }, state: store.JobDead, status: 410, error: "it answered 410", after: store.WebhookDisabled},
		"hangs":    {answer: func(http.ResponseWriter, received) { time.Sleep(time.Second) }, state: store.JobWaiting, error: "no answer within 300ms"},
		"drips":    {answer: drip, state: store.JobDone, status: 200},
		"huge": {answer: func(w http.ResponseWriter, _ received) {
			for range 1 << 12 {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, state: store.JobDone, status: 200},
		"huge header": {answer: func(w http.ResponseWriter, _ received) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }, state: store.JobWaiting, error: "header"},
		"hangs up":    {answer: func(w http.ResponseWriter, _ received) { panic(http.ErrAbortHandler) }, state: store.JobWaiting, error: "EOF"},
		"no http": {answer: func(w http.ResponseWriter, _ received) {
			c, _, _ := w.(http.Hijacker).Hijack()
			_, _ = c.Write([]byte("220 mail ready\r\n"))
			_ = c.Close()
		}, state: store.JobWaiting, error: "malformed HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, rec, good := newBench(t, func(c *hooks.Config) { c.Limit = 300 * time.Millisecond }), newReceiver(t), newReceiver(t)
			rec.answers(c.answer)
			w, other := b.webhook(rec.URL), b.webhook(good.URL)
			b.file("P-1", "Kraftwerk Nord GmbH")
			began := time.Now()
			b.work()
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("it took %s", took)
			}
			d := b.deliveries(w.ID)
			if len(d) != 1 || d[0].State != c.state || len(d[0].Log) != 1 || d[0].Log[0].Status != c.status || !strings.Contains(d[0].Error, c.error) || (c.error == "") != (d[0].Error == "") {
				t.Errorf("%+v", d)
			}
			if len(good.all()) != 1 || b.deliveries(other.ID)[0].State != store.JobDone {
				t.Error("the other was not told")
			}
			if got, err := b.Store().Webhook(ctx, w.ID); err != nil || c.after != "" && (got.Status != c.after || got.Reason == "") || c.after == "" && got.Status != store.WebhookEnabled {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	if n := len(elsewhere.all()); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

// drip answers 200 and then a byte now and then.
func drip(w http.ResponseWriter, _ received) {
	w.WriteHeader(200)
	for range 20 {
		_, _ = w.Write([]byte("x"))
		w.(http.Flusher).Flush()
		time.Sleep(50 * time.Millisecond)
	}
}

// After 410 nothing more is sent until somebody enables the webhook; what waited can be sent then.
func TestGone(t *testing.T) {
	t.Parallel()
	b, rec := newBench(t), newReceiver(t)
	w := b.webhook(rec.URL)
	rec.answers(func(w http.ResponseWriter, _ received) { w.WriteHeader(410) })
	for _, c := range []string{"Kraftwerk Nord GmbH", "Hanseatische Werft AG", "Aurora Hydro ASA", "Quarzwerk Lausitz", "Stadtwerke Bonn", "Zuckerfabrik Jülich"} {
		b.file("P-1", c)
	}
	b.work()
	b.file("P-2", "Mosel Wein eG")
	b.work()
	n := len(rec.all())
	if n < 1 || n > 4 { // those that were under way together
		t.Errorf("%d deliveries", n)
	}
	d := b.deliveries(w.ID)
	if len(d) != 6 || slices.ContainsFunc(d, func(d hooks.Delivery) bool { return d.State != store.JobDead }) {
		t.Errorf("%+v", d)
	}
	if _, err := b.Ping(ctx, w.ID); !errors.Is(err, deal.ErrNotPossible) {
		t.Errorf("pinged: %v", err)
	}
	rec.answers(nil)
	if _, err := b.Change(ctx, admin, w.ID, hooks.Settings{Status: store.WebhookEnabled}); err != nil {
		t.Fatal(err)
	}
	for i := range d {
		if _, err := b.Resend(ctx, w.ID, d[i].ID); err != nil {
			t.Fatal(err)
		}
	}
	b.work()
	if got, err := b.Store().Webhook(ctx, w.ID); err != nil || got.Reason != "" || len(rec.all()) != n+6 {
		t.Errorf("%+v, %v, %d sent", got, err, len(rec.all())-n)
	}
	if err := b.Hooks.Delete(ctx, admin, w.ID); err != nil || len(b.deliveries(w.ID)) != 0 {
		t.Errorf("%v", err)
	}
	if err := b.Hooks.Delete(ctx, admin, w.ID); !errors.Is(err, deal.ErrNotFound) {
		t.Errorf("deleted again: %v", err)
	}
	var told []string
	for e, err := range b.EntriesAbout(ctx, w.ID, "", 0) {
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, e.Kind+" "+e.Actor.KeyID)
	}
	if want := "webhook.created key_admin, webhook.disabled system, webhook.changed key_admin, webhook.deleted key_admin"; strings.Join(told, ", ") != want {
		t.Errorf("the ledger tells of %v", told)
	}
}

// What is done to a webhook is in the ledger before it is done: who, where, what and whose, and nothing that is secret. What the ledger
// does not take is not done.
func TestRecorded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w, err := b.Create(ctx, admin, hooks.Settings{URL: "https://hooks.example.com:8443/T0/s3cret?token=t0ken", Note: "of the portal", Types: []string{"*"}, PartnerIDs: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.Rotate(ctx, admin, w.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Change(ctx, admin, w.ID, hooks.Settings{Types: []string{"dibs.registration.*"}, PartnerIDs: []string{"P-1"}, Status: store.WebhookDisabled}); err != nil {
		t.Fatal(err)
	}
	var last deal.Subscription
	for e, err := range b.EntriesAbout(ctx, w.ID, "webhook.*", 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, hidden := range []string{"s3cret", "t0ken", "whsec", w.Secrets[0].Text[6:], r.Secrets[0].Text[6:]} {
			if strings.Contains(string(e.Body), hidden) {
				t.Errorf("%s holds %s: %s", e.Kind, hidden, e.Body)
			}
		}
		c, err := deal.DecodeChange(e.Body)
		if err != nil || len(c.Webhooks) != 1 || c.Webhooks[0].Receiver != "https://hooks.example.com:8443" || c.Webhooks[0].Address != (deal.Subscription{}).Addressed(w.URL).Address {
			t.Errorf("%s: %s, %v", e.Kind, e.Body, err)
		}
		last = c.Webhooks[0]
	}
	if !slices.Equal(last.Types, []string{"dibs.registration.*"}) || !slices.Equal(last.PartnerIDs, []string{"P-1"}) || last.Status != store.WebhookDisabled || last.Reason != "disabled by hand" {
		t.Errorf("the last: %+v", last)
	}
	down := errors.New("down")
	h := b.other(func(c *hooks.Config) {
		c.Record = func(context.Context, deal.Actor, string, deal.Subscription) error { return down }
	})
	before, err := b.Store().Webhooks(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, created := h.Create(ctx, admin, hooks.Settings{URL: "https://other.example.com/", Types: []string{"*"}, PartnerIDs: []string{"*"}})
	_, changed := h.Change(ctx, admin, w.ID, hooks.Settings{Note: "x"})
	_, rotated := h.Rotate(ctx, admin, w.ID)
	for _, err := range []error{created, changed, rotated, h.Delete(ctx, admin, w.ID)} {
		if !errors.Is(err, down) {
			t.Errorf("done: %v", err)
		}
	}
	if after, err := b.Store().Webhooks(ctx); err != nil || !reflect.DeepEqual(after, before) {
		t.Errorf("%+v, %v", after, err)
	}
	report, err := engine.Verify(ctx, b.Store())
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("%+v, %v", report.Problems, err)
	}
	// Whoever changes them past the ledger is found out.
	if _, err := b.Store().ChangeWebhook(ctx, w.ID, func(w *store.Webhook) error {
		w.URL, w.PartnerIDs = "https://evil.example.net/y", []string{"P-2"}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := b.Store().AddWebhook(ctx, store.Webhook{ID: "wh_x", URL: "https://evil.example.net/x"}); err != nil {
		t.Fatal(err)
	}
	report, err = engine.Verify(ctx, b.Store())
	var found []string
	for _, p := range report.Problems {
		found = append(found, p.Detail)
	}
	slices.Sort(found)
	want := []string{"webhook " + w.ID + ": its partner_ids is none that an entry tells of", "webhook " + w.ID + ": its url is none that an entry tells of", "webhook wh_x: no entry tells of it"}
	if err != nil || !slices.Equal(found, want) {
		t.Errorf("found %q, %v", found, err)
	}
}

// A delivery that fails is tried again for three days, at growing intervals, and then given up. Later events of the
// registration wait for it and go on then; those of others do not wait.
func TestOrder(t *testing.T) {
	t.Parallel()
	b, rec := newBench(t), newReceiver(t)
	w := b.webhook(rec.URL)
	first, _ := b.file("P-1", "Kraftwerk Nord GmbH")
	rec.answers(func(w http.ResponseWriter, r received) {
		if r.event.Subject == first.ID && r.event.Type == "dibs.registration.protected.v1" {
			w.WriteHeader(400)
		}
	})
	b.work()
	if _, err := b.Move(ctx, engine.Request{Actor: admin}, first.ID, engine.Moving{Event: deal.EventExtend, Reason: "x"}); !errors.Is(err, deal.ErrNotPossible) {
		t.Fatal(err) // the terms have no extension
	}
	if _, err := b.Move(ctx, engine.Request{Actor: admin}, first.ID, engine.Moving{Event: deal.EventLost, Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	second, _ := b.file("P-2", "Hanseatische Werft AG")
	b.work()
	types := func(id string) (out []string) {
		for _, g := range rec.all() {
			if g.event.Subject == id {
				out = append(out, strings.TrimSuffix(strings.TrimPrefix(g.event.Type, "dibs.registration."), ".v1"))
			}
		}
		return out
	}
	if got := types(first.ID); !slices.Equal(got, []string{"protected"}) {
		t.Fatalf("told out of order: %v", got)
	}
	if got := types(second.ID); len(got) != 1 {
		t.Fatalf("the other waits: %v", got)
	}
	var waits []time.Duration
	for i := range 20 {
		d := b.deliveries(w.ID)[0]
		if d.State == store.JobDead {
			break
		}
		if i == 0 && b.work() != 0 {
			t.Error("tried again at once")
		}
		waits = append(waits, d.NextAt.Sub(b.now()))
		b.clock.Store(d.NextAt.UnixMicro())
		b.work()
	}
	d := b.deliveries(w.ID)
	if len(waits) != 10 || d[0].State != store.JobDead || d[0].Attempts != 11 || len(d[0].Log) != 11 || d[1].State != store.JobDone {
		t.Errorf("%v\n%+v", waits, d)
	}
	// Each is by up to a fifth longer or shorter, so that those who failed together do not come back together.
	for i, wait := range waits {
		if planned := hooks.Retries[i]; wait < planned*4/5 || wait > planned*6/5 || i > 0 && planned < hooks.Retries[i-1] {
			t.Errorf("waited %s the %dth time, not %s", wait, i+1, planned)
		}
	}
	if got := types(first.ID); len(got) != 12 || got[11] != "lost" {
		t.Errorf("told %v", got)
	}
	if bl, err := b.Store().Backlog(ctx, "webhook"); err != nil || bl.Dead != 1 {
		t.Errorf("%+v, %v", bl, err)
	}
	rec.answers(nil)
	if _, err := b.Retry(ctx, d[0].ID); err != nil {
		t.Fatal(err)
	}
	b.work()
	if d := b.deliveries(w.ID)[0]; d.State != store.JobDone || d.Attempts != 1 || len(d.Log) != 12 {
		t.Errorf("by hand: %+v", d)
	}
}

// A receiver asks to be left alone for a while, and is.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	b, rec := newBench(t), newReceiver(t)
	w := b.webhook(rec.URL)
	rec.answers(func(w http.ResponseWriter, _ received) { w.Header().Set("Retry-After", "600"); w.WriteHeader(429) })
	b.file("P-1", "Kraftwerk Nord GmbH")
	b.work()
	if d := b.deliveries(w.ID)[0]; d.NextAt.Sub(b.now()) != 10*time.Minute {
		t.Errorf("%+v", d)
	}
}

// One that is down costs an attempt now and then, not one for each event.
func TestDown(t *testing.T) {
	t.Parallel()
	b, rec := newBench(t), newReceiver(t)
	rec.answers(func(w http.ResponseWriter, _ received) { w.WriteHeader(503) })
	w := b.webhook(rec.URL)
	for i := range 60 {
		b.file("P-1", fmt.Sprintf("Customer %c%c Works", 'A'+i%26, 'a'+i/26), func(f *deal.Filing) { f.Customer.City = fmt.Sprint("Ort", i) })
	}
	for range 60 { // a minute
		b.work()
		b.advance(time.Second)
	}
	if n := len(rec.all()); n > 60 {
		t.Errorf("%d attempts in a minute", n)
	}
	rec.answers(nil)
	for range 20 {
		b.advance(time.Minute)
		b.work()
	}
	for _, d := range b.deliveries(w.ID) {
		if d.State != store.JobDone {
			t.Fatalf("%+v", d)
		}
	}
}

// A receiver that fails now and then is told of everything, in order. It
// refuses each event up to three times: one that throws a coin would sooner or
// later refuse one until the test's day is over.
func TestFlapping(t *testing.T) {
	t.Parallel()
	b, rec := newBench(t), newReceiver(t)
	var mu sync.Mutex
	left := map[string]int{}
	rec.answers(func(w http.ResponseWriter, r received) {
		mu.Lock()
		defer mu.Unlock()
		if _, ok := left[r.event.ID]; !ok {
			left[r.event.ID] = len(left) % 4
		}
		if left[r.event.ID] > 0 {
			left[r.event.ID]--
			w.WriteHeader(502)
		}
	})
	w := b.webhook(rec.URL)
	var all []string
	for i := range 20 {
		a, _ := b.file("P-1", fmt.Sprintf("Customer %c Works", 'A'+i), func(f *deal.Filing) { f.Customer.City = fmt.Sprint("Ort", i) })
		all = append(all, a.ID)
		if _, err := b.Move(ctx, engine.Request{Actor: admin}, a.ID, engine.Moving{Event: deal.EventWithdraw, Reason: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 200 {
		b.work()
		b.advance(time.Minute << min(i/60, 6))
	}
	for _, d := range b.deliveries(w.ID) {
		if d.State != store.JobDone {
			t.Errorf("%+v", d)
		}
	}
	seen := map[string]string{}
	for _, g := range rec.all() {
		if g.event.Type == "dibs.registration.withdrawn.v1" && seen[g.event.Subject] == "" {
			t.Errorf("%s: withdrawn before protected", g.event.Subject)
		}
		seen[g.event.Subject] = g.event.Type
	}
	for _, id := range all {
		if seen[id] != "dibs.registration.withdrawn.v1" {
			t.Errorf("%s: last told %q", id, seen[id])
		}
	}
}

// What is not public is not reached, however it is spelled and wherever a name leads.
func TestGuard(t *testing.T) {
	t.Parallel()
	roots := x509.NewCertPool()
	hit := &receiver{}
	hit.Server = httptest.NewTLSServer(hit)
	t.Cleanup(hit.Close)
	roots.AddCert(hit.Certificate())
	_, port, err := net.SplitHostPort(hit.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	trust := func(c *hooks.Config) {
		c.TLS = &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12}
	}
	b := newBench(t, trust, func(c *hooks.Config) { c.Allow = nil })
	var ids []string
	for i, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "[::]", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "①②⑦.0.0.1"} {
		w := store.Webhook{ID: fmt.Sprint("wh_", i), URL: "https://" + host + ":" + port, Types: []string{"*"}, PartnerIDs: []string{"*"}, Status: store.WebhookEnabled}
		if err := b.Store().AddWebhook(ctx, w); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, w.ID)
	}
	b.file("P-1", "Kraftwerk Nord GmbH")
	b.work()
	for _, id := range ids {
		if d := b.deliveries(id); len(d) != 1 || d[0].State != store.JobWaiting || d[0].Log[0].Status != 0 || d[0].Error == "" {
			t.Errorf("%s: %+v", id, d)
		}
	}
	if n := len(hit.all()); n != 0 {
		t.Fatalf("%d deliveries reached this machine", n)
	}
	// Once its network is named, and by its name.
	if _, err := b.other(trust, func(c *hooks.Config) { c.Allow = loopback }).Work(ctx); err != nil {
		t.Fatal(err)
	}
	b.advance(time.Minute)
	if _, err := b.other(trust, func(c *hooks.Config) { c.Allow = loopback }).Work(ctx); err != nil {
		t.Fatal(err)
	}
	if d := b.deliveries(ids[0]); d[0].State != store.JobDone || len(hit.all()) == 0 {
		t.Errorf("allowed: %+v", d)
	}
}

func TestMayReach(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"93.184.216.34:443": "", "[2606:2800:220:1::1]:443": "", "93.184.216.34:8443": "", "93.184.216.34:80": "",
		"93.184.216.34:25": "port 25", "93.184.216.34:22": "port 22",
		"10.0.0.1:443": "not a public", "172.16.0.1:443": "not a public", "192.168.1.1:443": "not a public", "127.8.9.1:443": "not a public", "169.254.169.254:80": "not a public",
		"100.64.0.1:443": "not a public", "100.100.100.200:80": "not a public", "168.63.129.16:80": "not a public", "192.0.0.192:80": "not a public", "0.1.2.3:443": "not a public",
		"224.0.0.1:443": "not a public", "255.255.255.255:443": "not a public", "240.0.0.1:443": "not a public", "198.18.0.1:443": "not a public", "203.0.113.7:443": "not a public",
		"[::1]:443": "not a public", "[::]:443": "not a public", "[fe80::1%eth0]:443": "not a public", "[fd00:ec2::254]:80": "not a public", "[ff02::1]:443": "not a public",
		"[::ffff:10.0.0.1]:443": "not a public", "[64:ff9b::a00:1]:443": "not a public", "[2002:a00:1::]:443": "not a public", "[2001:0:1::1]:443": "not a public", "[2001:db8::1]:443": "not a public",
		"[::7f00:1]:443": "not a public", "[fec0::1]:443": "not a public", "example.com:443": "not an address",
	} {
		if err := hooks.MayReach(address, nil, false); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := hooks.MayReach("93.184.216.34:80", loopback, true); err == nil {
		t.Error("plain http to the public")
	}
	if err := hooks.MayReach("127.0.0.1:25", loopback, true); err != nil {
		t.Errorf("in a network that is named: %v", err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	strict := b.other(func(c *hooks.Config) { c.Allow = nil })
	good := hooks.Settings{URL: "https://portal.example.com/x?token=y", Types: []string{"dibs.registration.*", "dibs.case.opened.v1", "*", "dibs.*"}, PartnerIDs: []string{"*"}}
	if _, err := strict.Create(ctx, admin, good); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string][]func(*hooks.Settings){
		"url": {
			func(s *hooks.Settings) { s.URL = "" }, func(s *hooks.Settings) { s.URL = "portal.example.com" }, func(s *hooks.Settings) { s.URL = "http://portal.example.com" },
			func(s *hooks.Settings) { s.URL = "https://a:b@portal.example.com" }, func(s *hooks.Settings) { s.URL = "https://portal.example.com/#x" }, func(s *hooks.Settings) { s.URL = "https://10.0.0.1/" },
			func(s *hooks.Settings) { s.URL = "https://[::1]:8443" }, func(s *hooks.Settings) { s.URL = "file:///etc/passwd" }, func(s *hooks.Settings) { s.URL = "https://:443" }, func(s *hooks.Settings) { s.URL = "https://x/" + strings.Repeat("x", 2000) },
			func(s *hooks.Settings) { s.URL = "https://\x00" }, func(s *hooks.Settings) { s.URL = "gopher://x" },
		},
		"types": {
			func(s *hooks.Settings) { s.Types = nil }, func(s *hooks.Settings) { s.Types = []string{"registration.protected"} }, func(s *hooks.Settings) { s.Types = []string{"dibs.registration.protected"} },
			func(s *hooks.Settings) { s.Types = []string{"dibs.registation.*"} }, func(s *hooks.Settings) { s.Types, s.PartnerIDs = []string{"dibs.case.*"}, []string{"P-1"} },
		},
		"partner_ids": {func(s *hooks.Settings) { s.PartnerIDs = nil }, func(s *hooks.Settings) { s.PartnerIDs, s.Types = []string{"P-1", "P-404"}, []string{"*"} }},
		"status":      {func(s *hooks.Settings) { s.Status = "on" }},
		"note":        {func(s *hooks.Settings) { s.Note = "a\nb" }},
	} {
		for i, f := range change {
			s := good
			f(&s)
			var wrong deal.FieldErrors
			if _, err := strict.Create(ctx, admin, s); !errors.As(err, &wrong) || wrong[0].Field != field {
				t.Errorf("%s %d: %v", field, i, err)
			}
		}
	}
}

// A replica that stopped loses what it had claimed, and another goes on.
func TestLease(t *testing.T) {
	t.Parallel()
	b, rec := newBench(t), newReceiver(t)
	b.webhook(rec.URL)
	b.file("P-1", "Kraftwerk Nord GmbH")
	stop := errors.New("stop")
	f := func(p string) error {
		if p == "claimed" {
			return stop
		}
		return nil
	}
	b.hook.Store(&f)
	if _, err := b.Work(ctx); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	other := b.other()
	if n, err := other.Work(ctx); err != nil || n != 0 {
		t.Fatalf("%d, %v", n, err)
	}
	b.advance(time.Minute)
	if n, err := other.Work(ctx); err != nil || n != 1 || len(rec.all()) != 1 {
		t.Fatalf("%d, %v, %d", n, err, len(rec.all()))
	}
}

// Run delivers what is committed at once, does not let one that hangs keep others waiting, finishes what it began, and a
// second replica beside it doubles nothing.
func TestRun(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *hooks.Config) { c.Limit = 2 * time.Second })
	good, hung := newReceiver(t), newReceiver(t)
	free := make(chan struct{})
	hung.answers(func(http.ResponseWriter, received) { <-free })
	t.Cleanup(func() { close(free) })
	b.webhook(hung.URL)
	w := b.webhook(good.URL)
	st := b.Store()
	run, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	cfg := b.cfg
	cfg.Position = func() uint64 { h, _ := st.Head(ctx); return h.Seq }
	cfg.Clock = func() time.Time { return start.Add(time.Since(began)) }
	second := b.other(func(c *hooks.Config) { c.Clock = cfg.Clock })
	go func() { defer close(ended); hooks.New(cfg).Run(run) }()
	also := make(chan struct{})
	go func() { defer close(also); second.Run(run) }()
	const n = 40
	for i := range n {
		b.file("P-1", fmt.Sprintf("Customer %c%c Works", 'A'+i%26, 'a'+i/26), func(f *deal.Filing) { f.Customer.City = fmt.Sprint("Ort", i) })
	}
	delivered := func() bool { // an escalated one tells of its case too
		return !slices.ContainsFunc(b.deliveries(w.ID), func(d hooks.Delivery) bool { return d.State != store.JobDone })
	}
	for deadline := time.Now().Add(20 * time.Second); (len(good.all()) < n || !delivered()) && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond) // of the real world: the receiver's
	}
	stop()
	<-ended
	<-also
	seen := map[string]int{}
	for _, g := range good.all() {
		if seen[g.event.ID]++; seen[g.event.ID] > 1 {
			t.Errorf("%s of %s was sent %d times", g.event.Type, g.event.Subject, seen[g.event.ID])
		}
	}
	if len(seen) < n {
		t.Errorf("%d deliveries of %d", len(seen), n)
	}
	for _, d := range b.deliveries(w.ID) {
		if d.State != store.JobDone {
			t.Errorf("%+v", d)
		}
	}
	for _, d := range b.deliveries(hung.URL) {
		if d.State == store.JobDone {
			t.Errorf("%+v", d)
		}
	}
}

var began = time.Now()

// Tidy forgets what ended long ago, again and again.
func TestTidy(t *testing.T) {
	t.Parallel()
	b, rec := newBench(t), newReceiver(t)
	w := b.webhook(rec.URL)
	b.file("P-1", "Kraftwerk Nord GmbH")
	if err := b.Store().Enqueue(ctx, store.Job{ID: "job_tidy", Kind: "tidy", Key: "tidy", Payload: []byte("{}"), RunAt: start, CreatedAt: start}); err != nil {
		t.Fatal(err)
	}
	b.work()
	if len(b.deliveries(w.ID)) != 1 {
		t.Error("forgotten at once")
	}
	before := b.deliveries(w.ID)[0].ID
	b.advance(31 * 24 * time.Hour)
	b.file("P-2", "Hanseatische Werft AG")
	b.work()
	j, err := b.Store().Job(ctx, "job_tidy")
	if err != nil {
		t.Fatal(err)
	}
	if d := b.deliveries(w.ID); len(d) != 2 || d[0].ID == before { // the end of the window, and the newcomer
		t.Errorf("%+v", d)
	}
	if j.State != store.JobWaiting || !j.RunAt.After(b.now()) {
		t.Errorf("%+v", j)
	}
}

func FuzzDelivery(f *testing.F) {
	f.Add([]byte(`{"webhook":"w"}`), []byte(`[{"status":200}]`))
	f.Fuzz(func(_ *testing.T, payload, log []byte) {
		d := hooks.DeliveryOf(&store.Job{Payload: payload, Log: log})
		_, _ = json.Marshal(d)
	})
}

// Under a key, no secret can be read in the database, and deliveries are signed as ever: also while the key is changed, and of webhooks
// that were there before there was one. Without the key that sealed them, secrets do not sign.
func TestVault(t *testing.T) {
	t.Parallel()
	key := func(b byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32)) }
	b, rec := newBench(t), newReceiver(t)
	old := b.webhook(rec.URL + "/old")
	with := func(keys string) {
		t.Helper()
		v, err := hooks.NewVault(keys)
		if err != nil {
			t.Fatal(err)
		}
		b.cfg.Vault = v
		b.Hooks = hooks.New(b.cfg)
	}
	secret := map[string]string{old.ID: old.Secrets[0].Text}
	told := func(when string, ok bool) {
		t.Helper()
		n := len(rec.all())
		for id := range secret {
			if _, err := b.Ping(ctx, id); err != nil {
				t.Fatal(err)
			}
		}
		b.work()
		got := rec.all()[n:]
		if ok != (len(got) == len(secret)) || !ok && len(got) > 0 {
			t.Errorf("%s: %d of %d were told", when, len(got), len(secret))
		}
		for _, g := range got {
			if err := verify(secret[g.event.Subject], g); err != nil {
				t.Errorf("%s: %v", when, err)
			}
		}
	}
	stored := func() (texts []string) {
		t.Helper()
		all, err := b.Store().Webhooks(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range all {
			for _, s := range w.Secrets {
				texts = append(texts, s.Text)
			}
		}
		return texts
	}
	sealed := func(when string, want bool) {
		t.Helper()
		for _, s := range stored() {
			if strings.Contains(s, "whsec_") == want {
				t.Errorf("%s the database has %s", when, s)
			}
			for _, plain := range secret {
				if raw := strings.TrimPrefix(plain, "whsec_"); strings.Contains(s, raw) == want {
					t.Errorf("%s the database has %s", when, s)
				}
			}
		}
	}
	told("without a key", true)
	sealed("without a key", false)

	with(key(1))
	if err := b.Seal(ctx); err != nil {
		t.Fatal(err)
	}
	w := b.webhook(rec.URL + "/new")
	secret[w.ID] = w.Secrets[0].Text
	r, err := b.Rotate(ctx, admin, old.ID)
	if err != nil || !strings.HasPrefix(r.Secrets[0].Text, "whsec_") {
		t.Fatal(r.Secrets, err)
	}
	secret[old.ID] = r.Secrets[0].Text
	sealed("with a key", true)
	told("with a key", true)
	if first := stored(); b.Seal(ctx) != nil || !slices.Equal(first, stored()) {
		t.Error("sealing again changed what was sealed")
	}

	with(key(2) + ", " + key(1))
	told("with a second key", true)
	if err := b.Seal(ctx); err != nil {
		t.Fatal(err)
	}
	with(key(2))
	told("with the second key alone", true)
	sealed("with the second key", true)

	for name, keys := range map[string]string{"with another key": key(3), "without the key": ""} {
		with(keys)
		told(name, false)
		if err := b.Seal(ctx); err == nil || !strings.Contains(err.Error(), "DIBS_WEBHOOK_KEYS") {
			t.Errorf("%s it starts: %v", name, err)
		}
	}
	with(key(2))
	b.advance(time.Hour)
	b.work()

	// What is sealed for one webhook is no other's.
	mine := stored()
	if _, err := b.Store().ChangeWebhook(ctx, w.ID, func(w *store.Webhook) error { w.Secrets[0].Text = mine[0]; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := b.Seal(ctx); err == nil || !strings.Contains(err.Error(), "not sealed for this webhook") {
		t.Errorf("another's secret: %v", err)
	}

	for _, bad := range []string{"x", key(1)[:20], key(1) + ",", base64.StdEncoding.EncodeToString(make([]byte, 16))} {
		if v, err := hooks.NewVault(bad); err == nil || strings.Contains(err.Error(), bad) && len(bad) > 3 {
			t.Errorf("%q is a key: %v, %v", bad, v, err)
		}
	}
}
