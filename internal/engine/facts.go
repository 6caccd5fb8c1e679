package engine

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/match"
	"github.com/dibs-deals/dibs/internal/policy"
)

// gather states everything the rules may ask, before any rule runs.
func gather(v *view, r *deal.Registration, q *match.Query, w whom, t deal.TerritoryResult, cs []deal.Conflict, amount float64, amountKnown bool, now time.Time) *policy.Facts {
	f := policy.NewFacts()
	set := v.policy.Settings()
	registrationFacts(f, v, r, set, amount, amountKnown, now)
	partnerFacts(f, v, r, set)
	customerFacts(f, v, r, q, w, set, now)
	historyFacts(f, v, r, w.Ref, now)
	f.Set("territory.status", t.Status)
	f.Set("territory.coverage", t.Coverage)
	f.Set("territory.id", t.ID)
	f.Set("territory.unsure", len(t.Unknown) > 0)
	if id := t.Owner.PartnerID; id != "" {
		f.Set("territory.assigned", selfOrOther(id == r.Filing.PartnerID))
	}
	if w := v.policy.Waivers(r.Filing.PartnerID, now); len(w) > 0 {
		f.Set("partner.waivers", w)
	}
	conflictFacts(f, v, r, cs, set, now)
	f.Set("match.truncated", w.Truncated)
	return f
}

func selfOrOther(self bool) string {
	if self {
		return "self"
	}
	return "other"
}

// days returns whole days from a to b, not negative.
func days(a, b time.Time) int { return max(0, int(b.Sub(a)/(24*time.Hour))) }

// precheck is the status of what is asked and not filed. No registration has it.
const precheck deal.Status = "precheck"

func registrationFacts(f *policy.Facts, v *view, r *deal.Registration, set policy.Settings, amount float64, amountKnown bool, now time.Time) {
	g := &r.Filing
	lines := g.Lines()
	f.Set("reg.type", g.Type)
	f.Set("reg.precheck", r.Status == precheck)
	if r.Imported {
		f.Set("reg.source", "import")
	}
	f.Set("reg.submitted", float64(r.ReceivedAt.UnixMilli())/3_600_000)
	f.Set("reg.amount", amount)
	f.Set("reg.amount_known", amountKnown)
	f.Set("reg.rate_missing", !amountKnown && hasAmount(g))
	f.Set("reg.lines", lines)
	f.Set("reg.all_lines", len(lines) == 0)
	f.Set("reg.line_count", len(lines))
	productFacts(f, v, r, set, amount)
	if d := g.ExpectedCloseDate; !d.IsZero() {
		y, m, day := now.In(set.Timezone).Date()
		f.Set("reg.has_close_date", true)
		f.Set("reg.close_in_days", days(time.Date(y, m, day, 0, 0, 0, 0, time.UTC), d.Time))
	}
	for _, e := range g.Evidence {
		if slices.Contains(deal.EvidenceKinds, e.Kind) {
			f.Set("reg.has_"+e.Kind, true)
		}
	}
	for kind, fact := range map[string]string{"meeting": "reg.meeting_days", "letter": "reg.letter_days"} {
		var latest time.Time
		for _, e := range g.Evidence {
			if e.Kind == kind && e.Date.After(latest) {
				latest = e.Date.Time
			}
		}
		if !latest.IsZero() {
			f.Set(fact, days(latest, now))
		}
	}
	f.Set("reg.has_contact", r.Has("contact.email"))
	f.Set("reg.has_description", r.Has("description"))
	f.Set("reg.has_sites", len(g.Sites) > 0)
	f.Set("reg.site_count", len(g.Sites))
	f.Set("reg.has_competing_offers", len(g.Competing) > 0)
	f.Set("reg.tender", g.Tender.IsTender)
	f.Set("reg.tender_number_given", g.Tender.Number != "")
	f.Set("reg.tender_published", !g.Tender.PublishedAt.IsZero() && g.Tender.PublishedAt.Before(r.ReceivedAt))
	f.Set("reg.missing", missing(r))
	for k, v := range g.Custom {
		f.Set("custom."+k, v)
	}
}

