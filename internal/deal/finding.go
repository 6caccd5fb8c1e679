package deal

import (
	"slices"
	"strings"
	"time"
)

// Finding is what a person has found of two organisations that the vendor's records, or filings, describe: that they are one, or that
// they are not. The matcher's opinion gives way to it. It is never changed but for being taken back; the reason, in words, is personal
// and that of the entry it was made in.
type Finding struct {
	ID      string `json:"id"`
	Verdict string `json:"verdict"` // FoundSame or FoundDifferent
	// Subject and Other are whom it is about. Of two that are one, Other is who both are from now on: an account, if one of them is.
	Subject Party     `json:"subject"`
	Other   Party     `json:"other"`
	Until   time.Time `json:"until,omitzero"` // of FoundDifferent: it says nothing any more from then on; zero: it stands
	CaseID  string    `json:"case_id,omitempty"`

	By        Actor     `json:"by"`
	At        time.Time `json:"at"`
	Sequence  uint64    `json:"sequence"` // the entry that has the reason
	Version   uint64    `json:"version"`  // the entry that last changed it
	Withdrawn *Actor    `json:"withdrawn_by,omitempty"`
	TakenBack time.Time `json:"withdrawn_at,omitzero"`
}

// The verdicts of findings.
const (
	FoundSame      = "same"
	FoundDifferent = "different"
)

// Party is one of the two of a finding: an account, or whom a registration describes, and everybody who describes the same.
type Party struct {
	AccountID      string      `json:"account_id,omitempty"`
	RegistrationID string      `json:"registration_id,omitempty"`
	Name           string      `json:"name"`            // as it was called then
	Input          *MatchInput `json:"input,omitempty"` // how the registration described it: what is recognised
}

// Ref is the party as a customer. A registration's is the prospect it would be alone, whomever it was resolved to.
func (p Party) Ref() CustomerRef {
	if p.AccountID != "" {
		return CustomerRef{AccountID: p.AccountID}
	}
	return OwnProspect(p.RegistrationID)
}

// OwnProspect is who the registration's customer is if nobody else is.
func OwnProspect(registrationID string) CustomerRef {
	return CustomerRef{ProspectID: ProspectID + strings.TrimPrefix(registrationID, RegistrationID)}
}

// Registration is the registration whose own prospect the customer is; empty for an account.
func (c CustomerRef) Registration() string {
	if c.ProspectID == "" {
		return ""
	}
	return RegistrationID + strings.TrimPrefix(c.ProspectID, ProspectID)
}

// Key is that of the party as a customer.
func (p Party) Key() string { return p.Ref().Key() }

// Keys returns those of both parties, the subject's first.
func (f *Finding) Keys() [2]string { return [2]string{f.Subject.Key(), f.Other.Key()} }

// The states of findings.
const (
	FindingLive      = "live"
	FindingEnded     = "ended"
	FindingWithdrawn = "withdrawn"
)

// StatusAt is the finding's state at t.
func (f *Finding) StatusAt(t time.Time) string {
	switch {
	case f.Withdrawn != nil:
		return FindingWithdrawn
	case !f.Until.IsZero() && !t.Before(f.Until):
		return FindingEnded
	}
	return FindingLive
}

// Validate reports everything wrong with what a person gives of a finding, as of now.
func (f *Finding) Validate(now time.Time) FieldErrors {
	var e FieldErrors
	if !slices.Contains([]string{FoundSame, FoundDifferent}, f.Verdict) {
		e.Add("verdict", "is %s or %s", FoundSame, FoundDifferent)
	}
	for _, p := range []struct {
		field string
		Party
	}{{"subject", f.Subject}, {"other", f.Other}} {
		if (p.AccountID == "") == (p.RegistrationID == "") {
			e.Add(p.field, "give either account_id or registration_id")
		}
	}
	switch {
	case f.Until.IsZero():
	case f.Verdict == FoundSame:
		e.Add("until", "that two are the same stands until it is taken back; leave it out")
	case !f.Until.After(now):
		e.Add("until", "is to come; leave it out for good")
	}
	return e
}

// The kinds of entry of a finding.
const (
	EntryFound     = "finding.recorded"
	EntryTakenBack = "finding.withdrawn"
)
