package policy

import (
	"strings"
	"time"
)

// Later returns by when what is left at paused of a term that would be over at due is over, when its clock stands still from paused until
// now. What was given in business hours or days has lost business hours and gets those back, and a business day still ends at its close.
func (c Calendar) Later(due, paused, now time.Time, term string) time.Time {
	days := strings.HasSuffix(term, "bd")
	if !days && !strings.HasSuffix(term, "bh") {
		return due.Add(now.Sub(paused))
	}
	zone := c.zone
	if zone == nil {
		zone = time.UTC
	}
	end := c.addHours(now.In(zone), c.worked(paused.In(zone), due.In(zone)))
	if _, shut, works := c.hours(end); days && works && end.Before(shut) {
		end = shut
	}
	return end.UTC()
}

// worked returns the working time in [from, to).
func (c Calendar) worked(from, to time.Time) (sum time.Duration) {
	for t := from; t.Before(to); t = nextDay(t) {
		open, shut, works := c.hours(t)
		if open.Before(t) {
			open = t
		}
		if to.Before(shut) {
			shut = to
		}
		if works && open.Before(shut) {
			sum += shut.Sub(open)
		}
	}
	return sum
}
