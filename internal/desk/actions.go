package desk

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/store"
)

// What people do to a case. Each form carries the version of the case it was shown with: what somebody else has done meanwhile is
// shown, and what was written is kept, so that it can be sent again by whoever still means it.

// attempt is something that was tried and did not come to be.
type attempt struct {
	status int // of the answer; 0: nothing was tried
	act    string
	form   url.Values
	wrong  string
	since  []eventLine // what somebody else has done meanwhile
}

// value is what was written into a field of the form, when that form was sent.
func (a *attempt) value(act, field string) string {
	if a.act != act {
		return ""
	}
	return a.form.Get(field)
}

// actions are the forms of a case.
type actions struct {
	base    string
	version string
	once    string // names this showing of the forms: one that is sent twice counts once
	failed  attempt
	done    string // what has just been done
	may     map[engine.Act]engine.May

	members   []choice // registrations a ruling can be for, when there are several
	answers   []answer
	reasons   []choice // codes, and what partners read of them
	grants    string   // how long the policy would protect
	able      []string // who may decide it, when who looks may not
	lines     []string // of a split scope
	fields    []string // that can be asked for
	fourEyes  bool
	proposal  *proposalView
	people    []choice // of the queue
	everybody []choice
	mine      bool // it is assigned to who looks
	me        string
	soon      []choice // days to put it off to
}

// answer is one way to resolve a case.
type answer struct {
	value, text, hint string
	told              string // what the partner reads, unless another reason is chosen
	key               int    // the number that chooses it, the same in every case; 0: none
	checked           bool
}

type proposalView struct {
	by, what, words, code string
	at                    instant
	own                   bool
}

// returnable are the fields a partner is asked to complete most.
var returnable = []string{"customer.domain", "customer.street", "customer.tax_id", "customer.postal_code", "contact.email", "sites", "evidence.letter", "evidence.meeting"}