// productFacts counts the products, and what of the amount counts.
func productFacts(f *policy.Facts, v *view, r *deal.Registration, set policy.Settings, amount float64) {
	units := int64(0)
	var classes []string
	var uncounted deal.Money
	for _, p := range r.Filing.Products {
		units += p.Quantity
		c := v.product(p.SKU)
		if c == nil || c.Class == "" {
			continue
		}
		if !slices.Contains(classes, c.Class) {
			classes = append(classes, c.Class)
		}
		if slices.Contains(set.Uncounted, c.Class) && !p.Amount.IsZero() && (uncounted.Currency == "" || uncounted.Currency == p.Amount.Currency) {
			uncounted = deal.Money{Value: uncounted.Value.Add(p.Amount.Value), Currency: p.Amount.Currency}
		}
	}
	f.Set("reg.units", units)
	if len(classes) > 0 {
		f.Set("reg.classes", classes)
	}
	if x, ok := v.convert(uncounted, set.Currency, r.ReceivedAt); ok {
		amount = max(0, amount-x)
	}
	f.Set("reg.counted_amount", amount)
}

// missing lists the standard fields the filing leaves empty.
func missing(r *deal.Registration) []string {
	g := &r.Filing
	c := &g.Customer
	out := make([]string, 0, len(policy.StandardFields))
	for _, field := range policy.StandardFields {
		has := false
		switch field {
		case "customer.domain":
			has = c.Domain != "" || c.Website != ""
		case "customer.country":
			has = c.Country != ""
		case "customer.region":
			has = c.Region != ""
		case "customer.city":
			has = c.City != ""
		case "customer.postal_code":
			has = c.PostalCode != ""
		case "customer.street":
			has = c.Street != ""
		case "customer.phone":
			has = c.Phone != ""
		case "customer.tax_id":
			has = c.TaxID != ""
		case "customer.industry":
			has = c.Industry != ""
		case "customer.employees":
			has = c.Employees > 0
		case "products":
			has = len(g.Products) > 0
		case "sites":
			has = len(g.Sites) > 0
		case "amount":
			has = hasAmount(g)
		case "expected_close_date":
			has = !g.ExpectedCloseDate.IsZero()
		case "tender.number":
			has = g.Tender.Number != ""
		case "tender.published_at":
			has = !g.Tender.PublishedAt.IsZero()
		case "distributor_id":
			has = g.DistributorID != ""
		case "evidence":
			has = len(g.Evidence) > 0
		case "competing_offers":
			has = len(g.Competing) > 0
		case "external_id":
			has = g.ExternalID != ""
		default:
			if kind, ok := strings.CutPrefix(field, "evidence."); ok {
				has = slices.ContainsFunc(g.Evidence, func(e deal.Evidence) bool { return e.Kind == kind })
			}
		}
		if !has && !slices.Contains(r.Given, field) {
			out = append(out, field)
		}
	}
	return out
}

// hasAmount reports whether the filing gives an amount, as a whole or of a position.
func hasAmount(g *deal.Filing) bool {
	return !g.Amount.IsZero() || slices.ContainsFunc(g.Products, func(p deal.Product) bool { return !p.Amount.IsZero() })
}

// total returns the deal's value: as stated or the sum of its positions, the larger at the rates of the day. Of the two, one without a rate
// is taken for the larger: nobody can tell that it is not.
func (v *view) total(g *deal.Filing, day time.Time) deal.Money {
	stated, sum := g.Amount, v.positions(g, day)
	switch {
	case sum.IsZero():
		return stated
	case stated.IsZero():
		return sum
	case stated.Currency == sum.Currency:
		if sum.Value.GreaterThan(stated.Value) {
			return sum
		}
		return stated
	}
	own := v.policy.Settings().Currency
	x, ok := v.convert(stated, own, day)
	y, known := v.convert(sum, own, day)
	if ok && (!known || y > x) {
		return sum
	}
	return stated
}

// positions returns the sum of what the positions give: in their currency, or in the policy's where they have several. One of those without a
// rate is returned alone, so that the sum is not known.
func (v *view) positions(g *deal.Filing, day time.Time) (sum deal.Money) {
	mixed := false
	for _, p := range g.Products {
		switch {
		case p.Amount.IsZero():
		case sum.Currency == "" || sum.Currency == p.Amount.Currency:
			sum = deal.Money{Value: sum.Value.Add(p.Amount.Value), Currency: p.Amount.Currency}
		default:
			mixed = true
		}
	}
	if !mixed {
		return sum
	}
	sum = deal.Money{Currency: v.policy.Settings().Currency}
	for _, p := range g.Products {
		if p.Amount.IsZero() {
			continue
		}
		rate, ok := v.rate(p.Amount.Currency, sum.Currency, day)
		if !ok {
			return p.Amount
		}
		sum.Value = sum.Value.Add(p.Amount.Value.Mul(rate))
	}
	return sum
}

