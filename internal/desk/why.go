package desk

import (
	"errors"
	"slices"

	"github.com/dibs-deals/dibs/internal/deal"
)

// A sentence is generated text with its links: why a case is here, in one breath.
type sentence []phrase

type phrase struct {
	text, href string
	strong     bool
	code       bool
}

func (s *sentence) say(text string)        { *s = append(*s, phrase{text: text}) }
func (s *sentence) name(text, href string) { *s = append(*s, phrase{text: text, href: href}) }
func (s *sentence) stress(text string)     { *s = append(*s, phrase{text: text, strong: true}) }
func (s *sentence) code(text string)       { *s = append(*s, phrase{text: text, code: true}) }
func (s sentence) String() (out string) {
	for _, p := range s {
		out += p.text
	}
	return out
}

// leading returns the conflict that matters most: the first kind in the order of reports, of it the likeliest, another's before
// the partner's own. What merely describes the customer (it buys already, it lies in a territory) comes after claims.
func leading(list []deal.Conflict) (deal.Conflict, bool) {
	weight := func(c deal.Conflict) float64 {
		w := float64(len(deal.ConflictKinds) - slices.Index(deal.ConflictKinds, c.Kind))
		if c.Self {
			w -= 0.5
		}
		return w + c.Probability/4
	}
	if len(list) == 0 {
		return deal.Conflict{}, false
	}
	return slices.MaxFunc(list, func(a, b deal.Conflict) int {
		switch x, y := weight(a), weight(b); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}), true
}

// deciding returns the rule that decided.
func deciding(d *deal.Decision) (deal.RuleTrace, bool) {
	if i := slices.IndexFunc(d.Trace, func(t deal.RuleTrace) bool { return t.Result == "decided" }); i >= 0 {
		return d.Trace[i], true
	}
	return deal.RuleTrace{}, false
}

// why makes the sentence of a case. What a conflict is with is looked up as it is now.
func (v *visit) why(r *deal.Registration, d *deal.Decision) (sentence, error) {
	var s sentence
	c, conflicts := leading(d.Conflicts)
	if conflicts {
		if err := v.whyConflict(&s, r, c); err != nil {
			return nil, err
		}
		if others := len(d.Conflicts) - 1; others > 0 {
			s.say(", beside " + count(others, "other conflict", "other conflicts"))
		}
	} else {
		s.say(title(firstSentence(d.Texts.Internal)))
	}
	if rule, ok := deciding(d); ok {
		if conflicts {
			s.say(", so rule ")
		} else {
			s.say(" Rule ")
		}
		s.code(rule.Rule)
		s.say(" asks ")
		if d.Case != nil {
			s.stress(d.Case.Queue)
		} else {
			s.say("a person")
		}
		s.say(".")
	} else {
		s.say(".")
	}
	return s, nil
}

// firstSentence is the first sentence of a text, with its full stop.
func firstSentence(text string) string {
	for i := 0; i+1 < len(text); i++ {
		if text[i] == '.' && text[i+1] == ' ' && i > 0 && (text[i-1] < '0' || text[i-1] > '9') {
			return text[:i+1]
		}
	}
	return text
}

