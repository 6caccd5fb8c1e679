package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rickar/cal/v2"
	"github.com/rickar/cal/v2/mw"
	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/policy"
)

// titled is a policy of its own that protects for so many days.
func titled(title string, days int) string {
	return strings.NewReplacer("title: Careless", "title: "+title, "{days: 30}, benefits: {price: best}", fmt.Sprintf("{days: %d}", days)).Replace(careless)
}

func (b *bench) save(kind, body string, by deal.Actor) int {
	b.t.Helper()
	d, err := b.SaveDocument(context.Background(), Request{Actor: by}, kind, []byte(body))
	if err != nil {
		b.t.Fatal(err)
	}
	return d.Version
}

func (b *bench) schedule(kind string, version int, from time.Time) deal.Document {
	b.t.Helper()
	d, err := b.Schedule(context.Background(), Request{Actor: deal.System}, kind, version, from)
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

// states lists the versions of a kind as v1 retired, v2 live, …
func (b *bench) states(kind string) string {
	b.t.Helper()
	docs, err := b.Documents(context.Background(), kind)
	if err != nil {
		b.t.Fatal(err)
	}
	var out []string
	for _, d := range docs {
		one, err := b.Document(context.Background(), kind, d.Version)
		if err != nil || one.Status != d.Status {
			b.t.Errorf("version %d alone is %s, in the list %s: %v", d.Version, one.Status, d.Status, err)
		}
		out = append(out, fmt.Sprintf("%d %s", d.Version, d.Status))
	}
	return strings.Join(out, ", ")
}

// What does not fit is told of: amounts of a plan in another currency, those that have no rate, and tiers that a policy does not declare.
func TestMisfits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	francs := deal.Money{Value: decimal.New(9000, 0), Currency: "CHF"}
	b.file(by("P-1", zanzibar, func(f *deal.Filing) { f.Amount = francs }))
	b.put(&deal.Opportunity{ID: "O-1", AccountName: "Quixotic", Name: "x", Status: "open", Amount: francs},
		&deal.Opportunity{ID: "O-2", AccountName: "Quixotic", Name: "y", Status: "lost", Amount: deal.Money{Value: francs.Value, Currency: "SEK"}})
	plan := func(currency string) *deal.Document {
		return &deal.Document{Kind: deal.TerritoryDocument, Body: "apiVersion: dealreg/v1\nkind: TerritoryPlan\nmetadata: {name: p, timezone: UTC" + currency + "}\ntiers: [a]\nterritories:\n  - {id: T, tier: a, coverage: direct, owner: {queue: q}}\n"}
	}
	rules := func(currency string) *deal.Document {
		return &deal.Document{Kind: deal.PolicyDocument, Body: strings.Replace(careless, "currency: EUR", "currency: "+currency, 1)}
	}
	doubts := func(d *deal.Document) string {
		t.Helper()
		out, err := b.Misfits(d)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(out, "\n")
	}
	const unrated = "2 amounts in CHF have no rate to EUR today"
	if got := doubts(rules("EUR")); !strings.HasPrefix(got, unrated) || strings.Contains(got, "SEK") {
		t.Errorf("a policy in euros: %s", got)
	}
	if got := doubts(plan(", currency: USD")); !strings.HasPrefix(got, "the territory plan's amounts are in USD and the policy compares in EUR") || !strings.Contains(got, unrated) {
		t.Errorf("a plan in dollars: %s", got)
	}
	if got := doubts(rules("CHF")); got != "" {
		t.Errorf("a policy in francs: %s", got)
	}
	b.put(&deal.Rate{Date: day("2027-01-01"), From: "EUR", To: "CHF", Rate: "0.95"})
	for _, d := range []*deal.Document{rules("EUR"), plan(""), plan(", currency: EUR")} {
		if got := doubts(d); got != "" {
			t.Errorf("with a rate: %s", got)
		}
	}
	b.put(&deal.Partner{ID: "P-1", Name: "One", Tier: "golden"}, &deal.Partner{ID: "P-2", Name: "Two", Tier: "golden"})
	if got := doubts(&deal.Document{Kind: deal.PolicyDocument, Body: string(policy.Default())}); got != `2 of the partners: tier is "golden", and the policy's settings have registered, silver, gold, platinum; did you mean gold?` {
		t.Errorf("a policy of other tiers: %s", got)
	}
	b.publish(deal.TerritoryDocument, plan(", currency: EUR").Body)
	if got := doubts(rules("CHF")); !strings.HasPrefix(got, "the territory plan's amounts are in EUR and the policy compares in CHF") {
		t.Errorf("a policy unlike the plan that is live: %s", got)
	}
}

