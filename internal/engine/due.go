package engine

import (
	"strconv"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
)

// Business hours of the programme's zone. Saturday and Sunday are free.
const (
	opens  = 9
	closes = 17
)

// dueAt returns when a clock of the given length runs out: 90m, 4h, 10d by the calendar; 4bh, 2bd in business hours
// of the zone. An empty or unreadable length is no clock.
func dueAt(from time.Time, length string, zone *time.Location) time.Time {
	i := strings.IndexFunc(length, func(r rune) bool { return r < '0' || r > '9' })
	if i <= 0 {
		return time.Time{}
	}
	n, err := strconv.Atoi(length[:i])
	if err != nil || n > 100_000 {
		return time.Time{}
	}
	switch length[i:] {
	case "m":
		return from.Add(time.Duration(n) * time.Minute)
	case "h":
		return from.Add(time.Duration(n) * time.Hour)
	case "d":
		return from.AddDate(0, 0, n)
	case "bh":
		return addBusiness(from, time.Duration(n)*time.Hour, zone)
	case "bd":
		return addBusiness(from, time.Duration(n)*(closes-opens)*time.Hour, zone)
	}
	return time.Time{}
}

// addBusiness walks d of business time from t on.
func addBusiness(t time.Time, d time.Duration, zone *time.Location) time.Time {
	t = t.In(zone)
	for {
		y, m, day := t.Date()
		start, end := time.Date(y, m, day, opens, 0, 0, 0, zone), time.Date(y, m, day, closes, 0, 0, 0, zone)
		if wd := t.Weekday(); wd != time.Saturday && wd != time.Sunday && t.Before(end) {
			if t.Before(start) {
				t = start
			}
			if left := end.Sub(t); d <= left {
				return t.Add(d).UTC()
			}
			d -= end.Sub(t)
		}
		t = time.Date(y, m, day+1, 0, 0, 0, 0, zone)
	}
}

// openCase makes the case of an escalated registration.
func openCase(r *deal.Registration, d *deal.Decision, zone *time.Location) deal.Case {
	return deal.Case{
		ID: r.CaseID, RegistrationID: r.ID, Status: "open", Terms: *d.Case, ReasonCodes: d.ReasonCodes, Summary: d.Texts.Internal,
		OpenedAt: d.At, DueAt: dueAt(d.At, d.Case.Decide, zone), Version: d.Sequence,
	}
}
