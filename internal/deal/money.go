package deal

import (
	"fmt"
	"strings"

	"github.com/shopspring/decimal"
	"golang.org/x/text/currency"
)

// maxMoney is the largest amount accepted: above any real deal in any currency, below what loses sense in a report.
var maxMoney = decimal.New(1, 15)

// Money is an exact amount in one currency (ISO 4217).
type Money struct {
	Value    decimal.Decimal `json:"value"`
	Currency string          `json:"currency"`
}

// IsZero reports whether no amount was given.
func (m Money) IsZero() bool { return m.Currency == "" && m.Value.IsZero() }

func (m Money) String() string { return m.Value.StringFixed(2) + " " + m.Currency }

// MarshalJSON writes the value as people write money, with at least two decimals.
func (m Money) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{"value":"%s","currency":%q}`, m.Value.StringFixed(max(2, -m.Value.Exponent())), m.Currency), nil
}

func (m *Money) normalise() { m.Currency = strings.ToUpper(strings.TrimSpace(m.Currency)) }

// Validate adds what is wrong with m, as the field called name. A zero Money is valid: nothing was given.
func (m Money) Validate(e *FieldErrors, name string) {
	if m.IsZero() {
		return
	}
	if unit, err := currency.ParseISO(m.Currency); err != nil || unit.String() != m.Currency {
		e.Add(name+".currency", "%q is not an ISO 4217 code such as EUR or USD", m.Currency)
	}
	switch {
	// Exponents come first: to compare 1e9999 or 1e-9999 with anything is to write out all its digits.
	case m.Value.Exponent() > 18 || m.Value.NumDigits() > 30:
		e.Add(name+".value", "has too many digits")
	case m.Value.Exponent() < -6:
		e.Add(name+".value", "has more than 6 decimals")
	case m.Value.IsNegative():
		e.Add(name+".value", "must not be negative")
	case m.Value.GreaterThan(maxMoney):
		e.Add(name+".value", "is larger than %s; check the amount and the currency", maxMoney)
	}
}

// ParseMoney reads a decimal amount as people and exports write it: 120000, 120000.00, 3.00E+07.
func ParseMoney(value, cur string) (Money, error) {
	d, err := decimal.NewFromString(value)
	if err != nil {
		return Money{}, fmt.Errorf("%q is not a decimal amount such as 120000.00", value)
	}
	return Money{Value: d, Currency: cur}, nil
}

// UnmarshalShort reads an amount as documents write it in one word: 32000 EUR.
func (m *Money) UnmarshalShort(text string) error {
	value, cur, ok := strings.Cut(strings.TrimSpace(text), " ")
	if !ok {
		return fmt.Errorf("%q is not an amount with its currency such as 32000 EUR", text)
	}
	read, err := ParseMoney(value, strings.TrimSpace(cur))
	if err == nil {
		*m = read
	}
	return err
}