// A version published for an instant decides from that instant on, on every replica, in pre-checks too, and whoever was
// at work when it came.
func TestSchedule(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	other := b.replica()
	turn := start.AddDate(0, 0, 30)
	v2 := b.save(deal.PolicyDocument, titled("Two", 20), deal.System)
	d := b.schedule(deal.PolicyDocument, v2, turn)
	if d.Status != deal.DocumentScheduled || !d.EffectiveFrom.Equal(turn) || !d.PublishedAt.Equal(start) {
		t.Errorf("scheduled: %+v", d)
	}
	if again := b.schedule(deal.PolicyDocument, v2, turn); !again.PublishedAt.Equal(d.PublishedAt) || b.states(deal.PolicyDocument) != "1 live, 2 scheduled" {
		t.Errorf("a repeated publication: %+v; %s", again, b.states(deal.PolicyDocument))
	}
	ask := func(b *bench, what string, want int) {
		t.Helper()
		f := filing("P-1", deal.Customer{Name: what + " Orchestra Foundation", Country: "DE"})
		seen, err := b.Foresee(context.Background(), f)
		if err != nil || seen.Policy.Version != want {
			t.Errorf("%s: a pre-check is answered by version %d: %v", what, seen.Policy.Version, err)
		}
		if live, err := b.Live(deal.PolicyDocument); err != nil || live.Version != want {
			t.Errorf("%s: live is version %d: %v", what, live.Version, err)
		}
		if _, d := b.file(f); d.Policy.Version != want {
			t.Errorf("%s: a registration is decided by version %d", what, d.Policy.Version)
		}
	}
	b.clock.set(turn.Add(-time.Microsecond))
	ask(b, "Zanzibar", 1)
	ask(other, "Kalimantan", 1)
	b.clock.set(turn)
	ask(other, "Samarkand", 2)
	ask(b, "Valparaiso", 2)
	if got := b.states(deal.PolicyDocument); got != "1 retired, 2 live" {
		t.Error(got)
	}
	if docs, _ := b.Documents(t.Context(), deal.PolicyDocument); !docs[0].EffectiveTo.Equal(turn) || !docs[1].EffectiveFrom.Equal(turn) {
		t.Errorf("%v, %v", docs[0].EffectiveTo, docs[1].EffectiveFrom)
	}

	// Back to the first by its number, later; and two turns that come while nobody is at work.
	v3 := b.save(deal.PolicyDocument, titled("Three", 10), deal.System)
	b.schedule(deal.PolicyDocument, v3, turn.AddDate(0, 0, 2))
	b.schedule(deal.PolicyDocument, 1, turn.AddDate(0, 0, 1))
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.clock.set(turn.AddDate(0, 0, 5))
	late := b.replica()
	ask(late, "Antananarivo", 3)
	if got := late.states(deal.PolicyDocument); got != "1 retired, 2 retired, 3 live" {
		t.Error(got)
	}
	if docs, _ := late.Documents(t.Context(), deal.PolicyDocument); !docs[0].EffectiveTo.Equal(turn.AddDate(0, 0, 2)) || !docs[1].EffectiveTo.Equal(turn.AddDate(0, 0, 1)) {
		t.Errorf("%v, %v", docs[0].EffectiveTo, docs[1].EffectiveTo)
	}
	kinds := map[string]int{}
	for e, err := range late.Store().Entries(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		kinds[e.Kind]++
	}
	if kinds[deal.EntryPublished] != 4 || kinds[deal.EntryEffective] != 2 {
		t.Errorf("entries: %v", kinds)
	}
	late.sound()
}

