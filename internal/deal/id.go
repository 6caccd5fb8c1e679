package deal

import (
	"strings"

	"github.com/oklog/ulid/v2"
)

// The prefixes of ids, so that an id names its kind wherever it is pasted.
const (
	RegistrationID = "reg_"
	DecisionID     = "dec_"
	CaseID         = "case_"
	ProspectID     = "pro_"
	KeyID          = "key_"
	EventID        = "evt_"
	JobID          = "job_"
	WebhookID      = "wh_"
	FindingID      = "find_"
)

// NewID returns a new id with the given prefix: time-ordered, unguessable, lower case.
func NewID(prefix string) string { return prefix + strings.ToLower(ulid.Make().String()) }
