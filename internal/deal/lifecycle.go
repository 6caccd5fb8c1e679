package deal

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Event is what can happen to a registration.
type Event string

// The events of a registration's life. The words are those of the API's paths.
const (
	EventDecide   Event = "decide"  // the rules are asked: when it is filed, and again when what it waits behind is gone
	EventExpire   Event = "expire"  // its window ends
	EventRelease  Event = "release" // the hold it had while its case is open ends
	EventExtend   Event = "extend"
	EventWithdraw Event = "withdraw"
	EventRevoke   Event = "revoke"
	EventWon      Event = "won"
	EventLost     Event = "lost"
	EventResolve  Event = "resolve" // people decide its case
	EventSilence  Event = "silence" // nobody has decided its case, or completed it, in time, so the policy decides
	EventReopen   Event = "reopen"  // its case is looked at once more
	EventAppeal   Event = "appeal"
	EventClose    Event = "close"    // what it waits behind is won
	EventRespond  Event = "respond"  // the partner answers what it was asked
	EventTransfer Event = "transfer" // staff give it to another partner, for whom the rules are asked again
	EventEvidence Event = "evidence" // evidence is added, which may meet a condition or milestones
	EventMiss     Event = "miss"     // a milestone was not met in time, and the policy only tells of it
	EventUpdate   Event = "update"   // the partner changes what it filed; what was returned, and a material change, is decided again
	EventAccept   Event = "accept"   // the partner accepts what the line gave it, or the vendor what a partner filed
	EventMerge    Event = "merge"    // staff find that it is the same deal as another registration, which stands for both
)

// Events lists every Event.
var Events = []Event{EventDecide, EventExpire, EventRelease, EventExtend, EventWithdraw, EventRevoke, EventWon, EventLost, EventResolve, EventSilence,
	EventReopen, EventAppeal, EventClose, EventRespond, EventUpdate, EventEvidence, EventMiss, EventTransfer, EventAccept,
	EventMerge}

// EventRule says of an event who may bring it about, what it needs, and what becomes of the line behind.
type EventRule struct {
	Roles    []string // of keys; empty: only the service itself, by the clock or in a decision
	Reason   bool     // it needs a reason, in words
	Promotes bool     // those in line behind are decided again, in the same commit
	Entry    string   // the kind of its ledger entry
}

// EventRules has the rule of every event.
var EventRules = map[Event]EventRule{
	EventDecide:   {Entry: EntryDecided},
	EventExpire:   {Promotes: true, Entry: EntryExpired},
	EventRelease:  {Promotes: true, Entry: EntryReleased},
	EventExtend:   {Roles: []string{"portal", "ops", "admin"}, Entry: "registration.extended"},
	EventWithdraw: {Roles: []string{"portal", "ops", "admin"}, Promotes: true, Entry: "registration.withdrawn"},
	EventRevoke:   {Roles: []string{"ops", "admin"}, Reason: true, Promotes: true, Entry: "registration.revoked"},
	EventWon:      {Roles: []string{"portal", "ops", "admin"}, Entry: "registration.won"},
	EventLost:     {Roles: []string{"portal", "ops", "admin"}, Promotes: true, Entry: "registration.lost"},
	EventResolve:  {Roles: []string{"ops", "admin"}, Reason: true, Promotes: true, Entry: EntryResolved},
	EventSilence:  {Promotes: true, Entry: EntryResolved},
	EventClose:    {Entry: EntryResolved},
	EventReopen:   {Roles: []string{"ops", "admin"}, Reason: true, Entry: "registration.reopened"},
	EventAppeal:   {Roles: []string{"portal", "ops", "admin"}, Reason: true, Entry: "registration.appealed"},
	EventRespond:  {Roles: []string{"portal", "ops", "admin"}, Reason: true, Entry: "registration.answered"},
	EventEvidence: {Roles: []string{"portal", "ops", "admin"}, Entry: "registration.evidence_added"},
	EventTransfer: {Roles: []string{"ops", "admin"}, Reason: true, Promotes: true, Entry: EntryDecided},
	EventMiss:     {Entry: "registration.milestone_missed"},
	EventUpdate:   {Roles: []string{"portal", "ops", "admin"}, Promotes: true, Entry: EntryUpdated},
	EventAccept:   {Roles: []string{"portal", "ops", "admin"}, Entry: "registration.accepted"},
	EventMerge:    {Roles: []string{"ops", "admin"}, Reason: true, Promotes: true, Entry: "registration.merged"},
}

// decided are the statuses a decision can lead to.
var decided = []Status{StatusProtected, StatusConditional, StatusEscalated, StatusWaitlisted, StatusRouted, StatusMerged, StatusReturned}

