package server

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/api"
	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

// Reference data is six kinds under one set of rules: the four functions here do the work, and below them stands one
// line for each operation of the specification.

// readRecord answers with one row.
func (s *Server) readRecord(ctx context.Context, kind deal.RecordKind, id string) (reply, error) {
	r, err := s.engine.Store().Record(ctx, kind, id)
	if err != nil {
		return reply{}, err
	}
	return ok(r)
}

// putRecord creates or replaces one row. An id in the body may be left out; a different one is a mistake.
func (s *Server) putRecord(ctx context.Context, id string, r deal.Record, wrong deal.FieldErrors) (reply, error) {
	wrong = append(wrong, r.Validate()...)
	if len(wrong) == 0 && r.Key() != id {
		wrong.Add(keyField(r.Kind()), "is %q in the body and %q in the path", clip(r.Key()), clip(id))
	}
	if err := wrong.Err(); err != nil {
		return reply{}, err
	}
	done, err := s.engine.Put(ctx, callOf(ctx).request(), []deal.Record{r}, nil)
	if err != nil {
		return reply{}, err
	}
	status := http.StatusOK
	if done.Created > 0 {
		status = http.StatusCreated
	}
	a, err := answer(status, r)
	if len(done.Doubts) > 0 {
		said := make([]string, len(done.Doubts))
		for i, d := range done.Doubts {
			said[i] = strings.Trim(strconv.QuoteToASCII(d.Field+": "+d.Detail), `"`)
		}
		a.header = append(a.header, [2]string{"Dibs-Warning", strings.Join(said, "; ")})
	}
	return a, err
}

// keyField names the field that carries the id of a kind.
func keyField(kind deal.RecordKind) string {
	switch kind {
	case deal.Products:
		return "sku"
	case deal.Rates:
		return "date"
	}
	return "id"
}

func (s *Server) deleteRecord(ctx context.Context, kind deal.RecordKind, id string) (reply, error) {
	if err := s.engine.Delete(ctx, callOf(ctx).request(), kind, []string{id}); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusNoContent}, nil
}

// listRecords answers with the rows of a kind, typed, so that exports have the columns imports read.
func listRecords[T deal.Record](ctx context.Context, s *Server, kind deal.RecordKind, cursor string, limit int, f store.RecordFilter, columns []column[T]) (reply, error) {
	return list(ctx, cursor, limit, listing[T]{
		filter: f, columns: columns, key: func(t T) string { return t.Key() },
		fetch: func(ctx context.Context, p store.Page) ([]T, error) {
			f.Page = p
			rows, err := s.engine.Store().Records(ctx, kind, f)
			if err != nil {
				return nil, err
			}
			out := make([]T, len(rows))
			for i, r := range rows {
				out[i] = r.(T)
			}
			return out, nil
		},
	})
}

// ListAccounts lists accounts.
func (s handlers) ListAccounts(ctx context.Context, q api.ListAccountsRequestObject) (api.ListAccountsResponseObject, error) {
	f := store.RecordFilter{Name: q.Params.Name, Country: q.Params.Country, Status: string(q.Params.Status)}
	return listRecords(ctx, s.Server, deal.Accounts, q.Params.Cursor, q.Params.Limit, f, accountColumns)
}

// GetAccount reads an account.
func (s handlers) GetAccount(ctx context.Context, q api.GetAccountRequestObject) (api.GetAccountResponseObject, error) {
	return s.readRecord(ctx, deal.Accounts, q.ID)
}

// PutAccount creates or replaces an account.
func (s handlers) PutAccount(ctx context.Context, q api.PutAccountRequestObject) (api.PutAccountResponseObject, error) {
	r, wrong := toAccount(q.ID, q.Body)
	return s.putRecord(ctx, q.ID, r, wrong)
}

// DeleteAccount deletes an account.
func (s handlers) DeleteAccount(ctx context.Context, q api.DeleteAccountRequestObject) (api.DeleteAccountResponseObject, error) {
	return s.deleteRecord(ctx, deal.Accounts, q.ID)
}

// ImportAccounts imports accounts.
func (s handlers) ImportAccounts(ctx context.Context, q api.ImportAccountsRequestObject) (api.ImportAccountsResponseObject, error) {
	return s.importRecords(ctx, deal.Accounts, q.Body)
}

