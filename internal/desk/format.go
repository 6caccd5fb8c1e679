package desk

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
)

// How things read.

// money writes an amount for a reader: no cents where there are none, thousands apart.
func money(m deal.Money) string {
	if m.IsZero() {
		return ""
	}
	s := m.Value.StringFixed(2)
	whole, cents, _ := strings.Cut(s, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "\u202f" + whole[i:]
	}
	if cents != "00" {
		whole += "." + cents
	}
	return m.Currency + "\u00a0" + sign + whole
}

// count writes a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(uint64(n)) + " " + many
}

func thousands(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// percent writes a probability. Only what is exactly certain reads 100 %.
func percent(p float64) string {
	n := math.Round(p * 100)
	switch {
	case p > 0 && n == 0:
		return "<\u202f1\u202f%"
	case p < 1 && n == 100:
		return ">\u202f99\u202f%"
	}
	return strconv.Itoa(int(n)) + "\u202f%"
}

// signed writes a weight with its sign.
func signed(w float64) string {
	if math.Abs(w) < 0.05 {
		return "0"
	}
	return strings.Replace(fmt.Sprintf("%+.1f", w), "-", "\u2212", 1)
}

// instant is a time as pages show it: in the programme's zone, with the exact time behind it.
type instant struct {
	text, exact, machine string
}

func (v *visit) at(t time.Time) instant {
	if t.IsZero() {
		return instant{}
	}
	in := t.In(v.zone)
	text := in.Format("2 Jan 2006, 15:04")
	if y, m, d := in.Date(); func() bool { a, b, c := v.now.In(v.zone).Date(); return a == y && b == m && c == d }() {
		text = "today " + in.Format("15:04")
	}
	return instant{text, in.Format("Monday 2 January 2006, 15:04:05 MST"), t.UTC().Format(time.RFC3339Nano)}
}

// day is a time of which only the day matters: the last day of a window that ends at a midnight is the day before.
func (v *visit) lastDay(end time.Time) instant {
	if end.IsZero() {
		return instant{}
	}
	i := v.at(end)
	in := end.In(v.zone)
	if in.Hour() == 0 && in.Minute() == 0 && in.Second() == 0 {
		in = in.AddDate(0, 0, -1)
	}
	i.text = in.Format("2 Jan 2006")
	return i
}

func (v *visit) day(t time.Time) instant {
	i := v.at(t)
	if !t.IsZero() {
		i.text = t.In(v.zone).Format("2 Jan 2006")
	}
	return i
}

// date is a day of the calendar.
func (v *visit) date(d deal.Date) instant {
	if d.IsZero() {
		return instant{}
	}
	return instant{d.Format("2 Jan 2006"), d.Format("Monday 2 January 2006"), d.String()}
}

// span is a length of time in its largest unit that says something.
func spanWords(d time.Duration) string {
	if d < 0 {
		d = -d
	}
	switch {
	case d < time.Minute:
		return "less than a minute"
	case d < time.Hour:
		return count(int(d/time.Minute), "minute", "minutes")
	case d < 48*time.Hour:
		return count(int(d/time.Hour), "hour", "hours")
	}
	return count(int(d/(24*time.Hour)), "day", "days")
}

// clock is the time a case has left.
type clock struct {
	words string
	tone  string // late, soon or calm
	due   instant
	used  int // percent of the time that is over
}

func (v *visit) clock(opened, due time.Time) clock {
	if due.IsZero() {
		return clock{words: "no due time", tone: "calm"}
	}
	c := clock{due: v.at(due), tone: "calm"}
	left, whole := due.Sub(v.now), due.Sub(opened)
	if whole > 0 {
		c.used = int(min(100, max(0, 100*(1-left.Seconds()/whole.Seconds()))))
	}
	switch {
	case left <= 0:
		c.words, c.tone, c.used = spanWords(left)+" late", "late", 100
	case left < 4*time.Hour || whole > 0 && left < whole/5:
		c.words, c.tone = spanWords(left)+" left", "soon"
	default:
		c.words = spanWords(left) + " left"
	}
	return c
}

// words turns a code into words: own_duplicate, DIRECT_TEAM.
func words(code string) string {
	return strings.ReplaceAll(strings.ToLower(code), "_", " ")
}

// title begins a text with a capital.
func title(s string) string {
	if s == "" {
		return s
	}
	r := []rune(s)
	return strings.ToUpper(string(r[:1])) + string(r[1:])
}

// tone groups statuses by what they mean for whoever filed.
func tone(s deal.Status) string {
	switch s {
	case deal.StatusProtected, deal.StatusWon:
		return "ok"
	case deal.StatusConditional, deal.StatusEscalated, deal.StatusReturned, deal.StatusReceived:
		return "warn"
	case deal.StatusRevoked, deal.StatusLost, deal.StatusExpired:
		return "bad"
	}
	return "mute"
}

// outcome says in words what a decision came to.
func outcome(d *deal.Decision) string {
	switch {
	case d.Outcome == deal.Protect:
		return "protect"
	case d.Route != nil:
		return words(string(d.Route.Disposition)) + " to " + words(string(d.Route.To))
	case d.Case != nil:
		return "escalate to " + d.Case.Queue
	}
	return string(d.Outcome)
}

// lines says which product lines a scope has.
func lines(list []string) string {
	if len(list) == 0 {
		return "all lines"
	}
	return strings.Join(list, ", ")
}

// several joins names for a sentence.
func several(names []string) string {
	names = slices.Compact(slices.Clone(names))
	switch n := len(names); n {
	case 0:
		return ""
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}