// convert returns an amount in the currency at the last rate published on or before the day: directly, by the
// inverse, or through one currency that both have a rate with.
func (v *view) convert(m deal.Money, currency string, day time.Time) (float64, bool) {
	if m.IsZero() {
		return 0, false
	}
	rate, ok := v.rate(m.Currency, currency, day)
	if !ok {
		return 0, false
	}
	x, _ := m.Value.Mul(rate).Float64()
	return x, true
}

func (v *view) rate(from, to string, day time.Time) (decimal.Decimal, bool) {
	if from == to {
		return decimal.New(1, 0), true
	}
	direct := func(from, to string) (decimal.Decimal, bool) {
		for _, inverse := range []bool{false, true} {
			pair := [2]string{from, to}
			if inverse {
				pair = [2]string{to, from}
			}
			list := v.rates[pair]
			for i := len(list) - 1; i >= 0; i-- {
				if list[i].Date.After(day) {
					continue
				}
				x, err := decimal.NewFromString(list[i].Rate)
				if err != nil {
					break
				}
				if inverse {
					x = decimal.New(1, 0).DivRound(x, 12)
				}
				return x, true
			}
		}
		return decimal.Decimal{}, false
	}
	if x, ok := direct(from, to); ok {
		return x, true
	}
	var pivots []string
	for pair := range v.rates {
		for _, c := range pair {
			if c != from && c != to && !slices.Contains(pivots, c) {
				pivots = append(pivots, c)
			}
		}
	}
	slices.Sort(pivots)
	for _, c := range pivots {
		a, ok1 := direct(from, c)
		b, ok2 := direct(c, to)
		if ok1 && ok2 {
			return a.Mul(b), true
		}
	}
	return decimal.Decimal{}, false
}

func partnerFacts(f *policy.Facts, v *view, r *deal.Registration, set policy.Settings) {
	p := v.partners[r.Filing.PartnerID]
	if p == nil { // admitted registrations have one; a replay of a world without it must still be total
		return
	}
	lines := r.Filing.Lines()
	country := r.Filing.Customer.Country
	f.Set("partner.active", p.Status == "active")
	f.Set("partner.status", cmp.Or(p.Status, "active"))
	f.Set("partner.type", cmp.Or(p.Type, "other"))
	tier, rank := set.Tier(p.Tier)
	f.Set("partner.tier", tier)
	f.Set("partner.tier_rank", rank)
	f.Set("partner.country", p.Country)
	f.Set("partner.agreement_known", !p.AgreementSignedAt.IsZero())
	f.Set("partner.agreement_signed", !p.AgreementSignedAt.IsZero() && !p.AgreementSignedAt.After(r.ReceivedAt))
	f.Set("partner.authorised_country", p.SellsFor(country, nil))
	f.Set("partner.authorised_lines", (&deal.Partner{Lines: p.Lines}).SellsFor("", lines))
	f.Set("partner.authorised", p.SellsFor(country, lines))
	f.Set("partner.trained_staff", int(p.TrainedStaff))
	f.Set("partner.credit_hold", p.CreditHold)
	f.Set("partner.live_claims", v.byPartner[p.ID])
	if id := r.Filing.DistributorID; id != "" {
		d := v.partners[id]
		f.Set("partner.via_distributor", true)
		f.Set("partner.distributor_ok", d != nil && d.Status == "active" && (p.DistributorID == "" || p.DistributorID == id))
	}
}

