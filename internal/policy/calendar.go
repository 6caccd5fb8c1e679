package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Calendar says when the programme's people work. Business hours are counted within working hours of working days;
// a business day is one working day, whatever its hours.
type Calendar struct {
	zone     *time.Location // the programme's
	work     *time.Location // of the people who decide; nil: the programme's
	days     [7]bool
	from, to time.Duration // of the day
	regional []string      // holidays of regions; these and all, YYYY-MM-DD, sorted
	listed   []string      // holidays the document lists
	holidays []string
}

// keep takes the regions' holidays, besides those the document lists.
func (c *Calendar) keep(regional []string) {
	c.regional = regional
	c.holidays = slices.Concat(c.listed, regional)
	slices.Sort(c.holidays)
}

// A term as policies write it: 4bh (business hours), 2bd (business days), 36h, 30d, 6m (calendar months).
var termForm = regexp.MustCompile(`^(\d{1,4})(bh|bd|h|d|m)$`)

const termHelp = "write a number and a unit: 4bh (business hours), 2bd (business days), 36h, 30d or 6m (calendar months)"

// Add returns the instant a term after t: 4bh, 2bd, 36h, 30d or 6m. Hours are hours of the clock; days and months are
// of the calendar in the programme's zone, and end at the same time of day (6m from 31 August is the end of
// February). Business hours and days are those of the zone of the people who decide. Business days end at the close of the last of them: a
// term that begins outside working hours begins with the next working day.
func (c Calendar) Add(t time.Time, term string) (time.Time, error) {
	m := termForm.FindStringSubmatch(term)
	if m == nil {
		return time.Time{}, fmt.Errorf("%q is not a term; %s", term, termHelp)
	}
	n, _ := strconv.Atoi(m[1])
	zone := c.zone
	if zone == nil {
		zone = time.UTC
	}
	local := t.In(zone)
	switch m[2] {
	case "h":
		return t.Add(time.Duration(n) * time.Hour).UTC(), nil
	case "d":
		return local.AddDate(0, 0, n).UTC(), nil
	case "m":
		return addMonths(local, n).UTC(), nil
	}
	if c.work != nil {
		local = t.In(c.work)
	}
	if m[2] == "bh" {
		return c.addHours(local, time.Duration(n)*time.Hour).UTC(), nil
	}
	return c.addDays(local, n).UTC(), nil
}

// addMonths adds calendar months and stays within the month it lands in.
func addMonths(t time.Time, n int) time.Time {
	out := t.AddDate(0, n, 0)
	if out.Day() != t.Day() {
		return out.AddDate(0, 0, -out.Day())
	}
	return out
}

// hours returns the working hours of t's day, and whether there are any.
func (c Calendar) hours(t time.Time) (open, shut time.Time, works bool) {
	_, holiday := slices.BinarySearch(c.holidays, t.Format(time.DateOnly))
	return onDay(t, 0, c.from), onDay(t, 0, c.to), c.days[t.Weekday()] && !holiday && c.to > c.from
}

// onDay returns the first instant at which the clock of t's zone shows the time of day, or a later one, on the day that lies n days after t's.
func onDay(t time.Time, n int, of time.Duration) time.Time {
	y, m, d := t.Date()
	hour, minute := int(of/time.Hour), int(of%time.Hour/time.Minute)
	at := time.Date(y, m, d+n, hour, minute, 0, 0, t.Location())
	_, offset := at.Zone()
	switch shows := at.Add(time.Duration(offset) * time.Second).UTC(); shows.Compare(time.Date(y, m, d+n, hour, minute, 0, 0, time.UTC)) {
	case -1: // that time is skipped: clocks go forward
		_, at = at.ZoneBounds()
	case 1:
		at, _ = at.ZoneBounds()
	}
	return at
}

// maxIdle bounds the search for the next working day in a calendar that is almost all holidays.
const maxIdle = 1000

func nextDay(t time.Time) time.Time { return onDay(t, 1, 0) }

func (c Calendar) addHours(t time.Time, left time.Duration) time.Time {
	for idle := 0; idle < maxIdle; t = nextDay(t) {
		open, shut, works := c.hours(t)
		if !works || !t.Before(shut) {
			idle++
			continue
		}
		idle = 0
		if t.Before(open) {
			t = open
		}
		has := shut.Sub(t)
		if has >= left {
			return t.Add(left)
		}
		left -= has
	}
	return t
}

func (c Calendar) addDays(t time.Time, left int) time.Time {
	if left == 0 {
		return t
	}
	// The rest of a working day that has begun does not count as a day: two business days from Monday noon end at
	// the close of Wednesday.
	if open, _, works := c.hours(t); works && !t.Before(open) {
		t = nextDay(t)
	}
	for idle := 0; idle < maxIdle; t = nextDay(t) {
		_, shut, works := c.hours(t)
		if !works {
			idle++
			continue
		}
		idle = 0
		if left--; left == 0 {
			return shut
		}
	}
	return t
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// calendar checks and builds the calendar of a policy; Monday to Friday, 9 to 17, where the document is silent.
func (c *compiler) calendar() Calendar {
	d := &c.doc.Settings.Calendar
	cal := Calendar{zone: c.zone, from: 9 * time.Hour, to: 17 * time.Hour}
	if len(d.Days) == 0 {
		d.Days = weekdays[1:6]
	}
	for i, day := range d.Days {
		w := slices.Index(weekdays, day)
		if w < 0 {
			c.add(path("settings", "calendar", "days", i), "%q is not one of %s", day, strings.Join(weekdays, ", "))
			continue
		}
		cal.days[w] = true
	}
	if d.Hours != "" {
		var ok bool
		if cal.from, cal.to, ok = parseHours(d.Hours); !ok {
			c.add(path("settings", "calendar", "hours"), "%q is not hours of a day such as 09:00..17:00", d.Hours)
		}
	}
	if d.Timezone != "" {
		var err error
		if cal.work, err = time.LoadLocation(d.Timezone); err != nil || d.Timezone == "Local" {
			c.add(path("settings", "calendar", "timezone"), "%q is not a time zone such as America/New_York; leave it out for settings.timezone", d.Timezone)
			cal.work = nil
		}
	}
	for i, r := range d.Regions {
		if holidaysOf[r] == nil && !c.saved {
			c.add(path("settings", "calendar", "regions", i), "%q is not a region whose holidays are known; list its holidays by date, or write one of %s", r, knownRegions(r))
		}
	}
	for i, h := range d.Holidays {
		if _, err := time.Parse(time.DateOnly, h); err != nil {
			c.add(path("settings", "calendar", "holidays", i), "%q is not a date as YYYY-MM-DD", h)
		}
	}
	cal.listed = slices.Clone(d.Holidays)
	if !c.saved {
		c.dates = regionHolidays(d.Regions)
	}
	cal.keep(c.dates)
	return cal
}

func parseHours(s string) (from, to time.Duration, ok bool) {
	a, b, found := strings.Cut(s, "..")
	if !found {
		return 0, 0, false
	}
	clock := func(s string) (time.Duration, bool) {
		if s == "24:00" {
			return 24 * time.Hour, true
		}
		t, err := time.Parse("15:04", s)
		return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, err == nil
	}
	from, ok1 := clock(a)
	to, ok2 := clock(b)
	return from, to, ok1 && ok2 && from < to
}
