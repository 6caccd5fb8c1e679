package deal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// filingFields are the fields of a filing that can be changed as wholes, with what each is now.
func (f *Filing) fields() []filingField {
	return []filingField{
		{"partner_id", f.PartnerID}, {"distributor_id", f.DistributorID}, {"type", f.Type}, {"customer", f.Customer}, {"contact", f.Contact}, {"products", f.Products},
		{"sites", f.Sites}, {"amount", f.Amount}, {"expected_close_date", f.ExpectedCloseDate}, {"description", f.Description}, {"tender", f.Tender},
		{"evidence", f.Evidence}, {"competing_offers", f.Competing}, {"external_id", f.ExternalID}, {"custom", f.Custom},
	}
}

type filingField struct {
	name  string
	value any
}

// FilingFields are the names of a filing's fields, as an update changes them.
var FilingFields = func() (out []string) {
	for _, f := range new(Filing).fields() {
		out = append(out, f.name)
	}
	return out
}()

// ChangedFields names the fields in which two filings differ, in the order of FilingFields.
func ChangedFields(a, b *Filing) (out []string) {
	x, y := a.fields(), b.fields()
	for i := range x {
		p, err1 := json.Marshal(x[i].value)
		q, err2 := json.Marshal(y[i].value)
		if empty := []string{"null", "[]", "{}"}; err1 != nil || err2 != nil || !bytes.Equal(p, q) && !(slices.Contains(empty, string(p)) && slices.Contains(empty, string(q))) {
			out = append(out, x[i].name)
		}
	}
	return out
}

// amendable says which fields an update may change in which status. Evidence is added by itself, and a partner is changed by a
// transfer; only what was returned is completed in every other field, since it is decided anew.
var amendable = func() map[Status][]string {
	standing := []string{"customer", "contact", "products", "sites", "amount", "expected_close_date", "description", "tender", "competing_offers", "external_id", "custom"}
	returned := append(slices.Clone(standing), "distributor_id", "type", "evidence")
	return map[Status][]string{StatusReturned: returned, StatusWaitlisted: standing, StatusEscalated: standing, StatusConditional: standing, StatusProtected: standing}
}()

// Amendable returns the fields that an update may change in s.
func (s Status) Amendable() []string { return slices.Clone(amendable[s]) }

// RefuseChange returns why an update may not change the fields in s: ErrNotPossible, naming what it may change.
func (s Status) RefuseChange(fields []string) error {
	for _, f := range fields {
		if !slices.Contains(amendable[s], f) {
			return fmt.Errorf("%w: %s of a registration that is %s cannot be changed; possible are: %s", ErrNotPossible, f, s, strings.Join(amendable[s], ", "))
		}
	}
	return nil
}