// ListOpportunities lists opportunities.
func (s handlers) ListOpportunities(ctx context.Context, q api.ListOpportunitiesRequestObject) (api.ListOpportunitiesResponseObject, error) {
	f := store.RecordFilter{AccountID: q.Params.AccountID, PartnerID: q.Params.PartnerID, Status: string(q.Params.Status)}
	return listRecords(ctx, s.Server, deal.Opportunities, q.Params.Cursor, q.Params.Limit, f, opportunityColumns)
}

// GetOpportunity reads an opportunity.
func (s handlers) GetOpportunity(ctx context.Context, q api.GetOpportunityRequestObject) (api.GetOpportunityResponseObject, error) {
	return s.readRecord(ctx, deal.Opportunities, q.ID)
}

// PutOpportunity creates or replaces an opportunity.
func (s handlers) PutOpportunity(ctx context.Context, q api.PutOpportunityRequestObject) (api.PutOpportunityResponseObject, error) {
	r, wrong := toOpportunity(q.ID, q.Body)
	return s.putRecord(ctx, q.ID, r, wrong)
}

// DeleteOpportunity deletes an opportunity.
func (s handlers) DeleteOpportunity(ctx context.Context, q api.DeleteOpportunityRequestObject) (api.DeleteOpportunityResponseObject, error) {
	return s.deleteRecord(ctx, deal.Opportunities, q.ID)
}

// ImportOpportunities imports opportunities.
func (s handlers) ImportOpportunities(ctx context.Context, q api.ImportOpportunitiesRequestObject) (api.ImportOpportunitiesResponseObject, error) {
	return s.importRecords(ctx, deal.Opportunities, q.Body)
}

// ListPartners lists partners.
func (s handlers) ListPartners(ctx context.Context, q api.ListPartnersRequestObject) (api.ListPartnersResponseObject, error) {
	f := store.RecordFilter{Name: q.Params.Name, Country: q.Params.Country, Status: string(q.Params.Status)}
	return listRecords(ctx, s.Server, deal.Partners, q.Params.Cursor, q.Params.Limit, f, partnerColumns)
}

// GetPartner reads a partner.
func (s handlers) GetPartner(ctx context.Context, q api.GetPartnerRequestObject) (api.GetPartnerResponseObject, error) {
	return s.readRecord(ctx, deal.Partners, q.ID)
}

// PutPartner creates or replaces a partner.
func (s handlers) PutPartner(ctx context.Context, q api.PutPartnerRequestObject) (api.PutPartnerResponseObject, error) {
	r, wrong := toPartner(q.ID, q.Body)
	return s.putRecord(ctx, q.ID, r, wrong)
}

// DeletePartner deletes a partner.
func (s handlers) DeletePartner(ctx context.Context, q api.DeletePartnerRequestObject) (api.DeletePartnerResponseObject, error) {
	return s.deleteRecord(ctx, deal.Partners, q.ID)
}

// ImportPartners imports partners.
func (s handlers) ImportPartners(ctx context.Context, q api.ImportPartnersRequestObject) (api.ImportPartnersResponseObject, error) {
	return s.importRecords(ctx, deal.Partners, q.Body)
}

// ListPeople lists people.
func (s handlers) ListPeople(ctx context.Context, q api.ListPeopleRequestObject) (api.ListPeopleResponseObject, error) {
	f := store.RecordFilter{Name: q.Params.Name}
	return listRecords(ctx, s.Server, deal.People, q.Params.Cursor, q.Params.Limit, f, personColumns)
}

// GetPerson reads a person.
func (s handlers) GetPerson(ctx context.Context, q api.GetPersonRequestObject) (api.GetPersonResponseObject, error) {
	return s.readRecord(ctx, deal.People, q.ID)
}

// PutPerson creates or replaces a person.
func (s handlers) PutPerson(ctx context.Context, q api.PutPersonRequestObject) (api.PutPersonResponseObject, error) {
	r, wrong := toPerson(q.ID, q.Body)
	return s.putRecord(ctx, q.ID, r, wrong)
}

// DeletePerson deletes a person.
func (s handlers) DeletePerson(ctx context.Context, q api.DeletePersonRequestObject) (api.DeletePersonResponseObject, error) {
	return s.deleteRecord(ctx, deal.People, q.ID)
}

