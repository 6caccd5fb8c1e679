package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/dibs-deals/dibs/internal/deal"
)

// reply is what one registration was answered, as whoever filed it saw it.
type reply struct {
	Case        int     `json:"case"`
	Replica     int     `json:"replica"`
	Status      int     `json:"status"` // of HTTP; 0: no answer
	MS          float64 `json:"ms"`
	ID          string  `json:"id"`
	Sequence    uint64  `json:"sequence"`
	Outcome     string  `json:"outcome"`
	Disposition string  `json:"disposition"`
	Reason      string  `json:"reason"` // as partners read it
	Problem     string  `json:"problem,omitempty"`
}

func (r *reply) kind() string {
	return cmp.Or(strings.TrimSuffix(r.Outcome+" "+r.Disposition, " "), "no answer")
}

// wrong is one answer that is not right.
type wrong struct {
	Kind         string
	Registration string
	Got          string
	Want         string
	Why          string
	Filing       string // as it was sent
}

// verdict is what came of one scenario.
type verdict struct {
	Asked, Right, Cautious int
	Missed                 []wrong // not recognised by a name that suffered much, and something was there
	Wrong                  []wrong
	Failed                 []wrong // not answered, or refused
	Kinds                  map[string]*tally
}

// tally counts the registrations of a kind.
type tally struct{ Asked, Cautious, Missed, Wrong int }

// judge holds the replies to the truth. Decisions are those recorded, by registration: the first of each.
//
// Registrations of one customer are gone through in the order in which the ledger has them, each after the claims that the
// ones before it were left with. Beside the answer itself it holds that the customer was recognised as the one it is, that
// the territory is the one the oracle finds, that who waits or was merged does so behind a claim on the same customer, and
// that of claims on the same lines at most one is protected.
func (v *vendor) judge(filings []*filed, replies []reply, decisions map[string]*deal.Decision) *verdict {
	out := &verdict{Kinds: map[string]*tally{}}
	type settled struct {
		f *filed
		r *reply
		d *deal.Decision
	}
	groups := map[int][]settled{}
	groupOf := map[string]int{} // registration → group
	for i := range replies {
		r := &replies[i]
		f := filings[r.Case]
		out.Asked++
		if out.Kinds[f.Kind] == nil {
			out.Kinds[f.Kind] = &tally{}
		}
		out.Kinds[f.Kind].Asked++
		d := decisions[r.ID]
		if r.Status != 201 || d == nil {
			out.Failed = append(out.Failed, wrong{Kind: f.Kind, Registration: r.ID, Got: fmt.Sprintf("status %d %s", r.Status, r.Problem), Want: "201 and a recorded decision", Filing: asJSON(f)})
			continue
		}
		groups[f.Group] = append(groups[f.Group], settled{f, r, d})
		groupOf[r.ID] = f.Group
	}
	order := make([]int, 0, len(groups))
	for g := range groups {
		order = append(order, g)
	}
	slices.Sort(order)
	for _, g := range order {
		list := groups[g]
		slices.SortFunc(list, func(a, b settled) int { return cmp.Compare(a.d.Sequence, b.d.Sequence) })
		var before []claim
		for _, s := range list {
			cautious, missed, faults := v.faults(s.f, s.r, s.d, before, groupOf)
			switch k := out.Kinds[s.f.Kind]; {
			case missed != nil && len(faults) == 0:
				k.Missed++
				out.Missed = append(out.Missed, *missed)
			case len(faults) > 0:
				k.Wrong++
				out.Wrong = append(out.Wrong, faults[0])
			case cautious:
				k.Cautious++
				out.Cautious++
				fallthrough
			default:
				out.Right++
			}
			if c, is := claimOf(s.f, s.d); is {
				before = append(before, c)
			}
		}
	}
	return out
}

// claimOf is what a decision leaves its registration with.
func claimOf(f *filed, d *deal.Decision) (claim, bool) {
	c := claim{id: d.RegistrationID, partner: f.Filing.PartnerID, lines: f.Filing.Lines(), garbled: f.Garbled}
	switch d.Outcome {
	case deal.Protect:
		c.holds = true
	case deal.Escalate:
		c.holds = d.Case != nil && d.Case.Hold.Provisional
	case deal.RouteTo:
		return c, d.Route.Disposition == deal.Waitlisted
	}
	return c, true
}

