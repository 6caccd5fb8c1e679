package deal

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Case is the file of an escalation or of an appeal, one for each dispute; or of a partner's standing.
type Case struct {
	ID             string         `json:"id"`
	Kind           string         `json:"kind,omitempty"` // one of CaseKinds
	RegistrationID string         `json:"registration_id"`
	PartnerID      string         `json:"partner_id,omitempty"` // its registrant
	Also           []string       `json:"also,omitempty"`       // later registrations of the same dispute
	Status         string         `json:"status"`               // CaseOpen or CaseResolved
	Outcome        string         `json:"outcome,omitempty"`    // of a resolved one: the status its registration came to
	Terms          CaseTerms      `json:"terms"`                // the queue and the authority are those it is with now
	ReasonCodes    []string       `json:"reason_codes"`
	Conflicts      []ConflictKind `json:"conflicts,omitempty"` // the kinds found when it was opened
	Summary        string         `json:"summary"`
	OpenedAt       time.Time      `json:"opened_at"`

	// The clocks. A zero instant does not come.
	AcknowledgeBy  time.Time `json:"acknowledge_by,omitzero"` // until somebody has acknowledged it, or has not in time
	AcknowledgedAt time.Time `json:"acknowledged_at,omitzero"`
	WarnAt         time.Time `json:"warn_at,omitzero"` // until the warning was given
	DueAt          time.Time `json:"due_at,omitzero"`  // when silence decides
	Overdue        bool      `json:"overdue,omitempty"`
	Raised         int       `json:"raised,omitempty"` // how often silence sent it up
	SnoozedUntil   time.Time `json:"snoozed_until,omitzero"`
	PausedAt       time.Time `json:"paused_at,omitzero"` // since when it waits for the partner's answer
	AnswerBy       time.Time `json:"answer_by,omitzero"` // until when it does
	Question       uint64    `json:"question,omitempty"` // the entry that holds what the partner was asked last

	Assignee   string    `json:"assignee,omitempty"`  // id of a person
	Consulted  []string  `json:"consulted,omitempty"` // ids of people asked for their view
	Proposal   *Proposal `json:"proposal,omitempty"`  // what waits for a second person
	Ruling     *Ruling   `json:"ruling,omitempty"`    // how it was resolved; absent when its registration ended
	RuledBy    string    `json:"ruled_by,omitempty"`  // the person who resolved it
	Recused    []string  `json:"recused,omitempty"`   // people who may not decide it: they ruled on it before
	ResolvedAt time.Time `json:"resolved_at,omitzero"`
	Version    uint64    `json:"version"` // sequence of the last entry that changed it
}

// The kinds and states of a Case.
const (
	CaseEscalation = "escalation"
	CaseAppeal     = "appeal"
	CaseStanding   = "standing" // of a partner that was suspended or terminated: what becomes of its protections
	CaseOpen       = "open"
	CaseResolved   = "resolved"
)

// CaseKinds lists every kind.
var CaseKinds = []string{CaseEscalation, CaseAppeal, CaseStanding}

// Members returns the registrations of the case, the one in question first.
func (k *Case) Members() []string { return append([]string{k.RegistrationID}, k.Also...) }

// NextClock returns when the next of the case's clocks runs out, and zero when none runs.
func (k *Case) NextClock() time.Time {
	var next time.Time
	clock := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if k.Status != CaseOpen {
		return next
	}
	clock(k.SnoozedUntil)
	if !k.PausedAt.IsZero() {
		clock(k.AnswerBy)
		return next
	}
	clock(k.AcknowledgeBy)
	clock(k.WarnAt)
	if !k.Overdue {
		clock(k.DueAt)
	}
	return next
}

// Resume lets the clocks of a case that waited for the partner run on. later puts off what would have run out at an instant by the time
// the case waited.
func (k *Case) Resume(later func(t time.Time) time.Time) {
	if k.PausedAt.IsZero() {
		return
	}
	for _, t := range []*time.Time{&k.WarnAt, &k.DueAt} {
		if !t.IsZero() {
			*t = later(*t)
		}
	}
	k.PausedAt, k.AnswerBy = time.Time{}, time.Time{}
}

// Proposal is a ruling that waits for a second person.
type Proposal struct {
	Ruling Ruling    `json:"ruling"`
	By     Actor     `json:"by"`
	At     time.Time `json:"at"`
}

