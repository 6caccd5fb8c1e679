package engine

import (
	"testing"
	"time"
	_ "time/tzdata" // the zones are part of the test

	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func instant(t *testing.T, s string) time.Time {
	t.Helper()
	x, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestWindowEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name              string
		terms             deal.Terms
		received, decided string
		forecast          string
		zone              string
		want              string
	}{
		{"days from the filing", deal.Terms{Anchor: "submission", Days: 90}, "2027-03-01T09:00:00Z", "2027-03-04T09:00:00Z", "", "UTC", "2027-05-31T00:00:00Z"},
		{"by its other name", deal.Terms{Anchor: "registration", Days: 90}, "2027-03-01T09:00:00Z", "2027-03-04T09:00:00Z", "", "UTC", "2027-05-31T00:00:00Z"},
		{"days from the decision", deal.Terms{Anchor: "approval", Days: 90}, "2027-03-01T09:00:00Z", "2027-03-04T09:00:00Z", "", "UTC", "2027-06-03T00:00:00Z"},
		{"days from the forecast", deal.Terms{Anchor: "expected_close_date", Days: 30}, "2027-03-01T09:00:00Z", "2027-03-04T09:00:00Z", "2027-06-30", "UTC", "2027-07-31T00:00:00Z"},
		{"the day of the forecast", deal.Terms{Anchor: "expected_close_date"}, "2027-03-01T09:00:00Z", "2027-03-01T09:00:00Z", "2027-06-30", "America/Los_Angeles", "2027-07-01T07:00:00Z"},
		{"no forecast", deal.Terms{Anchor: "expected_close_date", Days: 30}, "2027-03-01T09:00:00Z", "2027-03-04T09:00:00Z", "", "UTC", "2027-04-04T00:00:00Z"},
		{"a forecast that is over", deal.Terms{Anchor: "expected_close_date", Days: 1}, "2027-03-01T09:00:00Z", "2027-03-04T09:00:00Z", "2027-03-01", "UTC", "2027-03-05T00:00:00Z"},
		{"a filing long ago", deal.Terms{Anchor: "submission", Days: 30}, "2027-01-01T09:00:00Z", "2027-03-04T09:00:00Z", "", "Europe/Berlin", "2027-03-04T23:00:00Z"},

		{"months", deal.Terms{Anchor: "approval", Months: 6}, "2027-03-15T09:00:00Z", "2027-03-15T09:00:00Z", "", "UTC", "2027-09-16T00:00:00Z"},
		{"31 August and six months", deal.Terms{Anchor: "approval", Months: 6}, "2026-08-31T09:00:00Z", "2026-08-31T09:00:00Z", "", "UTC", "2027-03-01T00:00:00Z"},
		{"before a leap day", deal.Terms{Anchor: "approval", Months: 6}, "2027-08-31T09:00:00Z", "2027-08-31T09:00:00Z", "", "UTC", "2028-03-01T00:00:00Z"},
		{"30 August of a common year", deal.Terms{Anchor: "approval", Months: 6}, "2026-08-30T09:00:00Z", "2026-08-30T09:00:00Z", "", "UTC", "2027-03-01T00:00:00Z"},
		{"28 August", deal.Terms{Anchor: "approval", Months: 6}, "2026-08-28T09:00:00Z", "2026-08-28T09:00:00Z", "", "UTC", "2027-03-01T00:00:00Z"},
		{"29 February and a year", deal.Terms{Anchor: "approval", Months: 12}, "2028-02-29T09:00:00Z", "2028-02-29T09:00:00Z", "", "UTC", "2029-03-01T00:00:00Z"},
		{"over the end of a year", deal.Terms{Anchor: "approval", Months: 3}, "2027-11-30T09:00:00Z", "2027-11-30T09:00:00Z", "", "UTC", "2028-03-01T00:00:00Z"},
		{"months and days", deal.Terms{Anchor: "approval", Months: 1, Days: 1}, "2027-01-31T09:00:00Z", "2027-01-31T09:00:00Z", "", "UTC", "2027-03-02T00:00:00Z"},

		// The day is the programme's: at 23:30 in London it is the next one in Berlin.
		{"already tomorrow", deal.Terms{Anchor: "approval"}, "2027-03-01T23:30:00Z", "2027-03-01T23:30:00Z", "", "Europe/Berlin", "2027-03-02T23:00:00Z"},
		{"still yesterday", deal.Terms{Anchor: "approval"}, "2027-03-02T04:00:00Z", "2027-03-02T04:00:00Z", "", "America/New_York", "2027-03-02T05:00:00Z"},
		{"31 August in Auckland", deal.Terms{Anchor: "approval", Months: 6}, "2026-08-30T13:00:00Z", "2026-08-30T13:00:00Z", "", "Pacific/Auckland", "2027-02-28T11:00:00Z"},
		// Berlin: 28 March 2027 has 23 hours, 31 October has 25.
		{"into summer time", deal.Terms{Anchor: "approval", Days: 30}, "2027-03-01T09:00:00Z", "2027-03-01T09:00:00Z", "", "Europe/Berlin", "2027-03-31T22:00:00Z"},
		{"the short day", deal.Terms{Anchor: "approval"}, "2027-03-28T00:30:00Z", "2027-03-28T00:30:00Z", "", "Europe/Berlin", "2027-03-28T22:00:00Z"},
		{"the day before it", deal.Terms{Anchor: "approval"}, "2027-03-27T12:00:00Z", "2027-03-27T12:00:00Z", "", "Europe/Berlin", "2027-03-27T23:00:00Z"},
		{"the long day", deal.Terms{Anchor: "approval"}, "2027-10-30T22:30:00Z", "2027-10-30T22:30:00Z", "", "Europe/Berlin", "2027-10-31T23:00:00Z"},
		{"into winter time", deal.Terms{Anchor: "approval", Months: 1}, "2027-10-15T09:00:00Z", "2027-10-15T09:00:00Z", "", "Europe/Berlin", "2027-11-15T23:00:00Z"},
		// Where clocks change at midnight a day may begin at one, and a midnight may come twice.
		{"a day without midnight", deal.Terms{Anchor: "approval"}, "2024-09-07T15:00:00Z", "2024-09-07T15:00:00Z", "", "America/Santiago", "2024-09-08T04:00:00Z"},
		{"midnight twice", deal.Terms{Anchor: "approval"}, "2024-11-02T15:00:00Z", "2024-11-02T15:00:00Z", "", "America/Havana", "2024-11-03T04:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var forecast deal.Date
			if c.forecast != "" {
				var err error
				if forecast, err = deal.ParseDate(c.forecast); err != nil {
					t.Fatal(err)
				}
			}
			z := zone(t, c.zone)
			got := windowEnd(c.terms, instant(t, c.received), instant(t, c.decided), forecast, z)
			if want := instant(t, c.want); !got.Equal(want) || got.Location() != time.UTC {
				t.Errorf("ends at %s (%s there), want %s (%s)", got, got.In(z), want, want.In(z))
			}
		})
	}
}

