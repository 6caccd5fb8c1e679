package desk

import (
	"slices"
	"strconv"
	"strings"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/policy"
)

// policyView is one version of the policy.
type policyView struct {
	doc      deal.Document
	p        *policy.Policy // nil when this program cannot read it any more
	live     bool
	unread   string
	versions []versionRow
	settings []fact
	lines    []string
}

type versionRow struct {
	d           deal.Document
	href        string
	current     bool
	from, to    instant
	saved       instant
	savedBy     string
	publishedBy string
	statusTone  string
}

func policyPage(v *visit) (view, error) {
	ctx := v.ctx()
	docs, err := v.d.engine.Documents(ctx, deal.PolicyDocument)
	if err != nil {
		return view{}, err
	}
	var out policyView
	at := -1
	if n := v.r.PathValue("version"); n == "" {
		at = slices.IndexFunc(docs, func(d deal.Document) bool { return d.Status == deal.DocumentLive })
	} else if want, err := strconv.Atoi(n); err == nil {
		at = slices.IndexFunc(docs, func(d deal.Document) bool { return d.Version == want })
	}
	if at < 0 {
		return view{}, deal.ErrNotFound
	}
	out.doc = docs[at]
	out.live = out.doc.Status == deal.DocumentLive
	if out.p, err = policy.CompileSaved([]byte(out.doc.Body), out.doc.Holidays); err != nil {
		out.p, out.unread = nil, err.Error()
	} else {
		out.settings = policySettings(out.p)
	}
	out.lines = strings.Split(strings.TrimRight(out.doc.Body, "\n"), "\n")
	out.versions = v.versions(docs, out.doc.Version, Root+"/policy/")
	name := "Policy"
	if !out.live {
		name = "Policy version " + strconv.Itoa(out.doc.Version)
	}
	return view{title: name, nav: "Policy", body: policyBody(out)}, nil
}

func (v *visit) versions(docs []deal.Document, current int, base string) []versionRow {
	var out []versionRow
	for _, d := range docs {
		row := versionRow{d: d, href: base + strconv.Itoa(d.Version), current: d.Version == current, saved: v.at(d.CreatedAt), from: v.at(d.EffectiveFrom), to: v.at(d.EffectiveTo),
			savedBy: v.keyName(d.CreatedBy), publishedBy: v.keyName(d.PublishedBy), statusTone: docTone(d.Status)}
		out = append(out, row)
	}
	slices.SortFunc(out, func(a, b versionRow) int { return b.d.Version - a.d.Version })
	return out
}

// keyName names who acts with a key.
func (v *visit) keyName(id string) string {
	if id == "" {
		return ""
	}
	if k, ok := v.d.engine.Key(id); ok {
		return v.whois(k)
	}
	return v.doer(deal.Actor{KeyID: id, Role: map[bool]string{true: "admin", false: "a key that is revoked"}[id == deal.System.KeyID]})
}

// policySettings are what the engine is told besides the rules.
func policySettings(p *policy.Policy) []fact {
	s := p.Settings()
	out := []fact{{"Currency", s.Currency}, {"Time zone", s.Timezone.String()}, {"Certainly the same, from", percent(s.Certain)}, {"Perhaps the same, from", percent(s.Possible)},
		{"Perhaps the same claim, from", percent(s.PossibleClaim)}}
	add := func(name string, list []string) {
		if len(list) > 0 {
			out = append(out, fact{name, strings.Join(list, ", ")})
		}
	}
	add("Tiers, lowest first", s.Tiers)
	add("Product lines", s.Lines)
	add("Sales stages", s.Stages)
	add("Told apart by", s.DistinctBy)
	add("Order of the waitlist", s.Waitlist)
	if s.FamilyScope {
		out = append(out, fact{"A claim covers", "the customer's whole family of companies"})
	}
	if s.TwoPeople {
		out = append(out, fact{"Publishing", "somebody else than who saved the version"})
	}
	return out
}

// show writes a parameter's value.
func show(x any) string {
	if list, ok := x.([]string); ok {
		return strings.Join(list, ", ")
	}
	return plain(x)
}