func (v *visit) whyConflict(s *sentence, r *deal.Registration, c deal.Conflict) error {
	customer := r.Filing.Customer.Name
	likely := func() {
		s.say(" is ")
		s.stress(percent(c.Probability))
		s.say(" likely to be ")
	}
	o, err := v.other(c.With)
	if err != nil {
		return err
	}
	them := func() {
		if c.Self {
			s.say(v.partner(r.Filing.PartnerID) + " itself")
			return
		}
		s.stress(v.partner(c.PartnerID))
	}
	switch c.Kind {
	case deal.HeldByOther:
		s.say(customer)
		likely()
		s.name(o.name, o.href)
		s.say(", which ")
		them()
		s.say(" holds")
		if !c.Until.IsZero() {
			s.say(" until " + v.lastDay(c.Until).text)
		}
	case deal.PendingOther:
		s.say(customer)
		likely()
		s.name(o.name, o.href)
		s.say(", which ")
		them()
		s.say(" filed earlier and waits for")
	case deal.OwnDuplicate:
		s.say(customer)
		likely()
		s.name(o.name, o.href)
		s.say(", which ")
		them()
		s.say(" filed before")
	case deal.PartnerOpportunity, deal.DirectEngaged:
		s.say("On " + customer + " ")
		if c.Kind == deal.DirectEngaged {
			s.say("our own team")
		} else {
			them()
		}
		s.say(" works already in ")
		s.name(o.name, o.href)
		if c.Stage != "" {
			s.say(", at stage " + c.Stage)
		}
		if c.IdleDays > 0 {
			s.say(", idle for " + count(int(c.IdleDays), "day", "days"))
		}
	case deal.NamedAccount:
		s.say(customer)
		likely()
		s.name(o.name, o.href)
		s.say(", a named account of direct sales")
	case deal.ExistingCustomer:
		s.say(customer)
		likely()
		s.name(o.name, o.href)
		s.say(", which buys already")
	case deal.IncumbentOther:
		s.name(customer, o.href)
		s.say(" last bought through ")
		them()
	case deal.FamilyHeld:
		s.say(customer + " belongs to the family of ")
		s.name(o.name, o.href)
		s.say(", which ")
		them()
		s.say(" holds")
	case deal.TerritoryDirect:
		s.say(customer + " lies in " + c.With + ", which direct sales keep for themselves")
	case deal.TerritoryOtherPartner:
		s.say(customer + " lies in " + c.With + ", which belongs to ")
		them()
	case deal.TerritoryOpen:
		s.say("No territory, or no single one, covers " + customer)
	case deal.TenderShared:
		s.say(customer + " is asked for in the same tender as ")
		s.name(o.name, o.href)
		s.say(" of ")
		them()
	case deal.CompetingOffer:
		s.stress(v.partner(r.Filing.PartnerID))
		s.say(" sells a rival for " + customer)
	default:
		s.say(customer + ": " + words(string(c.Kind)))
	}
	return nil
}

// other is what a conflict or a candidate is with.
type other struct {
	id, kind, name, href string
	registration         *deal.Registration
	account              *deal.Account
	opportunity          *deal.Opportunity
}

// other looks up a registration, an opportunity or an account by its id. What is not there any more has only its id.
func (v *visit) other(id string) (other, error) {
	o := other{id: id, name: id}
	ctx, st := v.ctx(), v.store()
	if r, err := st.Registration(ctx, id); err == nil {
		r.Status = r.StatusAt(v.now)
		o.kind, o.name, o.registration = "Registration", r.Filing.Customer.Name, &r
		if v.may(reviewers...) {
			o.href = Root + "/registrations/" + id
		}
		return o, nil
	} else if !errors.Is(err, deal.ErrNotFound) {
		return o, err
	}
	for _, kind := range []deal.RecordKind{deal.Opportunities, deal.Accounts} {
		rec, err := st.Record(ctx, kind, id)
		switch {
		case errors.Is(err, deal.ErrNotFound):
			continue
		case err != nil:
			return o, err
		}
		switch rec := rec.(type) {
		case *deal.Account:
			o.kind, o.name, o.account, o.href = "Account", rec.Name, rec, Root+"/accounts/"+id
		case *deal.Opportunity:
			o.kind, o.name, o.opportunity = "Opportunity", rec.Name, rec
			if o.name == "" {
				o.name = id
			}
			if rec.AccountID != "" {
				o.href = Root + "/accounts/" + rec.AccountID + "#opportunities"
				if a, err := st.Record(ctx, deal.Accounts, rec.AccountID); err == nil {
					o.account, _ = a.(*deal.Account)
				} else if !errors.Is(err, deal.ErrNotFound) {
					return o, err
				}
			}
		}
		return o, nil
	}
	return o, nil
}