func (v *visit) actions(f *engine.CaseFile, failed attempt) (*actions, error) {
	if !v.may(doers...) {
		return nil, nil
	}
	k, r := &f.Case, &f.Registration
	a := &actions{base: Root + "/cases/" + k.ID + "/", version: strconv.FormatUint(k.Version, 10), once: rand.Text(), failed: failed, may: map[engine.Act]engine.May{},
		mine: k.Assignee != "" && k.Assignee == v.key.PersonID, me: v.key.PersonID, fourEyes: k.Terms.FourEyes}
	for _, m := range f.May {
		m.Why, m.Also = v.humane(m.Why), v.humane(m.Also)
		a.may[m.Act] = m
	}
	a.done = doneWords[v.r.URL.Query().Get("done")]
	if v.r.URL.Query().Get("done") == "assign" && k.Assignee == "" {
		a.done = "It is nobody's; whoever works the queue sees it."
	}
	people, err := v.store().Records(v.ctx(), deal.People, store.RecordFilter{Page: store.Page{Limit: 1000}})
	if err != nil {
		return nil, err
	}
	for _, rec := range people {
		p, ok := rec.(*deal.Person)
		if !ok {
			continue
		}
		c := choice{name: cmp.Or(p.Name, p.ID), href: p.ID, current: p.ID == k.Assignee}
		a.everybody = append(a.everybody, c)
		if slices.Contains(p.Queues, k.Terms.Queue) || slices.Contains(p.Queues, k.Terms.Authority) {
			a.people = append(a.people, c)
		}
		if k.Status == deal.CaseOpen && !a.may[engine.ActResolve].May && v.d.engine.MayDecide(k, deal.Actor{Role: "ops", PersonID: p.ID}) {
			a.able = append(a.able, c.name)
		}
	}
	if k.Status != deal.CaseOpen {
		return a, nil
	}
	if p := k.Proposal; p != nil {
		a.proposal = &proposalView{by: v.doer(p.By), what: ruled(&p.Ruling), code: p.Ruling.ReasonCode, at: v.at(p.At), own: p.By.PersonID == v.key.PersonID}
		if p.Ruling.ReasonCode == p.Ruling.Usual() {
			a.proposal.code = "" // it says nothing more
		}
		for _, h := range slices.Backward(f.Timeline) {
			if h.Kind == deal.EntryProposed {
				a.proposal.words = h.Text
				break
			}
		}
	}
	partner := v.partner(r.Filing.PartnerID)
	if len(f.Also) > 0 {
		a.members = append(a.members, choice{name: partner + ", " + r.Number, href: r.ID, current: true})
		for _, m := range f.Also {
			a.members = append(a.members, choice{name: v.partner(m.PartnerID) + ", " + m.Number, href: m.ID})
		}
	}
	a.lines, a.fields = r.Filing.Lines(), returnable
	p, err := v.d.livePolicy()
	if err != nil {
		return nil, err
	}
	add := func(value, text, hint string) {
		kind, _, _ := strings.Cut(value, ":")
		x := answer{value: value, text: text, hint: hint, checked: failed.value("resolve", "answer") == value}
		if !slices.ContainsFunc(a.answers, func(y answer) bool { return strings.HasPrefix(y.value, kind+":") }) { // of several, the first
			x.key = answerKeys[kind]
		}
		if code := usually(kind); code != "" {
			x.told, _, _ = p.Told(code)
		}
		a.answers = append(a.answers, x)
	}
	protects := "Protect " + partner
	if len(a.members) > 0 {
		protects = "Protect the registration"
	}
	add("protect", protects, "It is another customer, or the claim is the better one.")
	add("declined", "Decline", "Not one to protect.")
	for _, c := range v.ahead(f) {
		add("waitlisted:"+c.ID, "In line behind "+v.partner(c.Filing.PartnerID), "It is the same deal: it moves up when "+c.Number+" ends.")
	}
	if len(a.lines) > 1 {
		add("split_scope", "Protect a part", "Only the product lines chosen below.")
	}
	for _, c := range f.Decision.Conflicts {
		if c.Kind == deal.OwnDuplicate {
			if x, err := v.store().Registration(v.ctx(), c.With); err == nil {
				add("merged:"+x.ID, "Merge into "+x.Number, "It is the partner's own, filed before.")
			} else if !errors.Is(err, deal.ErrNotFound) {
				return nil, err
			}
		}
	}
	add("co_sell", "Sell together", "With our own team.")
	add("referred", "Refer to the direct team", "The partner stays on record as the source.")
	add("returned", "Return for completion", "Say below what is missing.")
	slices.SortStableFunc(a.answers, func(x, y answer) int { return cmp.Compare(answerOrder(x), answerOrder(y)) })
	_, reviewed, _ := p.Told(deal.ReasonUnderReview)
	for _, code := range p.Reasons() {
		// What a partner would read as "we are looking at it" is no answer, and what only the service says is not a person's.
		if text, public, _ := p.Told(code); public != reviewed && !slices.Contains(notByPeople, code) {
			a.reasons = append(a.reasons, choice{name: title(words(code)) + ": " + text, href: code})
		}
	}
	if g := cmp.Or(k.Terms.Grant, p.Review().Grant); g != nil {
		a.grants = length(&g.Terms)
	}
	y, m, d := v.now.In(v.zone).Date()
	for _, n := range []int{1, 2, 7} {
		day := time.Date(y, m, d+n, 8, 0, 0, 0, v.zone)
		a.soon = append(a.soon, choice{name: day.Format("Monday 2 January"), href: day.Format(time.DateOnly)})
	}
	return a, nil
}

// answerKeys are the numbers that choose an answer: habits must not decline what was meant to be protected.
var answerKeys = map[string]int{"protect": 1, "declined": 2, "waitlisted": 3, "split_scope": 4, "co_sell": 5, "referred": 6, "returned": 7, "merged": 8}

// answerOrder is where an answer stands in the form.
func answerOrder(x answer) int {
	kind, _, _ := strings.Cut(x.value, ":")
	return answerKeys[kind]
}

// notByPeople are the reasons of what only the service does, and of a protection, which needs none.
var notByPeople = []string{deal.ReasonProtected, deal.ReasonRuleError, deal.ReasonNoRule, deal.ReasonDegraded, deal.ReasonNoRate, deal.ReasonImported, deal.ReasonGuard, deal.ReasonNotInTime, deal.ReasonClosedWon}

// ahead are the claims the registration of a case can be put in line behind: those on its customer, and those of which the decision
// found that they may be, that hold or were filed before.
func (v *visit) ahead(f *engine.CaseFile) []engine.Claim {
	r := &f.Registration
	refs := []deal.CustomerRef{r.CustomerRef}
	for _, c := range f.Decision.Conflicts {
		if c.Kind == deal.HeldByOther || c.Kind == deal.PendingOther {
			if x, err := v.store().Registration(v.ctx(), c.With); err == nil && !slices.Contains(refs, x.CustomerRef) {
				refs = append(refs, x.CustomerRef)
			}
		}
	}
	var out []engine.Claim
	for i, ref := range refs {
		for _, c := range v.d.engine.Claims(ref) {
			may := i == 0 || slices.ContainsFunc(f.Decision.Conflicts, func(x deal.Conflict) bool { return x.With == c.ID })
			if may && c.ID != r.ID && c.Place == 0 && (c.HoldsAt(v.now) || c.Sequence < r.Sequence) {
				out = append(out, c)
			}
		}
	}
	return out
}