// Once its instant has come, nothing is answered by the version before, not even when the ledger cannot be written.
func TestScheduleUnwritten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	turn := start.AddDate(0, 0, 1)
	b.schedule(deal.PolicyDocument, b.save(deal.PolicyDocument, careless, deal.System), turn)
	fail := func(string) error { return errors.New("the disk is gone") }
	b.hook.Store(&fail)
	f := filing("P-1", zanzibar)
	if d, err := b.Foresee(t.Context(), f); err != nil || d.Policy.Version != 1 {
		t.Errorf("before: version %d, %v", d.Policy.Version, err)
	}
	b.clock.set(turn)
	if d, err := b.Foresee(t.Context(), f); !errors.Is(err, deal.ErrUnavailable) {
		t.Errorf("it is answered by version %d: %v", d.Policy.Version, err)
	}
	b.hook.Store(nil)
	if d, err := b.Foresee(t.Context(), f); err != nil || d.Policy.Version != 2 {
		t.Errorf("afterwards: version %d, %v", d.Policy.Version, err)
	}
	b.sound()
}

func TestScheduleRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := t.Context()
	author, second := deal.Actor{KeyID: "key_a", Role: "policy"}, deal.Actor{KeyID: "key_b", Role: "policy"}
	day := func(n int) time.Time { return start.AddDate(0, 0, n) }
	two := b.save(deal.PolicyDocument, strings.Replace(titled("Two people", 5), "timezone: UTC", "timezone: UTC\n  publish: {people: 2}", 1), author)
	alone := b.save(deal.PolicyDocument, titled("Alone", 6), author)
	gone := b.save(deal.TerritoryDocument, strings.Replace(bySize, "timezone: UTC}", "timezone: UTC, effective: {from: 2020-01-01, to: 2021-01-01}}", 1), author)
	next := b.save(deal.TerritoryDocument, strings.Replace(bySize, "timezone: UTC}", "timezone: UTC, effective: {from: 2027-04-01, to: 2028-04-01}}", 1), author)
	first := time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC)

	schedule := func(by deal.Actor, kind string, version int, from time.Time) func() (deal.Document, error) {
		return func() (deal.Document, error) { return b.Schedule(ctx, Request{Actor: by}, kind, version, from) }
	}
	publish := func(by deal.Actor, kind string, version int) func() (deal.Document, error) {
		return func() (deal.Document, error) { return b.Publish(ctx, Request{Actor: by}, kind, version) }
	}
	cancel := func(kind string, version int) func() (deal.Document, error) {
		return func() (deal.Document, error) { return b.Cancel(ctx, Request{Actor: author}, kind, version) }
	}
	for _, c := range []struct {
		name string
		do   func() (deal.Document, error)
		want string // a part of the error, or the status
	}{
		{"not to come", schedule(second, deal.PolicyDocument, two, start), "effective_from: 2027-03-01T09:00:00Z is not to come"},
		{"no instant", schedule(second, deal.PolicyDocument, two, time.Time{}), "give the instant"},
		{"a version there is not", schedule(second, deal.PolicyDocument, 9, day(1)), "policy version 9: "},
		{"another kind", schedule(second, deal.SignerDocument, 1, day(1)), "signer version 1: "},
		{"the live one", schedule(second, deal.PolicyDocument, 1, day(1)), "save the text again"},
		{"one person for what asks for two", schedule(author, deal.PolicyDocument, two, day(10)), "somebody else"},
		{"two people", schedule(second, deal.PolicyDocument, two, day(10)), "scheduled"},
		{"the same instant", schedule(second, deal.PolicyDocument, alone, day(10)), "version 2 is to begin"},
		{"alone, after the one that asks for two", schedule(author, deal.PolicyDocument, alone, day(20)), "somebody else"},
		{"alone, before it", schedule(author, deal.PolicyDocument, alone, day(5)), "scheduled"},
		{"moved", schedule(author, deal.PolicyDocument, alone, day(6)), "scheduled"},
		{"cancel of the live one", cancel(deal.PolicyDocument, 1), "in its place"},
		{"cancel of what there is not", cancel(deal.PolicyDocument, 9), "policy version 9: "},
		{"cancel", cancel(deal.PolicyDocument, alone), "draft"},
		{"cancel once more", cancel(deal.PolicyDocument, alone), "not published for an instant"},
		{"at once, though another is scheduled", publish(author, deal.PolicyDocument, alone), "live"},
		{"back, later", schedule(author, deal.PolicyDocument, 1, day(3)), "scheduled"},
		{"and not", cancel(deal.PolicyDocument, 1), "retired"},
		{"a plan that is over", publish(author, deal.TerritoryDocument, gone), "over on 2021-01-01"},
		{"a plan before it begins", schedule(author, deal.TerritoryDocument, next, day(1)), "begins on 2027-04-01"},
		{"a plan begins on its first day", publish(author, deal.TerritoryDocument, next), "scheduled"},
		{"and again", publish(author, deal.TerritoryDocument, next), "scheduled"},
	} {
		got, err := c.do()
		if text := fmt.Sprint(err); err != nil && !strings.Contains(text, c.want) || err == nil && got.Status != c.want {
			t.Errorf("%s: %s, %v; want %s", c.name, got.Status, err, c.want)
		}
	}
	if got := b.states(deal.PolicyDocument) + "; " + b.states(deal.TerritoryDocument); got != "1 retired, 2 scheduled, 3 live; 1 draft, 2 scheduled" {
		t.Error(got)
	}
	b.clock.set(first.Add(-time.Hour))
	if _, d := b.file(filing("P-1", zanzibar)); d.Plan != nil || d.Territory.Status != "no_plan" || d.Policy.Version != two {
		t.Errorf("before the plan: %+v, policy %d", d.Territory, d.Policy.Version)
	}
	b.clock.set(first)
	if _, d := b.file(filing("P-1", quixotic)); d.Plan == nil || d.Plan.Version != next {
		t.Errorf("on its first day: %+v", d.Plan)
	}
	b.sound()
}