// ImportPeople imports people.
func (s handlers) ImportPeople(ctx context.Context, q api.ImportPeopleRequestObject) (api.ImportPeopleResponseObject, error) {
	return s.importRecords(ctx, deal.People, q.Body)
}

// ListProducts lists products.
func (s handlers) ListProducts(ctx context.Context, q api.ListProductsRequestObject) (api.ListProductsResponseObject, error) {
	f := store.RecordFilter{}
	return listRecords(ctx, s.Server, deal.Products, q.Params.Cursor, q.Params.Limit, f, productColumns)
}

// GetProduct reads a product.
func (s handlers) GetProduct(ctx context.Context, q api.GetProductRequestObject) (api.GetProductResponseObject, error) {
	return s.readRecord(ctx, deal.Products, q.ID)
}

// PutProduct creates or replaces a product.
func (s handlers) PutProduct(ctx context.Context, q api.PutProductRequestObject) (api.PutProductResponseObject, error) {
	return s.putRecord(ctx, q.ID, toProduct(q.ID, q.Body), nil)
}

// DeleteProduct deletes a product.
func (s handlers) DeleteProduct(ctx context.Context, q api.DeleteProductRequestObject) (api.DeleteProductResponseObject, error) {
	return s.deleteRecord(ctx, deal.Products, q.ID)
}

// ImportProducts imports products.
func (s handlers) ImportProducts(ctx context.Context, q api.ImportProductsRequestObject) (api.ImportProductsResponseObject, error) {
	return s.importRecords(ctx, deal.Products, q.Body)
}

// ListRates lists exchange rates.
func (s handlers) ListRates(ctx context.Context, q api.ListRatesRequestObject) (api.ListRatesResponseObject, error) {
	f := store.RecordFilter{}
	return listRecords(ctx, s.Server, deal.Rates, q.Params.Cursor, q.Params.Limit, f, rateColumns)
}

// GetRate reads an exchange rate.
func (s handlers) GetRate(ctx context.Context, q api.GetRateRequestObject) (api.GetRateResponseObject, error) {
	return s.readRecord(ctx, deal.Rates, q.ID)
}

// PutRate creates or replaces an exchange rate.
func (s handlers) PutRate(ctx context.Context, q api.PutRateRequestObject) (api.PutRateResponseObject, error) {
	r, wrong := toRate(q.ID, q.Body)
	return s.putRecord(ctx, q.ID, r, wrong)
}

// DeleteRate deletes an exchange rate.
func (s handlers) DeleteRate(ctx context.Context, q api.DeleteRateRequestObject) (api.DeleteRateResponseObject, error) {
	return s.deleteRecord(ctx, deal.Rates, q.ID)
}

// ImportRates imports exchange rates.
func (s handlers) ImportRates(ctx context.Context, q api.ImportRatesRequestObject) (api.ImportRatesResponseObject, error) {
	return s.importRecords(ctx, deal.Rates, q.Body)
}