// length is how long terms protect.
func length(t *deal.Terms) string {
	switch {
	case t.Months > 0:
		return count(t.Months, "month", "months")
	case t.Days > 0:
		return count(t.Days, "day", "days")
	}
	return ""
}

// doneWords say what has been done, after the page was loaded anew.
var doneWords = map[string]string{"assign": "It is assigned.", "acknowledge": "It is acknowledged.", "comment": "Your comment is in the timeline.", "snooze": "It is put off.", "ask": "The partner is asked; the clock stands still meanwhile.",
	"consult": "They are asked for their view.", "resolve": "It is resolved, and the partner can read the answer.", "propose": "It is proposed: a second person confirms it.", "reopen": "It is open again.",
	"extend": "It is extended.", "withdraw": "It is withdrawn.", "revoke": "It is revoked.", "accept": "It is accepted.", "merge": "It is merged.", "won": "It is recorded as won.", "lost": "It is recorded as lost.",
	"find": "It is recorded, and goes before what the matcher thinks. The case itself is still to be resolved.", "unfind": "It is taken back."}

// usually is the reason code of an answer when nobody chooses another; of a grant there is none to choose.
func usually(kind string) string {
	if kind == deal.ResolveProtect || kind == deal.ResolveSplit {
		return ""
	}
	return (&deal.Ruling{Resolution: kind}).Usual()
}

// ruling reads the answer of a form.
func ruling(form url.Values) deal.Ruling {
	kind, of, _ := strings.Cut(form.Get("answer"), ":")
	r := deal.Ruling{Resolution: kind, RegistrationID: form.Get("registration_id"), ReasonCode: cmp.Or(form.Get("reason_code"), usually(kind))}
	if n, err := strconv.Atoi(form.Get("days")); err == nil && (kind == deal.ResolveProtect || kind == deal.ResolveSplit) {
		r.Days = n
	}
	switch kind {
	case deal.ResolveProtect, deal.ResolveCoSell:
	case deal.ResolveSplit:
		r.Limit = &deal.ScopeLimit{Lines: form["lines"]}
	case "":
	default:
		r.Resolution, r.Disposition, r.Of = deal.ResolveRoute, deal.Disposition(kind), of
		switch r.Disposition {
		case deal.Referred:
			r.To, r.PersonID = deal.ToDirectTeam, form.Get("person_id")
		case deal.Returned:
			r.Needs = form["needs"]
		}
	}
	return r
}

var mention = regexp.MustCompile(`@([A-Za-z0-9][A-Za-z0-9_-]*)`)

// doing reads a form.
func (v *visit) doing(act engine.Act) (engine.Doing, error) {
	form := v.r.PostForm
	d := engine.Doing{Act: act, Text: strings.TrimSpace(strings.ReplaceAll(form.Get("text"), "\r\n", "\n")), PersonID: form.Get("person_id")}
	var err error
	if d.Version, err = strconv.ParseUint(form.Get("version"), 10, 64); err != nil || d.Version == 0 {
		return d, badRequest("the form does not say which version of the case it was shown with: load the page again")
	}
	if day := form.Get("until"); day != "" {
		if d.Until, err = time.ParseInLocation(time.DateOnly, day, v.zone); err != nil {
			return d, deal.FieldErrors{{Field: "until", Detail: "is a day, as 2026-11-30"}}
		}
		d.Until = d.Until.Add(8 * time.Hour) // the morning
	}
	if act == engine.ActResolve {
		d.PersonID = ""
		if d.Confirm = form.Get("confirm") != ""; !d.Confirm {
			d.Ruling = ruling(form)
			if d.Ruling.Resolution == "" {
				return d, deal.FieldErrors{{Field: "answer", Detail: "choose one"}}
			}
		}
	}
	if act == engine.ActComment {
		for _, m := range mention.FindAllStringSubmatch(d.Text, -1) {
			if _, err := v.store().Record(v.ctx(), deal.People, m[1]); err == nil && !slices.Contains(d.Mentions, m[1]) {
				d.Mentions = append(d.Mentions, m[1])
			}
		}
	}
	return d, nil
}

