package store

import "github.com/dibs-deals/dibs/internal/deal"

// Everything stands for all lines, or the whole customer, in an Element.
const Everything = "*"

// Element is one cell of a live claim: an engine keeps them under a unique constraint, so that the database itself
// refuses two exclusive holders of one identical scope.
//
// A cell's customer is the account or prospect the claim was resolved to. A web domain or a tax number is no cell, however
// exact: companies of a group rightly hold side by side under the group's domain or its one tax number, and whether two
// filings that share one are certainly of one customer is for the matcher and the policy's threshold to say. Where they
// say so, both filings are resolved to one customer, and share its cells; where they do not, a constraint would refuse
// what the policy rightly grants.
type Element struct {
	Customer   string
	Line, Site string
	Shared     bool
}

// Elements returns the cells the registration holds, by its status and its recorded window. Whether the window is
// still open is a question of time; the committer writes the entry of an ending before it grants what ended.
func Elements(r *deal.Registration) []Element {
	var p *deal.Protection
	switch r.Status {
	case deal.StatusProtected, deal.StatusConditional:
		p = r.Protection
	case deal.StatusEscalated:
		p = r.Hold
	}
	if p == nil {
		return nil
	}
	claimed := p.Scope.Lines
	if len(p.Scope.Classes) > 0 { // each a line of its own, as far as cells go
		claimed = p.Scope.Classes
	}
	var lines []string
	for _, l := range claimed {
		lines = append(lines, deal.Fold(l))
	}
	sites := p.Scope.Sites
	if len(lines) == 0 {
		lines = []string{Everything}
	}
	if len(sites) == 0 {
		sites = []string{Everything}
	}
	if part := p.Scope.Part; part != "" { // a site of its own, as far as cells go
		named := make([]string, len(sites))
		for i, s := range sites {
			named[i] = "part|" + part
			if s != Everything {
				named[i] += "|" + s
			}
		}
		sites = named
	}
	var out []Element
	for _, l := range lines {
		for _, s := range sites {
			out = append(out, Element{Customer: r.CustomerRef.Key(), Line: l, Site: s, Shared: p.Shared})
		}
	}
	return out
}
