package desk

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

const (
	rowsPerPage = 50
	// maxCases is how many cases of one status the queue looks through to find those that are due first. Beyond it the page says
	// so, and filters by queue reach the rest.
	maxCases  = 20_000
	readAhead = 500
)

// queueView is the page of cases.
type queueView struct {
	rows    []caseRow
	tabs    []choice // open, resolved
	queues  []choice
	dues    []choice
	whose   []choice
	total   int
	partial bool // there are more than were looked through
	open    bool
	prev    string
	next    string
	self    string
	empty   string
}

// choice is one value of a filter, with the address that chooses it.
type choice struct {
	name, href string
	n          int
	counted    bool
	current    bool
}

type caseRow struct {
	c        deal.Case
	href     string
	customer string
	place    string
	partner  string
	amount   string
	lines    string
	assignee string
	clock    clock
	why      sentence
	outcome  string
	waits    string // for whom it waits, but for a decision
	others   bool   // others decide it than who looks
}

// cases reads the cases of a filter, at most maxCases.
func (v *visit) cases(ctx context.Context, f store.CaseFilter) (out []deal.Case, partial bool, err error) {
	f.Page = store.Page{Limit: readAhead}
	for {
		some, err := v.store().Cases(ctx, f)
		if err != nil {
			return nil, false, err
		}
		out = append(out, some...)
		if len(some) < readAhead {
			return out, false, nil
		}
		if len(out) >= maxCases {
			return out, true, nil
		}
		f.After = store.CaseKey(&some[len(some)-1])
	}
}