// Ruling is what is decided in place of the rules: by people on a case, by silence, or by a win.
type Ruling struct {
	Resolution     string      `json:"resolution"` // one of Resolutions
	RegistrationID string      `json:"registration_id"`
	ReasonCode     string      `json:"reason_code"`
	Disposition    Disposition `json:"disposition,omitempty"` // of a route
	To             Target      `json:"to,omitempty"`
	Queue          string      `json:"queue,omitempty"`
	PersonID       string      `json:"person_id,omitempty"`  // whom it is referred to
	PartnerID      string      `json:"partner_id,omitempty"` // the partner it is referred to
	Of             string      `json:"of,omitempty"`         // the registration it waits behind or is merged into
	Needs          []string    `json:"needs,omitempty"`      // fields to complete
	Limit          *ScopeLimit `json:"limit,omitempty"`      // of a split scope: what is granted
	Days           int         `json:"days,omitempty"`       // how long it protects, in place of what the policy gives
	Grant          *Grant      `json:"grant,omitempty"`      // of a protection: its terms, recorded when it is decided
	Return         *Returning  `json:"return,omitempty"`     // of a return: its terms, likewise
	Cause          string      `json:"cause,omitempty"`      // empty: people; CauseSilence or CauseWon
}

// Returning says how long there is to complete what was returned, and what follows when nobody does.
type Returning struct {
	KeepsPlace bool   `json:"keeps_place,omitempty"`
	Within     string `json:"answer_within,omitempty"`
	OnSilence  string `json:"on_silence,omitempty"`
}

// What rules without people.
const (
	CauseSilence = "silence" // nobody decided, or completed what was returned, in time, so the policy does
	CauseWon     = "won"     // what the registration waited behind is won
)

// ScopeLimit is the part of what was filed that a claim is for. What is empty is not limited.
type ScopeLimit struct {
	Lines []string `json:"lines,omitempty"`
	Sites []string `json:"sites,omitempty"` // keys of sites
}

// The resolutions of a case.
const (
	ResolveProtect = "protect"
	ResolveSplit   = "split_scope"
	ResolveCoSell  = "co_sell"
	ResolveRoute   = "route"

	ResolveEscalate = "escalate" // by silence alone: people look at what was not completed
)

// Resolutions lists every resolution that people have.
var Resolutions = []string{ResolveProtect, ResolveSplit, ResolveCoSell, ResolveRoute}

// MaxDays is the longest a ruling can protect.
const MaxDays = 3660

// Validate fills in what goes without saying, and reports everything wrong with the ruling itself.
func (r *Ruling) Validate() FieldErrors {
	var e FieldErrors
	e.oneOf("resolution", r.Resolution, Resolutions)
	if r.Resolution == "" {
		e.Add("resolution", "is required: one of %s", strings.Join(Resolutions, ", "))
	}
	if r.Resolution == ResolveCoSell {
		if r.Disposition != "" && r.Disposition != CoSell {
			e.Add("disposition", "of a co-sell is %s; leave it out", CoSell)
		}
		r.Disposition = CoSell
		if r.To == "" {
			r.To = ToDirectTeam
		}
	}
	routes := r.Resolution == ResolveRoute || r.Resolution == ResolveCoSell
	grants := r.Resolution == ResolveProtect || r.Resolution == ResolveSplit
	for _, f := range []struct {
		name  string
		given bool
		goes  bool
	}{
		{"disposition", r.Disposition != "", routes}, {"to", r.To != "", routes}, {"queue", r.Queue != "", routes}, {"person_id", r.PersonID != "", routes},
		{"partner_id", r.PartnerID != "", routes}, {"of", r.Of != "", r.Disposition == Waitlisted || r.Disposition == Merged},
		{"needs", len(r.Needs) > 0, r.Disposition == Returned}, {"days", r.Days != 0, grants}, {"limit", r.Limit != nil, r.Resolution == ResolveSplit},
	} {
		if f.given && !f.goes {
			e.Add(f.name, "does not go with %s", strings.TrimSpace(r.Resolution+" "+string(r.Disposition)))
		}
	}
	if r.Days < 0 || r.Days > MaxDays {
		e.Add("days", "%d is not 1 to %d", r.Days, MaxDays)
	}
	if r.Resolution == ResolveSplit && (r.Limit == nil || len(r.Limit.Lines)+len(r.Limit.Sites) == 0) {
		e.Add("lines", "say what is granted: product lines, sites or both")
	}
	if r.Resolution == ResolveRoute {
		r.route(&e)
	}
	if r.ReasonCode == "" {
		r.ReasonCode = map[bool]string{true: ReasonProtected, false: map[string]string{ResolveCoSell: ReasonCoSell}[r.Resolution]}[grants]
	}
	if r.ReasonCode == "" {
		e.Add("reason_code", "is required: a code of the policy's catalogue, such as %s", ReasonDeclinedReview)
	}
	switch code := r.ReasonCode; { // the partner reads its text beside what was decided
	case grants && code != ReasonProtected && slices.Contains(CoreReasons, code):
		e.Add("reason_code", "%s does not go with %s: %s does, and so does a code of the policy's own", code, r.Resolution, ReasonProtected)
	case routes && code == ReasonProtected:
		e.Add("reason_code", "%s goes with %s and %s alone: say why not, with another code of the policy's catalogue, such as %s", code, ResolveProtect, ResolveSplit, ReasonDeclinedReview)
	case r.Resolution == ResolveRoute && code == ReasonCoSell && r.Disposition != CoSell:
		e.Add("reason_code", "%s goes with the disposition %s alone: give another code of the policy's catalogue, such as %s", code, CoSell, ReasonDeclinedReview)
	}
	return e
}