func customerFacts(f *policy.Facts, v *view, r *deal.Registration, q *match.Query, w whom, set policy.Settings, now time.Time) {
	c := &r.Filing.Customer
	f.Set("customer.mail_domain", c.Domain != "" && slices.Contains(set.MailDomain, match.Domain(c.Domain)))
	f.Set("customer.ship_to_country", cmp.Or(c.ShipTo.Country, c.Country))
	for _, id := range []string{r.Filing.PartnerID, r.Filing.DistributorID} {
		if p := v.partners[id]; p != nil {
			if same := v.model.Judge(q, v.called[id]); same.Verdict == deal.Same && same.Probability >= set.Certain {
				f.Set("customer.partner_name", true)
			}
			if own := match.Domain(p.Domain); own != "" && (own == match.Domain(c.Domain) || own == match.Domain(c.Website)) {
				f.Set("customer.partner_domain", true)
			}
		}
	}
	industry, employees, country, region := c.Industry, c.Employees, c.Country, c.Region
	if a := w.account; a != nil {
		f.Set("customer.account_status", cmp.Or(a.Status, "prospect"))
		f.Set("customer.named", a.Named)
		if o := v.incumbent(a.ID); o != nil {
			f.Set("customer.incumbent", selfOrOther(o.PartnerID == r.Filing.PartnerID))
			if at := wonAt(o); !at.IsZero() {
				f.Set("customer.incumbent_days", days(at, now))
			}
		}
		if !a.LastContactAt.IsZero() {
			f.Set("customer.contact_days", days(a.LastContactAt.Time, now))
		}
		industry, employees = cmp.Or(a.Industry, industry), cmp.Or(a.Employees, employees)
		country, region = cmp.Or(a.Country, country), cmp.Or(a.Region, region)
	}
	f.Set("customer.resolved", w.Status)
	f.Set("customer.probability", w.Probability)
	f.Set("customer.new_prospect", w.NewProspect && w.Status == "none")
	f.Set("customer.name_suspicious", mixedScripts(c.Name) || match.Disguised(c.Name) != "")
	f.Set("customer.industry", industry)
	if employees > 0 {
		f.Set("customer.employees", employees)
	}
	f.Set("customer.country", country)
	f.Set("customer.region", region)
	f.Set("customer.public_sector", slices.Contains(set.PublicSector, industry))
	f.Set("customer.disagrees", len(w.Disagrees) > 0)
}

// mixedScripts reports whether one word of the name mixes letters of scripts that look alike: nobody's name does.
func mixedScripts(name string) bool {
	for word := range strings.FieldsSeq(name) {
		var latin, cyrillic, greek bool
		for _, r := range word {
			latin = latin || unicode.Is(unicode.Latin, r)
			cyrillic = cyrillic || unicode.Is(unicode.Cyrillic, r)
			greek = greek || unicode.Is(unicode.Greek, r)
		}
		if latin && (cyrillic || greek) || cyrillic && greek {
			return true
		}
	}
	return false
}

func conflictFacts(f *policy.Facts, v *view, r *deal.Registration, cs []deal.Conflict, set policy.Settings, now time.Time) {
	all := scopeOf(v, r, r.CustomerRef, set)
	for _, kind := range deal.ConflictKinds {
		c, ok := strongest(cs, kind)
		if !ok {
			continue
		}
		k := "conflict." + string(kind) + "."
		f.Set(k+"found", true)
		f.Set(k+"probability", c.Probability)
		f.Set(k+"self", c.Self)
		f.Set(k+"same_lines", coversAll(c.Overlap.Lines, all.Lines) && coversAll(c.Overlap.Classes, all.Classes))
		f.Set(k+"relation", c.Relation)
		stage, place := set.Stage(c.Stage)
		f.Set(k+"stage", stage)
		f.Set(k+"stage_no", place)
		if !c.Since.IsZero() {
			f.Set(k+"since_days", days(c.Since, now))
		}
		if kind == deal.DirectEngaged || kind == deal.PartnerOpportunity || kind == deal.IncumbentOther || kind == deal.DirectClosed {
			f.Set(k+"idle_days", int(c.IdleDays))
		}
		if !c.Until.IsZero() {
			f.Set(k+"ends_in_days", days(now, c.Until))
		}
		if claim := v.claims[c.With]; claim != nil {
			f.Set(k+"status", string(claim.Status))
			f.Set(k+"holds", claim.HoldsAt(now))
		} else if kind != deal.TerritoryDirect && kind != deal.TerritoryOpen && kind != deal.TerritoryOtherPartner {
			f.Set(k+"status", c.Status)
		}
	}
}

// coversAll reports whether the shared lines are all that the registration claims.
func coversAll(shared, all []string) bool {
	if len(all) == 0 { // it claims every line: only another claim to every line covers that
		return len(shared) == 0
	}
	for _, l := range all {
		if !slices.ContainsFunc(shared, func(s string) bool { return deal.FoldLine(s) == deal.FoldLine(l) }) {
			return false
		}
	}
	return true
}