func TestConvert(t *testing.T) {
	t.Parallel()
	day := func(s string) deal.Date {
		d, err := deal.ParseDate(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	v := newView(nil)
	for _, r := range []*deal.Rate{
		{Date: day("2027-02-01"), From: "USD", To: "EUR", Rate: "0.92"},
		{Date: day("2027-01-01"), From: "USD", To: "EUR", Rate: "0.90"}, // not in order
		{Date: day("2027-01-01"), From: "EUR", To: "GBP", Rate: "0.80"},
		{Date: day("2027-01-01"), From: "USD", To: "JPY", Rate: "125"},
		{Date: day("2027-01-01"), From: "CHF", To: "SEK", Rate: "12"},
		{Date: day("2027-01-01"), From: "EUR", To: "NOK", Rate: "10"},
		{Date: day("2027-01-01"), From: "NOK", To: "EUR", Rate: "0.11"}, // another bank's
		{Date: day("2027-03-01"), From: "DKK", To: "EUR", Rate: "0.13"},
	} {
		v.putRecord(r)
	}
	for _, c := range []struct {
		name     string
		value    string
		from, to string
		at       string
		want     float64
		ok       bool
	}{
		{"its own currency", "100", "EUR", "EUR", "2027-01-15T00:00:00Z", 100, true},
		{"its own currency, before all rates", "100", "XAU", "XAU", "1999-01-01T00:00:00Z", 100, true},
		{"direct", "100", "USD", "EUR", "2027-01-15T12:00:00Z", 90, true},
		{"the last instant of a rate", "100", "USD", "EUR", "2027-01-31T23:59:59Z", 90, true},
		{"the first instant of the next", "100", "USD", "EUR", "2027-02-01T00:00:00Z", 92, true},
		{"long after", "100", "USD", "EUR", "2029-01-01T00:00:00Z", 92, true},
		{"before the first", "100", "USD", "EUR", "2026-12-31T23:59:59Z", 0, false},
		{"inverse", "100", "GBP", "EUR", "2027-01-15T00:00:00Z", 125, true},
		{"direct before inverse", "100", "NOK", "EUR", "2027-01-15T00:00:00Z", 11, true},
		{"direct before inverse, the other way", "100", "EUR", "NOK", "2027-01-15T00:00:00Z", 1000, true},
		{"through a third", "12500", "JPY", "EUR", "2027-01-15T00:00:00Z", 90, true},
		{"through a third, at its day", "12500", "JPY", "EUR", "2027-02-01T00:00:00Z", 92, true},
		{"through a third, both inverse", "80", "GBP", "USD", "2027-01-15T00:00:00Z", 111.1111111111, true},
		{"no way", "100", "CHF", "EUR", "2027-01-15T00:00:00Z", 0, false},
		{"no such currency", "100", "XXX", "EUR", "2027-01-15T00:00:00Z", 0, false},
		{"not yet", "100", "DKK", "EUR", "2027-02-28T23:59:59Z", 0, false},
		{"from today on", "100", "DKK", "EUR", "2027-03-01T00:00:00Z", 13, true},
		{"nothing", "0", "", "EUR", "2027-01-15T00:00:00Z", 0, false},
		{"an amount of zero", "0", "EUR", "EUR", "2027-01-15T00:00:00Z", 0, true},
		{"exactly", "0.1", "EUR", "EUR", "2027-01-15T00:00:00Z", 0.1, true},
	} {
		got, ok := v.convert(deal.Money{Value: decimal.RequireFromString(c.value), Currency: c.from}, c.to, instant(t, c.at))
		if ok != c.ok || got < c.want-1e-9 || got > c.want+1e-9 {
			t.Errorf("%s: %s %s is %v %s, %t; want %v, %t", c.name, c.value, c.from, got, c.to, ok, c.want, c.ok)
		}
	}
}

// TestConvertAtSubmission: the rate is that of the day of filing, and a deal's amount is its positions' where it gives
// no other.
func TestConvertAtSubmission(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	before, _ := deal.ParseDate("2027-02-01")
	after, _ := deal.ParseDate("2027-03-02")
	b.put(&deal.Rate{Date: before, From: "USD", To: "EUR", Rate: "0.5"}, &deal.Rate{Date: after, From: "USD", To: "EUR", Rate: "0.25"}, &deal.Rate{Date: after, From: "CHF", To: "EUR", Rate: "2"})
	positions := func(currencies ...string) func(*deal.Filing) {
		return func(f *deal.Filing) {
			f.Amount = deal.Money{}
			f.Products = nil
			for _, c := range currencies {
				f.Products = append(f.Products, deal.Product{SKU: "SKU-network", Amount: deal.Money{Value: decimal.New(1000, 0), Currency: c}})
			}
		}
	}
	for _, c := range []struct {
		name    string
		change  func(*deal.Filing)
		amount  any // nil: not known
		missing any
		later   bool
	}{
		{"the day before the rate changes", amount(1000, "USD"), 500.0, nil, false},
		{"no rate yet", amount(1000, "CHF"), nil, true, false},
		{"positions", positions("USD", "USD"), 1000.0, nil, false},
		{"positions without a rate", positions("CHF"), nil, true, false},
		{"positions of two currencies", positions("USD", "EUR"), 1500.0, nil, false},
		{"positions of two currencies, one without a rate", positions("USD", "CHF"), nil, true, false},
		{"positions worth more than is stated", func(f *deal.Filing) {
			positions("USD", "USD")(f)
			f.Amount = deal.Money{Value: decimal.New(900, 0), Currency: "EUR"}
		}, 1000.0, nil, false},
		{"positions worth less than is stated", func(f *deal.Filing) {
			positions("USD")(f)
			f.Amount = deal.Money{Value: decimal.New(900, 0), Currency: "EUR"}
		}, 900.0, nil, false},
		{"positions without a rate beside what is stated", func(f *deal.Filing) {
			positions("CHF")(f)
			f.Amount = deal.Money{Value: decimal.New(900, 0), Currency: "EUR"}
		}, nil, true, false},
		{"the day the rate changes", amount(1000, "USD"), 250.0, nil, true},
		{"a rate now", amount(1000, "CHF"), 2000.0, nil, true},
	} {
		b.clock.set(start)
		if c.later {
			b.clock.set(after.Time)
		}
		d := b.foreseen(by("P-1", zanzibar, c.change))
		if d.Facts["reg.amount"] != c.amount || d.Facts["reg.rate_missing"] != c.missing {
			t.Errorf("%s: amount %v, rate missing %v; want %v, %v", c.name, d.Facts["reg.amount"], d.Facts["reg.rate_missing"], c.amount, c.missing)
		}
	}
}
