package policy

import (
	"testing"
	"time"
)

// A clock that stood still gets back what it lost, in the time it was given in.
func TestLater(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	c := Calendar{zone: zone, days: [7]bool{false, true, true, true, true, true, false}, from: 9 * time.Hour, to: 17 * time.Hour, holidays: []string{"2027-03-29"}}
	at := func(s string) time.Time {
		t, err := time.ParseInLocation("01-02 15:04", s, zone)
		if err != nil {
			panic(err)
		}
		return time.Date(2027, t.Month(), t.Day(), t.Hour(), t.Minute(), 0, 0, zone)
	}
	for _, x := range []struct{ term, due, paused, now, want string }{
		{"4bh", "03-01 14:00", "03-01 11:00", "03-01 11:30", "03-01 14:30"}, // Monday
		{"4bh", "03-01 14:00", "03-01 11:00", "03-01 20:00", "03-02 12:00"},
		{"4bh", "03-01 14:00", "03-01 11:00", "03-06 08:00", "03-08 12:00"}, // a Saturday: from Monday on
		{"4bh", "03-02 10:00", "03-01 18:00", "03-02 08:00", "03-02 10:00"}, // an evening and a morning cost nothing
		{"2bd", "03-03 17:00", "03-01 12:00", "03-01 12:00", "03-03 17:00"},
		{"2bd", "03-03 17:00", "03-02 10:00", "03-02 16:00", "03-04 17:00"}, // to the close of the day in which it is over
		{"2bd", "03-03 17:00", "03-03 16:30", "03-05 09:00", "03-05 17:00"},
		{"2bd", "03-25 17:00", "03-25 09:00", "03-26 17:00", "03-30 17:00"}, // over a weekend, a holiday and the change of clocks
		{"36h", "03-02 20:00", "03-01 20:00", "03-03 21:00", "03-04 21:00"},
		{"10d", "03-11 09:00", "03-02 09:00", "03-04 09:00", "03-13 09:00"},
	} {
		if got := c.Later(at(x.due), at(x.paused), at(x.now), x.term); !got.Equal(at(x.want)) {
			t.Errorf("%s due %s, paused at %s, goes on at %s: %s, want %s", x.term, x.due, x.paused, x.now, got.In(zone).Format("01-02 15:04"), x.want)
		}
	}
}