// request is how what is done is kept, so that a form that is sent twice counts once.
func (v *visit) request() engine.Request {
	q := engine.Request{Actor: v.actor()}
	if once := v.r.PostForm.Get("once"); once != "" {
		sum := sha256.Sum256([]byte(v.r.URL.Path + "\n" + v.r.PostForm.Encode()))
		q.IdemKey, q.Hash = "desk-"+once, sum[:]
	}
	return q
}

// act makes the handler of an act on a case.
func act(what engine.Act) func(*visit) (view, error) {
	return func(v *visit) (view, error) {
		id := v.r.PathValue("id")
		d, err := v.doing(what)
		var k deal.Case
		if err == nil {
			k, err = v.d.engine.Do(v.ctx(), v.request(), id, d)
		}
		if err != nil {
			a, failed := v.failed(string(what), err)
			if !failed {
				return view{}, err
			}
			if errors.Is(err, deal.ErrStale) {
				f, ferr := v.d.engine.File(v.ctx(), id, v.actor())
				if ferr != nil {
					return view{}, ferr
				}
				a.since = v.timeline(slices.DeleteFunc(f.Timeline, func(h engine.Happening) bool { return h.Sequence <= d.Version }), nil)
				if a.wrong = "Somebody changed this case meanwhile. Nothing of yours was sent; it is still in the form."; f.Case.Status == deal.CaseResolved {
					a.wrong = "Somebody resolved this meanwhile: " + cmp.Or(v.person(f.Case.RuledBy), "without a ruling") + ", " + came(&f.Case) + "."
				}
			}
			return v.showCase(a)
		}
		done := string(what)
		if what == engine.ActResolve && k.Status == deal.CaseOpen {
			done = "propose"
		}
		return view{to: Root + "/cases/" + id + "?done=" + done}, nil
	}
}

// failed is the attempt an error leaves behind, if the page can be shown again with what is wrong.
func (v *visit) failed(act string, err error) (attempt, bool) {
	a := attempt{act: act, form: v.r.PostForm}
	var fields deal.FieldErrors
	switch {
	case errors.As(err, &fields):
		a.status = http.StatusUnprocessableEntity
		parts := make([]string, len(fields))
		for i, f := range fields {
			parts[i] = fieldNames[f.Field] + " " + f.Detail
			if fieldNames[f.Field] == "" {
				parts[i] = f.Field + " " + f.Detail
			}
		}
		a.wrong = title(strings.TrimSpace(strings.Join(parts, "; "))) + "."
	case errors.Is(err, deal.ErrStale):
		a.status = http.StatusPreconditionFailed
	case errors.Is(err, deal.ErrNotPossible):
		a.status, a.wrong = http.StatusConflict, title(strings.TrimPrefix(err.Error(), deal.ErrNotPossible.Error()+": "))+"."
	case errors.Is(err, deal.ErrForbidden):
		a.status, a.wrong = http.StatusForbidden, title(strings.TrimPrefix(err.Error(), deal.ErrForbidden.Error()+": "))+"."
	default:
		return a, false
	}
	a.wrong = v.humane(a.wrong)
	return a, true
}

// fieldNames are the fields of forms as people see them.
var fieldNames = map[string]string{"verdict": "what you found:", "answer": "the answer:", "reason": "the note", "text": "the text", "reason_code": "the reason:", "person_id": "the person:", "until": "the day", "lines": "the lines:", "needs": "what is missing:", "of": "the answer:", "into": "the other registration:"}