// faults is everything wrong with one decision; whether it is right and more careful than it need be; and how it is missed, if
// that is all that is wrong with it.
func (v *vendor) faults(f *filed, r *reply, d *deal.Decision, before []claim, groupOf map[string]int) (cautious bool, missed *wrong, out []wrong) {
	found := func(got, want, why string, args ...any) wrong {
		return wrong{f.Kind, d.RegistrationID, got, want, fmt.Sprintf(why, args...), asJSON(f)}
	}
	say := func(got, want, why string, args ...any) { out = append(out, found(got, want, why, args...)) }
	got := answer{string(d.Outcome), "", d.ReasonCodes[0]}
	if d.Route != nil {
		got.Disposition = string(d.Route.Disposition)
	}
	best, right, overlooking := v.right(f, before, d.At)
	if !slices.Contains(right, got) {
		names := make([]string, len(right))
		for i, a := range right {
			names[i] = a.String()
		}
		w := found(got.String(), strings.Join(names, "; "), "%s. %s", v.truth(f, before), d.Texts.Internal)
		if slices.Contains(overlooking, got) {
			missed = &w
		} else {
			out = append(out, w)
		}
	}
	if told := (answer{r.Outcome, r.Disposition, r.Reason}); told.partners() != got.partners() && r.Outcome != "" {
		say(told.partners(), got.partners(), "the answer to the partner differs from what is recorded")
	}

	// Who it is.
	ref := d.Resolution.Ref.AccountID
	certain := d.Resolution.Status == "certain"
	switch account := f.org.account; {
	case certain && account == nil:
		say("account "+ref, "no account", "the vendor does not have this customer. %s", v.truth(f, before))
	case certain && ref != account.ID:
		say("account "+ref, "account "+account.ID, "it was taken for another. %s", v.truth(f, before))
	case account != nil && f.Exact && d.Resolution.Status == "none":
		say("no account", "account "+account.ID, "the customer is described as the vendor has it, and was not recognised")
	}

	// The territory, whoever it was taken for.
	if len(out) == 0 {
		want := v.plan.find(v.place(f, certain, d.At))
		is := covered{d.Territory.Status, d.Territory.ID, d.Territory.Coverage, d.Territory.Owner.PartnerID}
		if want.Status == "ambiguous" {
			is.Partner = ""
		}
		if is != want {
			shows := ""
			if f.probe != nil {
				shows = fmt.Sprintf(" It shows, of %s: %s.", f.probe.Territory, f.probe.Shows)
			}
			say(fmt.Sprintf("%+v", is), fmt.Sprintf("%+v", want), "a plain scan of the plan finds another territory than the index.%s %s", shows, d.Territory.Why)
		}
		if p := f.probe; p != nil && (p.Account == "") != (f.org.account == nil) {
			say("", "", "the sweep names account %s, which the vendor does not have", p.Account)
		}
	}

	// Behind whom.
	if d.Route != nil && (d.Route.Disposition == deal.Waitlisted || d.Route.Disposition == deal.Merged) {
		if g, known := groupOf[d.Route.Of]; !known || g != f.Group {
			say(got.String()+" of "+d.Route.Of, "a claim on the same customer", "the claim it was put behind is another customer's")
		}
	}
	if d.Outcome == deal.Protect && missed == nil {
		for _, c := range before {
			if _, meets := common(f.Filing.Lines(), c.lines); meets && c.holds {
				say("protected", "one holder", "%s holds the same customer and lines", c.id)
			}
		}
	}
	return got != best, missed, out
}

// truth says in words what there is to know.
func (v *vendor) truth(f *filed, before []claim) string {
	var b strings.Builder
	if a := f.org.account; a == nil {
		fmt.Fprintf(&b, "In truth it is %q (%s), whom the vendor does not have", f.org.like.Name, f.org.like.Country)
	} else {
		fmt.Fprintf(&b, "In truth it is account %s, %q (%s)", a.ID, a.Name, a.Country)
		for _, o := range v.business(f) {
			fmt.Fprintf(&b, ", with %s %s opportunity led by %s %s", o.Status, o.ID, o.LedBy, o.PartnerID)
		}
	}
	for _, c := range before {
		state := "waits"
		if c.holds {
			state = "holds"
		}
		fmt.Fprintf(&b, "; %s of %s %s %v", c.id, c.partner, state, c.lines)
	}
	return b.String()
}

func asJSON(f *filed) string {
	b, err := json.Marshal(f.Filing)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// expected is what a partner may read in answer to a registration whatever the order in which those of its customer arrive.
func (v *vendor) expected(f *filed, group []*filed) (out []string) {
	at := v.today.Add(1)
	add := func(before []claim) {
		_, right, missed := v.right(f, before, at)
		for _, a := range append(right, missed...) {
			if p := a.partners(); !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	add(nil)
	var rest []claim
	for _, o := range group {
		if o != f {
			rest = append(rest, claim{partner: o.Filing.PartnerID, lines: o.Filing.Lines(), garbled: o.Garbled})
		}
	}
	rest = distinct(f, rest)
	for some := 1; some < 1<<len(rest); some++ {
		for holding := some; ; holding = (holding - 1) & some { // which of them hold
			var before []claim
			for i, c := range rest {
				if c.holds = holding>>i&1 == 1; some>>i&1 == 1 {
					before = append(before, c)
				}
			}
			add(before)
			if holding == 0 {
				break
			}
		}
	}
	return out
}
