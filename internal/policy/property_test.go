package policy

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/dibs-deals/dibs/internal/deal"
)

// randomFacts sets every fact of a visibility to something it can be.
func randomFacts(r *rand.Rand, f *Facts, vis Visibility) {
	for i := range Schema {
		s := &Schema[i]
		if s.Visibility != vis || r.IntN(3) == 0 {
			continue
		}
		switch s.Type {
		case Bool:
			// Most conflicts are absent most of the time; otherwise nothing but the strongest rules would ever decide.
			f.Set(s.Name, r.IntN(2) == 0 && (vis == Partner || r.IntN(3) == 0))
		case Int:
			f.Set(s.Name, r.IntN(200)-1)
		case Double:
			f.Set(s.Name, []float64{0, 0.3, 0.499, 0.5, 0.7, 0.899, 0.9, 0.95, 1, 4000, 250000, 1e6}[r.IntN(12)])
		case Enum:
			f.Set(s.Name, s.Values[r.IntN(len(s.Values))])
		case String:
			f.Set(s.Name, []string{"", "silver", "gold", "x1", "DE", "T-77"}[r.IntN(6)])
		case List:
			list := []string{"firewall", "cloud"}
			if s.Values != nil {
				list = s.Values
			}
			if r.IntN(3) == 0 {
				f.Set(s.Name, []string{list[r.IntN(len(list))]})
			}
		}
	}
}

// quiet makes the facts about the partner harmless, so that what others do can decide.
var quiet = facts{"partner.active": true, "partner.agreement_signed": true, "partner.authorised": true, "partner.authorised_country": true,
	"partner.authorised_lines": true, "partner.credit_hold": false, "partner.distributor_ok": true, "reg.missing": []string{}}

// partnerView is everything of a verdict a partner may come to see.
func partnerView(v *Verdict) string {
	b, err := json.Marshal([]any{v.To, v.PartnerReasons, v.Texts.Partner, v.Texts.Languages, v.Terms, v.Benefits, v.Needs, v.Resubmit, v.FindersFee, v.Appeal})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// Two worlds that differ only in internal facts, and lead to the same outcome and disposition, look the same to the
// partner.
func TestDefaultLeaksNothing(t *testing.T) {
	t.Parallel()
	p := compile(t, Default())
	r := rand.New(rand.NewPCG(1, 1))
	seen := map[string]int{}
	for range 150 {
		base := NewFacts()
		randomFacts(r, base, Partner)
		if r.IntN(4) > 0 {
			for name, v := range quiet {
				base.Set(name, v)
			}
		}
		if r.IntN(5) == 0 {
			base.Set("reg.missing", []string{"amount"})
		}
		views := map[string]string{}
		rules := map[string]string{}
		for range 80 {
			f := base.Clone()
			randomFacts(r, f, Internal)
			v := p.Decide(f, now)
			key := string(v.Outcome) + "/" + string(v.Disposition)
			view := partnerView(&v)
			if other, ok := views[key]; ok && other != view {
				t.Fatalf("%s tells more than its answer:\n%s by %s\n%s by %s", key, other, rules[key], view, v.Rule)
			}
			views[key], rules[key] = view, v.Rule
			seen[key]++
		}
	}
	for _, key := range []string{"protect/", "escalate/", "route/declined", "route/returned", "route/merged", "route/waitlisted", "route/co_sell", "route/referred"} {
		if seen[key] == 0 {
			t.Errorf("the random worlds never led to %s: %v", key, seen)
		}
	}
}

// Whatever else is true, the default policy protects nobody over another's live claim, and grants no provisional hold
// while a rival may exist.
func TestDefaultHasOneHolder(t *testing.T) {
	t.Parallel()
	p := compile(t, Default())
	r := rand.New(rand.NewPCG(2, 2))
	rivals := []deal.ConflictKind{deal.HeldByOther, deal.PendingOther, deal.FamilyHeld}
	contested := 0
	for range 20_000 {
		f := NewFacts()
		randomFacts(r, f, Partner)
		randomFacts(r, f, Internal)
		if r.IntN(4) > 0 {
			for name, v := range quiet {
				f.Set(name, v)
			}
		}
		kind := rivals[r.IntN(len(rivals))]
		f.Set("conflict."+string(kind)+".found", true)
		f.Set("conflict."+string(kind)+".probability", 0.5+r.Float64()/2)
		v := p.Decide(f, now)
		if v.Outcome == deal.Protect {
			t.Fatalf("%s protects over a %s: %v", v.Rule, kind, f.Map())
		}
		if v.Case != nil && v.Case.Hold.Provisional {
			t.Fatalf("%s holds provisionally over a %s: %v", v.Rule, kind, f.Map())
		}
		if v.Outcome == deal.Escalate || v.Disposition == deal.Waitlisted {
			contested++
		}
	}
	if contested < 1000 {
		t.Errorf("only %d of the random worlds were contested", contested)
	}
}

// A decision can be derived again from what it recorded.
func TestReplay(t *testing.T) {
	t.Parallel()
	p := compile(t, Default())
	r := rand.New(rand.NewPCG(3, 3))
	for range 500 {
		f := NewFacts()
		randomFacts(r, f, Partner)
		randomFacts(r, f, Internal)
		f.Set("custom.project", "Ünïcode")
		b, err := json.Marshal(f.Map())
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		g, err := FromMap(m)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := fmt.Sprint(p.Decide(f, now)), fmt.Sprint(p.Decide(g, now)); stripPointers(a) != stripPointers(b) {
			t.Fatalf("\n%s\n%s", a, b)
		}
		if a, b := mustJSON(f.Map()), mustJSON(g.Map()); a != b {
			t.Fatalf("facts changed on the way:\n%s\n%s", a, b)
		}
	}
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// stripPointers blanks addresses, which fmt prints for the terms.
func stripPointers(s string) string {
	fields := strings.Fields(s)
	return strings.Join(slices.DeleteFunc(fields, func(w string) bool { return strings.HasPrefix(strings.Trim(w, "{}[]"), "0x") }), " ")
}

func FuzzCompile(f *testing.F) {
	f.Add(string(Default()))
	f.Add("apiVersion: dealreg/v1\nkind: Policy\nrules: [{id: a, when: 'true', then: {outcome: protect}}]")
	f.Add("apiVersion: dealreg/v1\nkind: Policy\nmetadata: &a {name: *a}\n")
	f.Add(small)
	for _, c := range compileErrors {
		f.Add(strings.Replace(small, c.old, c.new, 1))
	}
	f.Fuzz(func(t *testing.T, doc string) {
		p, err := Compile([]byte(doc))
		if err != nil {
			for _, e := range errorsOf(t, err) {
				if e.Line < 1 || e.Column < 1 || e.Message == "" {
					t.Fatalf("an error without a place: %+v", e)
				}
			}
			return
		}
		v := p.Decide(given(), now)
		if v.Outcome == "" || len(v.Reasons) == 0 || len(v.Trace) == 0 {
			t.Fatalf("no answer: %+v", v)
		}
	})
}