// When each version decided is kept however often it came back, and any day can be asked, also one to come.
func TestPeriods(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	day := func(n int) time.Time { return start.AddDate(0, 0, n) }
	v2 := b.save(deal.PolicyDocument, titled("Two", 20), deal.System)
	publish := func(version int, by string) {
		t.Helper()
		if _, err := b.Publish(t.Context(), Request{Actor: deal.Actor{KeyID: by, Role: "policy"}}, deal.PolicyDocument, version); err != nil {
			t.Fatal(err)
		}
	}
	b.clock.set(day(2))
	publish(v2, "key_a")
	b.clock.set(day(4))
	publish(1, "key_b") // back
	b.schedule(deal.PolicyDocument, v2, day(6))
	b.clock.set(day(7)) // nobody was at work at the turn
	v3 := b.save(deal.PolicyDocument, titled("Three", 10), deal.System)
	b.schedule(deal.PolicyDocument, v3, day(20))
	b.schedule(deal.PolicyDocument, 1, day(30))
	if _, err := b.Cancel(t.Context(), Request{Actor: deal.System}, deal.PolicyDocument, 1); err != nil {
		t.Fatal(err)
	}
	docs, err := b.Documents(t.Context(), deal.PolicyDocument)
	if err != nil {
		t.Fatal(err)
	}
	periods := func(d deal.Document) string {
		var out []string
		for _, p := range d.Periods {
			to := "…"
			if !p.To.IsZero() {
				to = fmt.Sprint(int(p.To.Sub(start).Hours() / 24))
			}
			out = append(out, fmt.Sprintf("%d-%s %s", int(p.From.Sub(start).Hours()/24), to, p.PublishedBy))
		}
		return strings.Join(out, ", ")
	}
	for i, want := range []string{"0-2 system, 4-6 key_b", "2-4 key_a, 6-… system", ""} {
		if got := periods(docs[i]); got != want {
			t.Errorf("version %d decided %s, want %s", i+1, got, want)
		}
	}
	if d := docs[1]; d.Title != "Two" || d.Timezone != "UTC" || docs[0].Status != deal.DocumentRetired || !docs[0].EffectiveFrom.Equal(day(4)) {
		t.Errorf("%+v", docs)
	}
	for at, want := range map[string]string{
		day(0).Add(-time.Second).Format(time.RFC3339): "", day(0).Format(time.RFC3339): "1", day(2).Add(-time.Second).Format(time.RFC3339): "1", day(2).Format(time.RFC3339): "2",
		day(5).Format(time.RFC3339): "1", day(6).Format(time.RFC3339): "2", day(7).Format(time.RFC3339): "2", day(20).Add(-time.Second).Format(time.RFC3339): "2", day(20).Format(time.RFC3339): "3", day(40).Format(time.RFC3339): "3",
		"2027-02-28": "", "2027-03-01": "1", "2027-03-02": "1", "2027-03-03": "1 2", "2027-03-04": "2", "2027-03-05": "1 2", "2027-03-06": "1", "2027-03-07": "1 2", "2027-03-08": "2", "2027-03-21": "2 3", "2027-03-22": "3",
	} {
		found, err := DecidedAt(docs, at)
		var got []string
		for _, d := range found {
			got = append(got, fmt.Sprint(d.Version))
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: versions %v, %v, want %s", at, got, err, want)
		}
	}
	if _, err := DecidedAt(docs, "soon"); err == nil {
		t.Error("soon is a day")
	}
	b.sound()
}