// lifecycle is the one state machine: in each status, the events that are possible, and the statuses each leads to. A
// status or an event that is not here is the end of a life, or impossible.
var lifecycle = map[Status]map[Event][]Status{
	StatusReceived: {EventDecide: decided},
	StatusReturned: {EventWithdraw: {StatusWithdrawn}, EventRevoke: {StatusRevoked}, EventLost: {StatusLost}, EventReopen: {StatusEscalated},
		EventUpdate: decided, EventSilence: {StatusRouted, StatusEscalated}, EventMerge: {StatusMerged}},
	StatusWaitlisted: {EventDecide: decided, EventWithdraw: {StatusWithdrawn}, EventRevoke: {StatusRevoked},
		EventLost: {StatusLost}, EventResolve: decided, EventReopen: {StatusEscalated}, EventAppeal: {StatusWaitlisted}, EventClose: {StatusRouted},
		EventUpdate: decided, EventEvidence: {StatusWaitlisted}, EventTransfer: decided, EventMerge: {StatusMerged}},
	StatusEscalated: {EventDecide: decided, EventRelease: {StatusEscalated}, EventWithdraw: {StatusWithdrawn}, EventRevoke: {StatusRevoked},
		EventLost: {StatusLost}, EventResolve: decided, EventSilence: decided, EventRespond: {StatusEscalated}, EventUpdate: decided,
		EventEvidence: {StatusEscalated}, EventMerge: {StatusMerged}},
	StatusRouted: {EventReopen: {StatusEscalated}, EventAppeal: {StatusEscalated}},
	StatusMerged: {EventReopen: {StatusEscalated}, EventAppeal: {StatusEscalated}},
	StatusConditional: {EventExpire: {StatusExpired}, EventWithdraw: {StatusWithdrawn}, EventRevoke: {StatusRevoked},
		EventLost: {StatusLost}, EventUpdate: decided, EventEvidence: {StatusConditional, StatusProtected}, EventMiss: {StatusConditional},
		EventTransfer: decided, EventAccept: {StatusProtected}, EventMerge: {StatusMerged}},
	StatusProtected: {EventExpire: {StatusExpired}, EventExtend: {StatusProtected}, EventWithdraw: {StatusWithdrawn},
		EventRevoke: {StatusRevoked}, EventWon: {StatusWon}, EventLost: {StatusLost}, EventUpdate: decided,
		EventEvidence: {StatusProtected}, EventMiss: {StatusProtected}, EventTransfer: decided,
		EventMerge: {StatusMerged}},
}

// After returns the statuses the event can lead to in s; none when it is impossible.
func (s Status) After(e Event) []Status { return slices.Clone(lifecycle[s][e]) }

// Possible returns what a key of the role can do to a registration in s, in the order of Events.
func (s Status) Possible(role string) []Event {
	var out []Event
	for _, e := range Events {
		if len(lifecycle[s][e]) > 0 && slices.Contains(EventRules[e].Roles, role) {
			out = append(out, e)
		}
	}
	return out
}

// Refuse returns why a key of the role cannot bring the event about in s: ErrForbidden, or ErrNotPossible naming what is
// possible, but for what is known to be out of the question. It returns nil when it can.
func (s Status) Refuse(e Event, role string, not ...Event) error {
	if !slices.Contains(EventRules[e].Roles, role) {
		return fmt.Errorf("%w: a key of role %s cannot %s a registration", ErrForbidden, role, e)
	}
	if len(lifecycle[s][e]) > 0 {
		return nil
	}
	possible := "nothing more can happen to it"
	if list := slices.DeleteFunc(s.Possible(role), func(e Event) bool { return slices.Contains(not, e) }); len(list) > 0 {
		words := make([]string, len(list))
		for i, p := range list {
			words[i] = string(p)
		}
		possible = "possible are: " + strings.Join(words, ", ")
	}
	return fmt.Errorf("%w: %s is not possible while the registration is %s; %s", ErrNotPossible, e, s, possible)
}

// Move is what an entry records of an event: from where to where, why, and the policy that allowed it. Who and when are
// the entry's own.
type Move struct {
	Event    Event       `json:"event"`
	From     Status      `json:"from"`
	To       Status      `json:"to"`
	Reason   string      `json:"reason,omitempty"`   // in words; personal, as every free text
	Evidence []Evidence  `json:"evidence,omitempty"` // what an extension, an appeal, an answer or a win rests on
	Missed   string      `json:"missed,omitempty"`   // the milestone that was not met, when that ended it or is told of
	Met      []string    `json:"met,omitempty"`      // the condition, the milestones and the fulfilments that were met
	Earned   *bool       `json:"earned,omitempty"`   // of an end: whether all that the terms asked for, for the benefits to be paid, was there
	Into     string      `json:"into,omitempty"`     // of a merge: the registration that stands for both
	Before   string      `json:"before,omitempty"`   // of a transfer: the partner it was of
	Changed  []string    `json:"changed,omitempty"`  // of an update: the fields of the filing
	Policy   DocumentRef `json:"policy"`             // for what a protection's terms allow, the policy that granted it; else the live one
}

func (m *Move) personal(visit func(field string, value *string)) {
	visit("move.reason", &m.Reason)
	for i := range m.Evidence {
		visit(fmt.Sprintf("move.evidence[%d].by", i), &m.Evidence[i].By)
		visit(fmt.Sprintf("move.evidence[%d].text", i), &m.Evidence[i].Text)
	}
}

// Validate reports everything wrong with what is asked, as of now.
func (m *Move) Validate(now time.Time) FieldErrors {
	var e FieldErrors
	m.Reason = strings.TrimSpace(m.Reason)
	if m.Reason == "" && EventRules[m.Event].Reason {
		e.Add("reason", "is required: say why, in words")
	}
	e.text("reason", m.Reason, MaxText)
	if len(m.Evidence) > 0 && !slices.Contains([]Event{EventExtend, EventAppeal, EventRespond, EventEvidence, EventWon}, m.Event) {
		e.Add("evidence", "only an extension, an appeal, an answer or a win rests on evidence; add it with /evidence")
	}
	if len(m.Evidence) == 0 && m.Event == EventEvidence {
		e.Add("evidence", "is required: say what there is")
	}
	e.evidence(m.Evidence, now)
	return e
}
