package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

// visit is one request: who asks, as of when, and the names it has looked up.
type visit struct {
	d     *Desk
	w     http.ResponseWriter
	r     *http.Request
	key   deal.Key
	now   time.Time
	zone  *time.Location
	names map[deal.RecordRef]string
}

func (d *Desk) visit(w http.ResponseWriter, r *http.Request) *visit {
	v := &visit{d: d, w: w, r: r, key: d.key(r), now: d.engine.Now(), zone: time.UTC, names: map[deal.RecordRef]string{}}
	if p, err := d.livePolicy(); err == nil {
		v.zone = p.Settings().Timezone
	}
	return v
}

func (v *visit) ctx() context.Context { return v.r.Context() }
func (v *visit) store() store.Store   { return v.d.engine.Store() }
func (v *visit) requestID() string    { return v.w.Header().Get("X-Request-ID") }

// may reports whether the role is one of those.
func (v *visit) may(roles ...string) bool { return slices.Contains(roles, v.key.Role) }

// name returns the name of a partner or a person, or the id when it is not there any more.
func (v *visit) name(kind deal.RecordKind, id string) string {
	if id == "" {
		return ""
	}
	ref := deal.RecordRef{Kind: kind, Key: id}
	if n, ok := v.names[ref]; ok {
		return n
	}
	n := id
	if rec, err := v.store().Record(v.ctx(), kind, id); err == nil {
		switch rec := rec.(type) {
		case *deal.Partner:
			n = cmp.Or(rec.Name, id)
		case *deal.Person:
			n = cmp.Or(rec.Name, id)
		case *deal.Account:
			n = cmp.Or(rec.Name, id)
		}
	}
	v.names[ref] = n
	return n
}

func (v *visit) partner(id string) string { return v.name(deal.Partners, id) }
func (v *visit) person(id string) string  { return v.name(deal.People, id) }

// whois names who acts with a key.
func (v *visit) whois(k deal.Key) string {
	return cmp.Or(v.person(k.PersonID), k.Note, k.Role)
}

// actor is who acts: the key, and the person it is of.
func (v *visit) actor() deal.Actor {
	return deal.Actor{KeyID: v.key.ID, Role: v.key.Role, PersonID: v.key.PersonID}
}

// doer names who did something.
func (v *visit) doer(a deal.Actor) string {
	switch {
	case a.PersonID != "":
		return v.person(a.PersonID)
	case a == deal.System:
		return "the service"
	case a.KeyID == "command-line":
		return "the command line"
	}
	return a.Role
}

// roleNames are the roles as people call them.
var roleNames = map[string]string{"ops": "Sales operations", "policy": "Policy author", "auditor": "Auditor", "admin": "Administrator", "portal": "Portal"}

// frame is what is around every page.
type frame struct {
	title, role, who, initials string
	signedIn                   bool
	nav                        []navItem
	zone                       string
	query                      string
}

type navItem struct {
	name, href string
	current    bool
}

func (v *visit) frame(out view) frame {
	f := frame{title: out.title, signedIn: v.key.ID != "", zone: v.zone.String(), query: v.r.FormValue("q")}
	if !f.signedIn {
		return f
	}
	f.role, f.who = roleNames[v.key.Role], v.whois(v.key)
	for _, w := range strings.Fields(cmp.Or(f.who, f.role)) {
		if r := []rune(w); len(f.initials) < 2 {
			f.initials += strings.ToUpper(string(r[:1]))
		}
	}
	for _, n := range []struct {
		name, path string
		roles      []string
	}{{"Queue", "/cases", reviewers}, {"Registrations", "/registrations", reviewers}, {"Findings", "/findings", reviewers}, {"Accounts", "/accounts", staff},
		{"Territories", "/territories", staff}, {"Policy", "/policy", staff}, {"Audit", "/audit", auditors}} {
		if v.may(n.roles...) {
			f.nav = append(f.nav, navItem{n.name, Root + n.path, out.nav == n.name})
		}
	}
	return f
}

// search leads to what a text names: a registration, a case, an account, or accounts whose names begin with it.
func search(v *visit) (view, error) {
	q := strings.TrimSpace(v.r.FormValue("q"))
	to := func(page, id string) (view, error) { return view{to: Root + page + url.PathEscape(id)}, nil }
	found := func(err error) bool { return err == nil }
	ctx := v.ctx()
	switch {
	case q == "":
		return view{to: Root + "/"}, nil
	case strings.HasPrefix(q, deal.CaseID) && v.may(reviewers...):
		return to("/cases/", q)
	case strings.HasPrefix(q, deal.RegistrationID) && v.may(reviewers...):
		return to("/registrations/", q)
	}
	if n, err := strconv.ParseUint(strings.TrimPrefix(q, "#"), 10, 64); err == nil && strings.HasPrefix(q, "#") && v.may(auditors...) {
		return view{to: fmt.Sprintf("%s/audit/%d", Root, n)}, nil
	}
	if v.may(reviewers...) {
		for _, f := range []store.RegistrationFilter{{Number: strings.ToUpper(q)}, {ExternalID: q}} {
			f.Limit, f.AsOf = 2, v.now
			switch rs, err := v.store().Registrations(ctx, f); {
			case err != nil:
				return view{}, err
			case len(rs) == 1:
				return to("/registrations/", rs[0].ID)
			}
		}
		if _, err := v.store().Record(ctx, deal.Partners, q); found(err) {
			return view{to: Root + "/registrations?partner_id=" + url.QueryEscape(q)}, nil
		} else if !errors.Is(err, deal.ErrNotFound) {
			return view{}, err
		}
	}
	if _, err := v.store().Record(ctx, deal.Accounts, q); found(err) {
		return to("/accounts/", q)
	} else if !errors.Is(err, deal.ErrNotFound) {
		return view{}, err
	}
	return view{to: Root + "/accounts?q=" + url.QueryEscape(q)}, nil
}