// dueFirst orders cases by when they are due; those without a due time come last, and the older first.
func dueFirst(a, b deal.Case) int {
	return cmp.Or(boolCompare(a.DueAt.IsZero(), b.DueAt.IsZero()), a.DueAt.Compare(b.DueAt), a.OpenedAt.Compare(b.OpenedAt), strings.Compare(a.ID, b.ID))
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// within reports whether a case is due within what the filter says.
func (v *visit) within(c deal.Case, due string) bool {
	end := v.now
	switch due {
	case "":
		return true
	case "late":
	case "today":
		y, m, d := v.now.In(v.zone).Date()
		end = time.Date(y, m, d+1, 0, 0, 0, 0, v.zone)
	case "week":
		end = v.now.AddDate(0, 0, 7)
	}
	return !c.DueAt.IsZero() && !c.DueAt.After(end)
}

func (v *visit) assigned(c deal.Case, to string) bool {
	switch to {
	case "":
		return true
	case "me":
		return c.Assignee != "" && c.Assignee == v.key.PersonID
	case "none":
		return c.Assignee == ""
	case "able":
		return v.decides(&c)
	}
	return c.Assignee == to
}

// decides reports whether who looks may decide the case.
func (v *visit) decides(c *deal.Case) bool {
	return v.key.PersonID != "" && v.may(doers...) && v.d.engine.MayDecide(c, v.actor())
}

func queuePage(v *visit) (view, error) {
	q := v.r.URL.Query()
	for _, name := range []string{"status", "queue", "due", "assignee", "page"} {
		if len(q[name]) > 1 {
			return view{}, badRequest("the filter " + name + " is given twice")
		}
	}
	status := cmp.Or(q.Get("status"), "open")
	if status != "open" && status != "resolved" {
		return view{}, badRequest("status is open or resolved")
	}
	if due := q.Get("due"); due != "" && due != "late" && due != "today" && due != "week" {
		return view{}, badRequest("due is late, today or week")
	}
	all, partial, err := v.cases(v.ctx(), store.CaseFilter{Status: status})
	if err != nil {
		return view{}, err
	}
	out := queueView{open: status == "open", partial: partial, self: v.r.URL.RequestURI()}
	choose := func(name, value string) string {
		to := url.Values{}
		for _, k := range []string{"status", "queue", "due", "assignee"} {
			if x := q.Get(k); x != "" {
				to.Set(k, x)
			}
		}
		if to.Del(name); value != "" {
			to.Set(name, value)
		}
		return pathWith(Root+"/cases", to)
	}
	for _, s := range []string{"open", "resolved"} {
		out.tabs = append(out.tabs, choice{name: title(s), href: pathWith(Root+"/cases", url.Values{"status": {s}}), current: s == status})
	}
	queues := map[string]int{}
	var shown []deal.Case
	dues := map[string]int{}
	whose := map[string]int{}
	for _, c := range all {
		in, due, mine := q.Get("queue") == "" || c.Terms.Queue == q.Get("queue"), v.within(c, q.Get("due")), v.assigned(c, q.Get("assignee"))
		if due && mine {
			queues[c.Terms.Queue]++
		}
		for _, d := range []string{"late", "today", "week"} {
			if in && mine && v.within(c, d) {
				dues[d]++
			}
		}
		for _, a := range []string{"me", "none", "able"} {
			if in && due && v.assigned(c, a) {
				whose[a]++
			}
		}
		if in && due && mine {
			shown = append(shown, c)
		}
	}
	if q.Get("queue") != "" {
		queues[q.Get("queue")] += 0
	}
	out.queues = append(out.queues, choice{name: "All queues", href: choose("queue", ""), current: q.Get("queue") == ""})
	for _, name := range sortedKeys(queues) {
		out.queues = append(out.queues, choice{cmp.Or(name, "no queue"), choose("queue", name), queues[name], true, q.Get("queue") == name})
	}
	if out.open {
		out.dues = append(out.dues, choice{name: "Any time", href: choose("due", ""), current: q.Get("due") == ""})
		for _, d := range [][2]string{{"late", "Late"}, {"today", "Due today"}, {"week", "Due in 7 days"}} {
			out.dues = append(out.dues, choice{d[1], choose("due", d[0]), dues[d[0]], true, q.Get("due") == d[0]})
		}
		out.whose = append(out.whose, choice{name: "Anybody's", href: choose("assignee", ""), current: q.Get("assignee") == ""},
			choice{"Nobody's", choose("assignee", "none"), whose["none"], true, q.Get("assignee") == "none"})
		if v.key.PersonID != "" {
			out.whose = append(out.whose, choice{"Mine", choose("assignee", "me"), whose["me"], true, q.Get("assignee") == "me"})
			if v.may(doers...) {
				out.whose = append(out.whose, choice{"For me to decide", choose("assignee", "able"), whose["able"], true, q.Get("assignee") == "able"})
			}
		}
	}
	if out.open {
		slices.SortFunc(shown, dueFirst)
	} else {
		slices.SortFunc(shown, func(a, b deal.Case) int { return cmp.Compare(b.Version, a.Version) })
	}
	out.total = len(shown)
	at, pageErr := strconv.Atoi(cmp.Or(q.Get("page"), "1"))
	if pageErr != nil || at < 1 {
		return view{}, badRequest("page is a number, from 1 on")
	}
	turn := func(n int) string {
		u, _ := url.Parse(choose("", ""))
		to := u.Query()
		if to.Set("page", strconv.Itoa(n)); n == 1 {
			to.Del("page")
		}
		return pathWith(Root+"/cases", to)
	}
	if at > 1 {
		out.prev = turn(at - 1)
	}
	from := min(len(shown), (at-1)*rowsPerPage)
	shown = shown[from:]
	if len(shown) > rowsPerPage {
		shown, out.next = shown[:rowsPerPage], turn(at+1)
	}
	for _, c := range shown {
		row, err := v.caseRow(c)
		if err != nil {
			return view{}, err
		}
		out.rows = append(out.rows, row)
	}
	switch {
	case len(all) == 0 && out.open:
		out.empty = "No case is open. A registration that a rule escalates opens one, and it appears here."
	case len(all) == 0:
		out.empty = "No case has been resolved yet."
	default:
		out.empty = "No case fits these filters."
	}
	return view{title: "Queue", nav: "Queue", body: queueBody(out)}, nil
}

func pathWith(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

func (v *visit) caseRow(c deal.Case) (caseRow, error) {
	r, d, _, err := v.d.engine.Registration(v.ctx(), c.RegistrationID)
	if err != nil {
		return caseRow{}, fmt.Errorf("case %s: %w", c.ID, err)
	}
	if d.Case == nil { // decided again since: what it was escalated for is in its history
		all, err := v.d.engine.Decisions(v.ctx(), r.ID)
		if err != nil {
			return caseRow{}, err
		}
		for i := range all {
			if all[i].Case != nil {
				d = all[i]
			}
		}
	}
	why, err := v.why(&r, &d)
	if err != nil {
		return caseRow{}, err
	}
	row := caseRow{c: c, href: Root + "/cases/" + c.ID, customer: r.Filing.Customer.Name, place: place(&r.Filing.Customer), partner: v.partner(r.Filing.PartnerID),
		amount: money(r.Filing.Amount), lines: lines(r.Filing.Lines()), assignee: v.person(c.Assignee), clock: v.clock(c.OpenedAt, c.DueAt), why: why, outcome: title(came(&c))}
	switch {
	case c.Status != deal.CaseOpen:
		return row, nil
	case c.Proposal != nil:
		row.waits = "proposed: a second person confirms"
	case !c.PausedAt.IsZero():
		row.waits = "the partner was asked"
	case !c.SnoozedUntil.IsZero():
		row.waits = "put off until " + v.at(c.SnoozedUntil).text
	}
	row.others = v.key.PersonID != "" && v.may(doers...) && !v.decides(&c)
	return row, nil
}

// place says where a customer is.
func place(c *deal.Customer) string {
	return joined(c.City, c.Country)
}

func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