var (
	ids    = regexp.MustCompile(`\b(?:reg|case|key)_[0-9a-z]{26}\b|\b[A-Za-z]{1,4}-\d{2,}\b`)
	stamps = regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z`)
)

// humane puts names in the place of ids, and the programme's time in that of UTC, in what the engine says.
func (v *visit) humane(text string) string {
	text = stamps.ReplaceAllStringFunc(text, func(s string) string {
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return s
		}
		return v.at(t).text
	})
	return ids.ReplaceAllStringFunc(text, func(id string) string {
		if strings.HasPrefix(id, deal.RegistrationID) {
			if r, err := v.store().Registration(v.ctx(), id); err == nil {
				return r.Number
			}
			return id
		}
		if n := v.person(id); n != id {
			return n
		}
		return v.partner(id)
	})
}

// moves are the forms of a registration.
type moves struct {
	base   string
	once   string
	failed attempt
	done   string
	list   []moveForm
}

type moveForm struct {
	event, name, hint string
	reason            bool     // it needs a reason
	into              []choice // of a merge: what it may be merged into
	evidence          []string // of a win: what the terms ask for and is not there
}

// byStaff are the events people bring about here, in the order of the page.
var byStaff = []struct {
	event      deal.Event
	name, hint string
}{
	{deal.EventExtend, "Extend", "By what its terms allow."},
	{deal.EventAccept, "Accept", ""}, // acceptHint
	{deal.EventWon, "Won", "The deal is done: the protection ends, and those in line are told."},
	{deal.EventLost, "Lost", "The deal is lost: who is next in line moves up."},
	{deal.EventWithdraw, "Withdraw", "On the partner's behalf: who is next in line moves up."},
	{deal.EventMerge, "Merge", "It is the same deal as another registration, which stands for both: who is next in line moves up."},
	{deal.EventRevoke, "Revoke", "The vendor takes it back: the partner reads that, and who is next in line moves up."},
}

// acceptHint says who accepts what; empty: nothing waits for that.
func acceptHint(t *deal.Terms) string {
	switch {
	case t.Offered() != nil:
		return "On the partner's behalf: what the line gave it is its own for the whole window."
	case t != nil && t.Condition != nil && deal.Fold(t.Condition.Need) == deal.NeedAcceptance:
		return "For the vendor: the protection holds for its whole window."
	}
	return ""
}

func (v *visit) moves(r *deal.Registration, t *deal.Terms, around []claimRow, failed attempt) *moves {
	if !v.may(doers...) {
		return nil
	}
	m := &moves{base: Root + "/registrations/" + r.ID + "/", once: rand.Text(), failed: failed, done: doneWords[v.r.URL.Query().Get("done")]}
	possible := r.Status.Possible(v.key.Role)
	for _, e := range byStaff {
		if !slices.Contains(possible, e.event) {
			continue
		}
		f := moveForm{event: string(e.event), name: e.name, hint: e.hint, reason: deal.EventRules[e.event].Reason}
		switch e.event {
		case deal.EventAccept:
			if f.hint = acceptHint(t); f.hint == "" {
				continue
			}
		case deal.EventMerge:
			for _, c := range around {
				if id := strings.TrimPrefix(c.href, Root+"/registrations/"); id != r.ID && c.number != "" {
					f.into = append(f.into, choice{name: c.partner + ", " + c.status, href: c.number})
				}
			}
		case deal.EventWon:
			for _, x := range r.Fulfil {
				if x.MetAt.IsZero() {
					f.evidence = append(f.evidence, x.Need)
				}
			}
		}
		m.list = append(m.list, f)
	}
	return m
}

// move makes the handler of an event of a registration.
func move(event deal.Event) func(*visit) (view, error) {
	return func(v *visit) (view, error) {
		id := v.r.PathValue("id")
		reason := strings.TrimSpace(strings.ReplaceAll(v.r.PostForm.Get("text"), "\r\n", "\n"))
		m := engine.Moving{Event: event, Reason: reason}
		if event == deal.EventWon {
			y, month, d := v.now.In(v.zone).Date()
			for _, kind := range v.r.PostForm["evidence"] {
				m.Evidence = append(m.Evidence, deal.Evidence{Kind: kind, Date: deal.Date{Time: time.Date(y, month, d, 0, 0, 0, 0, time.UTC)}})
			}
		}
		var err error
		if event == deal.EventMerge {
			m.To, err = v.registrationOf(strings.TrimSpace(v.r.PostForm.Get("into")))
		}
		if err == nil {
			_, err = v.d.engine.Move(v.ctx(), v.request(), id, m)
		}
		if err != nil {
			a, failed := v.failed(string(event), err)
			if !failed {
				return view{}, err
			}
			return v.showRegistration(a)
		}
		return view{to: fmt.Sprintf("%s/registrations/%s?done=%s", Root, id, event)}, nil
	}
}

// registrationOf returns the id of the registration that somebody names by its id or its number; what is neither as it is.
func (v *visit) registrationOf(name string) (string, error) {
	if name == "" || strings.HasPrefix(name, deal.RegistrationID) {
		return name, nil
	}
	rs, err := v.store().Registrations(v.ctx(), store.RegistrationFilter{Number: name, AsOf: v.now, Page: store.Page{Limit: 1}})
	if err != nil || len(rs) == 0 {
		return name, err
	}
	return rs[0].ID, nil
}
