package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
)

// at makes a field of type V of a record of type T from where it lives and how a cell reads.
func at[T, V any](name string, where func(*T) *V, parse func(string) (V, error), also ...string) field {
	return field{
		name: name, also: also,
		cell: func(rec any, s string) (bool, error) {
			v, err := parse(s)
			if err == nil {
				*where(rec.(*T)) = v
			}
			return true, err
		},
		json: func(rec any, raw []byte) error { return strict(raw, where(rec.(*T))) },
		copy: func(dst, src any) { *where(dst.(*T)) = *where(src.(*T)) },
	}
}

// nested makes a field only JSON can give.
func nested[T, V any](name string, where func(*T) *V) field {
	f := at(name, where, nil)
	f.cell = nil
	return f
}

func text[T any](name string, where func(*T) *string, also ...string) field {
	return at(name, where, asText, also...)
}

// part makes a column that has a say in another field. given says that the row gives it, whatever it says.
func part[T any](name string, set func(*T, string) error, also ...string) field {
	return field{name: name, also: also, cell: func(rec any, s string) (bool, error) { return true, set(rec.(*T), s) }}
}

// amount makes the two columns of a Money, whose JSON form is one field.
func amount[T any](name, currency string, where func(*T) *deal.Money, also []string, alsoCurrency ...string) []field {
	value := at(name, where, nil, also...)
	value.cell = func(rec any, s string) (bool, error) {
		d, err := asDecimal(s)
		if err == nil {
			where(rec.(*T)).Value = d
		}
		return true, err
	}
	return []field{value, part(currency, func(rec *T, s string) error {
		where(rec).Currency = strings.ToUpper(s)
		return nil
	}, alsoCurrency...)}
}

// settle brings the two columns of a Money together once a row is read: an amount needs a currency, and a currency
// by itself says nothing (it must not turn a stored amount of another currency into one of its own).
func settle(m *deal.Money, name string, given bool, errs deal.FieldErrors, o options) deal.FieldErrors {
	if !given {
		*m = deal.Money{}
		return nil
	}
	if m.Currency == "" {
		m.Currency = strings.ToUpper(o.currency)
	}
	if m.Currency == "" && !m.Value.IsZero() && !reported(errs, name) {
		return deal.FieldErrors{{Field: name + ".currency", Detail: "is required with an amount: an ISO 4217 code such as EUR or USD, in its own column in CSV"}}
	}
	return nil
}

func asText(s string) (string, error) { return s, nil }

func asUpper(s string) (string, error) { return strings.ToUpper(s), nil }

func asLower(s string) (string, error) { return strings.ToLower(s), nil }

// asList reads a semicolon-separated list.
func asList(s string) ([]string, error) {
	var out []string
	for v := range strings.SplitSeq(s, ";") {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out, nil
}

func asLowerList(s string) ([]string, error) { return asList(strings.ToLower(s)) }

// asFirst takes the first of a list: HubSpot joins the ids of all associated companies, the primary one first.
func asFirst(s string) (string, error) {
	first, _, _ := strings.Cut(s, ";")
	return strings.TrimSpace(first), nil
}

func asBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true", "1", "yes":
		return true, nil
	case "false", "0", "no":
		return false, nil
	}
	return false, fmt.Errorf("%q is not true or false", s)
}

// asDecimal reads 120000, 120000.00 and 3.00E+07. A comma is refused, because 1,234 is one number to some and
// another to others.
func asDecimal(s string) (decimal.Decimal, error) {
	m, err := deal.ParseMoney(s, "")
	if err != nil || m.Value.Exponent() > 18 || m.Value.Exponent() < -18 || m.Value.NumDigits() > 30 { // 1e999999999 would eat the machine later
		return decimal.Decimal{}, fmt.Errorf("%q is not a number such as 120000.00 or 3.00E+07, without thousands separators", s)
	}
	return m.Value, nil
}

func asDecimalText(s string) (string, error) {
	d, err := asDecimal(s)
	return d.String(), err
}

func asInteger(s string) (int64, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	d, err := asDecimal(s)
	if err != nil || !d.IsInteger() || d.Abs().GreaterThan(decimal.NewFromInt(math.MaxInt64)) {
		return 0, fmt.Errorf("%q is not a whole number such as 12000 or 1.2E+04, without thousands separators", s)
	}
	return d.IntPart(), nil
}

// instants are the forms of a point in time: RFC 3339, and as Salesforce's API writes it, without a colon in the
// offset. Go reads a fraction of a second where the form has none.
var instants = []string{time.RFC3339, "2006-01-02T15:04:05Z0700"}

// asTime reads a date, which is midnight UTC, or an instant.
func asTime(s string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	for _, form := range instants {
		if t, err := time.Parse(form, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a date as 2026-01-31 or 2026-01-31T08:00:00Z; 1/2/2026 is two different days to different readers and is not guessed", s)
}

// asDate reads the day, in UTC, of a date or an instant.
func asDate(s string) (deal.Date, error) {
	t, err := asTime(s)
	return deal.Date{Time: t.Truncate(24 * time.Hour)}, err
}

// strict decodes one JSON value, refusing what it has no place for, and says what is wrong in words for the person
// who wrote the file.
func strict(raw []byte, into any) error {
	var err error
	switch into.(type) {
	case *string, *int64, *bool, *[]string, *deal.Date:
		err = json.Unmarshal(raw, into) // has no fields to be unknown, and costs a tenth
	default:
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		err = d.Decode(into)
	}
	if err == nil {
		return nil
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		where := ""
		if wrong.Field != "" {
			where = wrong.Field + ": "
		}
		return fmt.Errorf("%sis a JSON %s where %s is expected", where, wrong.Value, jsonName(wrong.Type.Kind().String()))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Errorf("has an unknown field %s", name)
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}

func jsonName(kind string) string {
	switch kind {
	case "string":
		return "a string"
	case "bool":
		return "true or false"
	case "slice":
		return "an array"
	case "struct", "map":
		return "an object"
	}
	return "a number"
}