func (r *Ruling) route(e *FieldErrors) {
	if !slices.Contains(Dispositions, r.Disposition) {
		words := make([]string, len(Dispositions))
		for i, d := range Dispositions {
			words[i] = string(d)
		}
		e.Add("disposition", "say where it goes: one of %s", strings.Join(words, ", "))
		return
	}
	if r.To == "" && r.Disposition != Referred && r.Disposition != CoSell {
		r.To = ToSubmitter
	}
	if !slices.Contains(Targets, r.To) {
		words := make([]string, len(Targets))
		for i, t := range Targets {
			words[i] = string(t)
		}
		e.Add("to", "say where a %s registration goes: one of %s", r.Disposition, strings.Join(words, ", "))
	}
	if r.To == ToQueue && r.Queue == "" {
		e.Add("queue", "name the queue")
	}
	if r.Disposition == Returned && len(r.Needs) == 0 {
		e.Add("needs", "name the fields to complete")
	}
	if r.Disposition == Merged && r.Of == "" {
		e.Add("of", "name the registration it is merged into")
	}
}

// Note is what an entry records of something done to a case that leaves its registration as it is. Who and when are the
// entry's own.
type Note struct {
	Text     string    `json:"text,omitempty"` // in words; personal, as every free text
	Mentions []string  `json:"mentions,omitempty"`
	PersonID string    `json:"person_id,omitempty"` // to whom it was assigned, who was consulted
	Until    time.Time `json:"until,omitzero"`      // of a snooze; of a question: by when the answer is asked for
}

// Validate reports everything wrong with the words of a note; they are required or may be left out.
func (n *Note) Validate(required bool) FieldErrors {
	var e FieldErrors
	n.Text = strings.TrimSpace(n.Text)
	if n.Text == "" && required {
		e.Add("text", "is required")
	}
	e.text("text", n.Text, MaxText)
	e.texts("mentions", n.Mentions)
	return e
}

func (n *Note) personal(visit func(field string, value *string)) { visit("note.text", &n.Text) }

// The kinds of entry of a case.
const (
	EntryAssigned       = "case.assigned"
	EntryAcknowledged   = "case.acknowledged"
	EntryCommented      = "case.commented"
	EntrySnoozed        = "case.snoozed"
	EntryWoken          = "case.woken" // what was snoozed is to be seen again
	EntryAsked          = "case.asked" // the partner
	EntryUnanswered     = "case.unanswered"
	EntryConsulted      = "case.consulted"
	EntryStanding       = "case.opened"         // about a partner's standing; other cases are opened by a decision or an appeal
	EntryClosed         = "case.closed"         // a partner's standing: what is protected stays, or is revoked by the entries that follow
	EntryProposed       = "case.proposed"       // a ruling waits for a second person
	EntryUnacknowledged = "case.unacknowledged" // nobody acknowledged it in time
	EntryWarned         = "case.warned"         // three quarters of the time to decide have gone
	EntryRaised         = "case.raised"         // silence sent it up
	EntryOverdue        = "case.overdue"        // silence, and nobody above
)

// usual is the reason of an answer when nobody chooses another, by its disposition or else its resolution.
var usual = map[string]string{string(CoSell): ReasonCoSell, string(Declined): ReasonDeclinedReview, string(Waitlisted): ReasonAlreadyRegistered, string(Merged): ReasonAlreadyYours,
	string(Returned): ReasonIncomplete, string(Referred): ReasonNamedAccount, ResolveProtect: ReasonProtected, ResolveSplit: ReasonProtected}

// Usual is the code of the reason that such a ruling has when nobody chooses another; empty where it decides nothing.
func (r *Ruling) Usual() string {
	if r.Disposition == Referred && (r.To == ToPartner || r.To == ToQueue) {
		return ReasonDeclinedReview // not to the vendor's own team, of which the text tells
	}
	return usual[cmp.Or(string(r.Disposition), r.Resolution)]
}

// String names the ruling for a reader.
func (r *Ruling) String() string {
	s := r.Resolution
	if r.Resolution == ResolveRoute {
		s = string(r.Disposition)
	}
	if r.Limit != nil {
		s += fmt.Sprintf(" to %s", strings.Join(append(slices.Clone(r.Limit.Lines), r.Limit.Sites...), ", "))
	}
	return s
}
