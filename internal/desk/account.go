package desk

import (
	"cmp"
	"errors"
	"net/url"
	"strings"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

// accountsView is the list of accounts.
type accountsView struct {
	rows          []accountRow
	query         string
	country       string
	next          string
	registrations string // of customers with the query in their names
}

type accountRow struct {
	a     *deal.Account
	href  string
	owner string
}

func accountsPage(v *visit) (view, error) {
	q := v.r.URL.Query()
	out := accountsView{query: strings.TrimSpace(q.Get("q")), country: strings.ToUpper(strings.TrimSpace(q.Get("country")))}
	if out.query != "" && v.may(reviewers...) {
		out.registrations = pathWith(Root+"/registrations", url.Values{"customer_name": {out.query}})
	}
	rows, err := v.store().Records(v.ctx(), deal.Accounts, store.RecordFilter{Name: out.query, Country: out.country, Page: store.Page{After: q.Get("after"), Limit: rowsPerPage + 1}})
	if err != nil {
		return view{}, err
	}
	if len(rows) > rowsPerPage {
		rows = rows[:rowsPerPage]
		to := url.Values{"after": {rows[len(rows)-1].Key()}}
		for k, x := range map[string]string{"q": out.query, "country": out.country} {
			if x != "" {
				to.Set(k, x)
			}
		}
		out.next = pathWith(Root+"/accounts", to)
	}
	for _, r := range rows {
		if a, ok := r.(*deal.Account); ok {
			out.rows = append(out.rows, accountRow{a, Root + "/accounts/" + url.PathEscape(a.ID), v.person(a.Owner)})
		}
	}
	return view{title: "Accounts", nav: "Accounts", body: accountsBody(out)}, nil
}

// accountView is the page of one account.
type accountView struct {
	a             *deal.Account
	owner         string
	facts         []fact
	parent        string
	parentHref    string
	territory     territoryView
	claims        []claimRow // live
	past          []registrationRow
	more          string // all its registrations, where there are more than are shown
	opportunities []opportunityRow
	opportunityTo bool // there are more than are shown
	seesClaims    bool
}

type opportunityRow struct {
	o        *deal.Opportunity
	by       string
	owner    string
	amount   string
	activity string
	closes   instant
}

func accountPage(v *visit) (view, error) {
	ctx, id := v.ctx(), v.r.PathValue("id")
	rec, err := v.store().Record(ctx, deal.Accounts, id)
	if err != nil {
		return view{}, err
	}
	a, ok := rec.(*deal.Account)
	if !ok {
		return view{}, deal.ErrNotFound
	}
	out := accountView{a: a, owner: v.person(a.Owner), parentHref: Root + "/accounts/" + url.PathEscape(a.ParentID), seesClaims: v.may(reviewers...)}
	if a.ParentID != "" {
		out.parent = v.name(deal.Accounts, a.ParentID)
	}
	add := func(name, value string) {
		if value != "" {
			out.facts = append(out.facts, fact{name, value})
		}
	}
	add("Also called", strings.Join(a.Aliases, "; "))
	add("Web domains", strings.Join(a.AllDomains(), ", "))
	add("Address", joined(a.Street, strings.TrimSpace(a.PostalCode+" "+a.City), a.Region, a.Country))
	add("Phone", a.Phone)
	add("Tax number", a.TaxID)
	add("D-U-N-S", a.DUNS)
	add("LEI", a.LEI)
	add("Industry", a.Industry)
	add("Employees", positive(a.Employees))
	add("Revenue a year", a.AnnualRevenue)
	add("Status", cmp.Or(a.Status, "prospect"))
	add("Last contact", a.LastContactAt.String())
	t, err := v.d.engine.TerritoryOf(id)
	if err != nil && !errors.Is(err, deal.ErrNotFound) {
		return view{}, err
	}
	out.territory = v.territory(t, nil)
	if out.seesClaims {
		live := map[string]bool{}
		for _, c := range v.d.engine.Claims(deal.CustomerRef{AccountID: id}) {
			live[c.ID] = true
			out.claims = append(out.claims, v.claimRow(c))
		}
		rs, err := v.store().Registrations(ctx, store.RegistrationFilter{AccountID: id, AsOf: v.now, Page: store.Page{Limit: rowsPerPage + 1, Backwards: true}})
		if err != nil {
			return view{}, err
		}
		if len(rs) > rowsPerPage {
			rs, out.more = rs[:rowsPerPage], Root+"/registrations?account_id="+url.QueryEscape(id)
		}
		for i := range rs {
			if !live[rs[i].ID] {
				out.past = append(out.past, v.registrationRow(&rs[i]))
			}
		}
	}
	opps, err := v.store().Records(ctx, deal.Opportunities, store.RecordFilter{AccountID: id, Page: store.Page{Limit: rowsPerPage + 1}})
	if err != nil {
		return view{}, err
	}
	if len(opps) > rowsPerPage {
		opps, out.opportunityTo = opps[:rowsPerPage], true
	}
	for _, r := range opps {
		o, ok := r.(*deal.Opportunity)
		if !ok {
			continue
		}
		row := opportunityRow{o: o, by: "our own team", owner: v.person(o.Owner), amount: money(o.Amount), closes: v.date(o.CloseDate)}
		if o.LedBy == "partner" {
			row.by = v.partner(o.PartnerID)
		}
		if o.Status == "open" {
			row.activity = "idle for " + count(int(o.LivelyAt(v.now)), "day", "days")
		}
		out.opportunities = append(out.opportunities, row)
	}
	return view{title: a.Name, nav: "Accounts", body: accountBody(out)}, nil
}