// The columns of exports: the headers that imports read.
var (
	accountColumns = []column[*deal.Account]{
		{"id", func(r *deal.Account) string { return r.ID }},
		{"name", func(r *deal.Account) string { return r.Name }},
		{"domain", func(r *deal.Account) string { return r.Domain }},
		{"website", func(r *deal.Account) string { return r.Website }},
		{"country", func(r *deal.Account) string { return r.Country }},
		{"region", func(r *deal.Account) string { return r.Region }},
		{"city", func(r *deal.Account) string { return r.City }},
		{"postal_code", func(r *deal.Account) string { return r.PostalCode }},
		{"street", func(r *deal.Account) string { return r.Street }},
		{"phone", func(r *deal.Account) string { return r.Phone }},
		{"tax_id", func(r *deal.Account) string { return r.TaxID }},
		{"duns", func(r *deal.Account) string { return r.DUNS }},
		{"lei", func(r *deal.Account) string { return r.LEI }},
		{"parent_id", func(r *deal.Account) string { return r.ParentID }},
		{"industry", func(r *deal.Account) string { return r.Industry }},
		{"employees", func(r *deal.Account) string { return number(r.Employees) }},
		{"annual_revenue", func(r *deal.Account) string { return r.AnnualRevenue }},
		{"status", func(r *deal.Account) string { return r.Status }},
		{"owner", func(r *deal.Account) string { return r.Owner }},
		{"named", func(r *deal.Account) string { return strconv.FormatBool(r.Named) }},
		{"aliases", func(r *deal.Account) string { return several(r.Aliases) }},
		{"domains", func(r *deal.Account) string { return several(r.Domains) }},
	}
	opportunityColumns = []column[*deal.Opportunity]{
		{"id", func(r *deal.Opportunity) string { return r.ID }},
		{"account_id", func(r *deal.Opportunity) string { return r.AccountID }},
		{"account_name", func(r *deal.Opportunity) string { return r.AccountName }},
		{"name", func(r *deal.Opportunity) string { return r.Name }},
		{"stage", func(r *deal.Opportunity) string { return r.Stage }},
		{"status", func(r *deal.Opportunity) string { return r.Status }},
		{"amount", func(r *deal.Opportunity) string { return amount(r.Amount) }},
		{"currency", func(r *deal.Opportunity) string { return r.Amount.Currency }},
		{"close_date", func(r *deal.Opportunity) string { return r.CloseDate.String() }},
		{"created_at", func(r *deal.Opportunity) string { return r.CreatedAt.String() }},
		{"last_activity_at", func(r *deal.Opportunity) string { return r.LastActivityAt.String() }},
		{"led_by", func(r *deal.Opportunity) string { return r.LedBy }},
		{"partner_id", func(r *deal.Opportunity) string { return r.PartnerID }},
		{"owner", func(r *deal.Opportunity) string { return r.Owner }},
		{"lines", func(r *deal.Opportunity) string { return several(r.Lines) }},
	}
	partnerColumns = []column[*deal.Partner]{
		{"id", func(r *deal.Partner) string { return r.ID }},
		{"name", func(r *deal.Partner) string { return r.Name }},
		{"type", func(r *deal.Partner) string { return r.Type }},
		{"tier", func(r *deal.Partner) string { return r.Tier }},
		{"status", func(r *deal.Partner) string { return r.Status }},
		{"country", func(r *deal.Partner) string { return r.Country }},
		{"countries", func(r *deal.Partner) string { return several(r.Countries) }},
		{"lines", func(r *deal.Partner) string { return several(r.Lines) }},
		{"distributor_id", func(r *deal.Partner) string { return r.DistributorID }},
		{"domain", func(r *deal.Partner) string { return r.Domain }},
		{"agreement_signed_at", func(r *deal.Partner) string { return r.AgreementSignedAt.String() }},
		{"trained_staff", func(r *deal.Partner) string { return number(r.TrainedStaff) }},
		{"credit_hold", func(r *deal.Partner) string { return strconv.FormatBool(r.CreditHold) }},
	}
	personColumns = []column[*deal.Person]{
		{"id", func(r *deal.Person) string { return r.ID }},
		{"name", func(r *deal.Person) string { return r.Name }},
		{"email", func(r *deal.Person) string { return r.Email }},
		{"roles", func(r *deal.Person) string { return several(r.Roles) }},
		{"queues", func(r *deal.Person) string { return several(r.Queues) }},
		{"authority", func(r *deal.Person) string { return amount(r.Authority) }},
		{"currency", func(r *deal.Person) string { return r.Authority.Currency }},
		{"manager", func(r *deal.Person) string { return r.Manager }},
		{"away_until", func(r *deal.Person) string { return r.AwayUntil.String() }},
	}
	productColumns = []column[*deal.CatalogueProduct]{
		{"sku", func(r *deal.CatalogueProduct) string { return r.SKU }},
		{"line", func(r *deal.CatalogueProduct) string { return r.Line }},
		{"class", func(r *deal.CatalogueProduct) string { return r.Class }},
		{"core", func(r *deal.CatalogueProduct) string { return strconv.FormatBool(r.Core) }},
	}
	rateColumns = []column[*deal.Rate]{
		{"date", func(r *deal.Rate) string { return r.Date.String() }},
		{"from", func(r *deal.Rate) string { return r.From }},
		{"to", func(r *deal.Rate) string { return r.To }},
		{"rate", func(r *deal.Rate) string { return r.Rate }},
	}
)

// How values are written in a cell.

func several(list []string) string { return strings.Join(list, ";") }

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func number[N int64 | uint64](n N) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(int64(n), 10)
}

func amount(m deal.Money) string {
	if m.IsZero() {
		return ""
	}
	return m.Value.String()
}
