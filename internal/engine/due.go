package engine

import (
	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/policy"
)

// openCase makes the case of an escalated registration, due by the policy's business calendar.
func openCase(r *deal.Registration, d *deal.Decision, set policy.Settings) deal.Case {
	c := deal.Case{
		ID: r.CaseID, RegistrationID: r.ID, Status: "open", Terms: *d.Case, ReasonCodes: d.ReasonCodes, Summary: d.Texts.Internal,
		OpenedAt: d.At, Version: d.Sequence,
	}
	if due, err := set.Calendar.Add(d.At, d.Case.Decide); d.Case.Decide != "" && err == nil {
		c.DueAt = due.UTC()
	}
	return c
}
