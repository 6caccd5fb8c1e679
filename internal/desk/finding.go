package desk

import (
	"crypto/rand"
	"net/url"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/store"
)

// foundRow is what somebody found of two organisations.
type foundRow struct {
	id, verdict, tone    string
	subject, other       findingParty
	reason, by, withdraw string // withdraw: where it is taken back; empty: this key does not, or it says nothing any more
	once                 string
	at, until            instant
}

type findingParty struct{ name, href string }

// findingsView is the list of findings.
type findingsView struct {
	rows   []foundRow
	next   string
	done   string
	failed attempt
}

func findingsPage(v *visit) (view, error) { return v.showFindings(attempt{}) }

// showFindings is the list of findings; with an attempt, after one that could not be taken back.
func (v *visit) showFindings(a attempt) (view, error) {
	q := v.r.URL.Query()
	list, err := v.d.engine.Findings(v.ctx(), store.FindingFilter{Page: store.Page{After: q.Get("after"), Limit: rowsPerPage + 1, Backwards: true}})
	if err != nil {
		return view{}, err
	}
	out := findingsView{failed: a, done: doneWords[q.Get("done")]}
	if len(list) > rowsPerPage {
		list = list[:rowsPerPage]
		out.next = pathWith(Root+"/findings", url.Values{"after": {list[len(list)-1].ID}})
	}
	for i := range list {
		out.rows = append(out.rows, v.foundRow(&list[i]))
	}
	return view{status: a.status, title: "Findings", nav: "Findings", body: findingsBody(out)}, nil
}

func (v *visit) foundRow(f *engine.Found) foundRow {
	party := func(p deal.Party) findingParty {
		if p.AccountID != "" {
			return findingParty{p.Name, Root + "/accounts/" + p.AccountID}
		}
		return findingParty{p.Name, Root + "/registrations/" + p.RegistrationID}
	}
	row := foundRow{id: f.ID, verdict: "the same", tone: "mute", subject: party(f.Subject), other: party(f.Other), reason: f.Reason, by: v.doer(f.By), at: v.at(f.At), until: v.lastDay(f.Until)}
	if f.Verdict == deal.FoundDifferent {
		row.verdict = "not the same"
	}
	switch {
	case f.Status != deal.FindingLive:
		row.verdict += ", " + f.Status
	default:
		if row.tone = "good"; v.may(doers...) {
			row.withdraw, row.once = Root+"/findings/"+f.ID+"/withdraw", rand.Text()
		}
	}
	return row
}

// found lists what was found of the registration's customer, and of what it is set beside.
func (v *visit) found(r *deal.Registration, beside []comparison) ([]foundRow, error) {
	of := []deal.CustomerRef{deal.OwnProspect(r.ID)}
	for _, c := range beside {
		if ref := c.party.Ref(); c.party != (deal.Party{}) {
			of = append(of, ref)
		}
	}
	list, err := v.d.engine.Findings(v.ctx(), store.FindingFilter{Of: of, Page: store.Page{Limit: rowsPerPage, Backwards: true}})
	if err != nil {
		return nil, err
	}
	var out []foundRow
	for i := range list {
		out = append(out, v.foundRow(&list[i]))
	}
	return out, nil
}

// finds records what a person found of a case's customer and something it was set beside.
func finds(v *visit) (view, error) {
	id, form := v.r.PathValue("id"), v.r.PostForm
	k, err := v.store().Case(v.ctx(), id)
	if err != nil {
		return view{}, err
	}
	f := deal.Finding{Verdict: form.Get("verdict"), Subject: deal.Party{RegistrationID: k.RegistrationID}, CaseID: k.ID}
	switch other := form.Get("other"); {
	case strings.HasPrefix(other, deal.RegistrationID):
		f.Other.RegistrationID = other
	default:
		f.Other.AccountID = other
	}
	if day := form.Get("until"); day != "" && f.Verdict == deal.FoundDifferent {
		until, perr := time.ParseInLocation(time.DateOnly, day, v.zone)
		if err = perr; err != nil {
			err = deal.FieldErrors{{Field: "until", Detail: "is a day, as 2026-11-30"}}
		}
		f.Until = until.AddDate(0, 0, 1) // through that day
	}
	if err == nil {
		_, err = v.d.engine.Find(v.ctx(), v.request(), f, strings.ReplaceAll(form.Get("text"), "\r\n", "\n"))
	}
	if err != nil {
		a, failed := v.failed("find "+form.Get("other"), err)
		if !failed {
			return view{}, err
		}
		return v.showCase(a)
	}
	return view{to: Root + "/cases/" + id + "?done=find"}, nil
}

// takesBack takes a finding back.
func takesBack(v *visit) (view, error) {
	id := v.r.PathValue("id")
	if _, err := v.d.engine.TakeBack(v.ctx(), v.request(), id, strings.ReplaceAll(v.r.PostForm.Get("text"), "\r\n", "\n")); err != nil {
		a, failed := v.failed("withdraw "+id, err)
		if !failed {
			return view{}, err
		}
		return v.showFindings(a)
	}
	return view{to: Root + "/findings?done=unfind#" + id}, nil
}