// Two keys of one person are one person.
func TestTwoKeysOfOnePerson(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.put(&deal.Person{ID: "U-1", Name: "Ada"}, &deal.Person{ID: "U-2", Name: "Bea"})
	key := func(person string) deal.Actor {
		k, _, err := b.CreateKey(t.Context(), Request{Actor: deal.System}, deal.Key{Role: "policy", PersonID: person})
		if err != nil {
			t.Fatal(err)
		}
		return deal.Actor{KeyID: k.ID, Role: k.Role, PersonID: k.PersonID}
	}
	v := b.save(deal.PolicyDocument, strings.Replace(titled("Two people", 5), "timezone: UTC", "timezone: UTC\n  publish: {people: 2}", 1), key("U-1"))
	publish := func(by deal.Actor) error {
		_, err := b.Publish(t.Context(), Request{Actor: by}, deal.PolicyDocument, v)
		return err
	}
	if err := publish(key("U-1")); !errors.Is(err, deal.ErrNotPossible) || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("another key of who saved it: %v", err)
	}
	if err := publish(key("U-2")); err != nil {
		t.Error(err)
	}
}

// What a version decided is derived again with the holidays it was saved with, whatever the library says of its regions since; the same text
// saved again then is another version.
func TestHolidaysKept(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	doc := strings.Replace(silences, "timezone: Europe/Berlin,", "timezone: Africa/Blantyre, calendar: {regions: [MW]},", 1)
	doc = strings.Replace(doc, "decide: 8d", "decide: 1bd", 1)
	b.publish(deal.PolicyDocument, doc)
	b.clock.set(time.Date(2027, 5, 13, 9, 0, 0, 0, time.UTC)) // a Thursday; Friday is Kamuzu Day
	due := func(c deal.Customer) string {
		f := by("P-1", c, custom("want", "granted"))
		f.ExpectedCloseDate = deal.Date{}
		_, d := b.file(f)
		return d.DueAt.Format(time.DateOnly)
	}
	if got := due(zanzibar); got != "2027-05-17" {
		t.Errorf("due %s", got)
	}
	kamuzu := mw.Holidays[slices.IndexFunc(mw.Holidays, func(h *cal.Holiday) bool { at, _ := h.Calc(2027); return at.Format(time.DateOnly) == "2027-05-14" })]
	kamuzu.EndYear = 2026 // nobody else in these tests asks for Malawi
	defer func() { kamuzu.EndYear = 0 }()
	b.close()
	b.open()
	if got := due(quixotic); got != "2027-05-17" {
		t.Errorf("by a version saved before, due %s", got)
	}
	b.sound()
	before, _ := b.Live(deal.PolicyDocument)
	b.publish(deal.PolicyDocument, doc)
	if after, _ := b.Live(deal.PolicyDocument); after.Version != before.Version+1 || after.Digest != before.Digest {
		t.Errorf("version %d %s after %d %s", after.Version, after.Digest, before.Version, before.Digest)
	}
	if got := due(deal.Customer{Name: "Kormoran Werft", Country: "DE", City: "Rostock"}); got != "2027-05-14" {
		t.Errorf("by the text saved again, due %s", got)
	}
	b.publish(deal.PolicyDocument, doc)
	if after, _ := b.Live(deal.PolicyDocument); after.Version != before.Version+1 {
		t.Errorf("saved again with nothing changed: version %d", after.Version)
	}
	b.sound()
}
