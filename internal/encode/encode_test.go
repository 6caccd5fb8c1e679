package encode_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/encode"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/ledger"
)

// self holds itself, and what is left to encoding/json.
type self struct {
	Next   *self               `json:"next,omitempty"`
	List   []self              `json:"list"`
	Ways   map[string]self     `json:"ways,omitempty"`
	Raw    json.RawMessage     `json:"raw,omitempty"`
	Number int                 `json:"number,string"`
	Any    any                 `json:"any"`
	Bytes  []byte              `json:"bytes"`
	Pairs  [2]float64          `json:"pairs,omitempty"`
	Half   float32             `json:"half"`
	Keys   map[int]string      `json:"keys,omitempty"`
	Dash   string              `json:"-,"` //nolint:staticcheck // as encoding/json reads it
	Gone   string              `json:"-"`
	Plain  uint64              // under its own name
	Texts  map[string][]string `json:"texts,omitzero"`
	At     *time.Time          `json:"at,omitzero"`
	hidden string              //nolint:unused // it is not written
}

// wider embeds.
type wider struct {
	self
	ID string `json:"id"`
}

var kinds = []any{deal.Change{}, deal.Filing{}, engine.Answer{}, ledger.Receipt{}, self{}, wider{}, []any{}, map[string]any{}, [3]deal.Money{}}

// TestSame holds the bytes to encoding/json's, and the canonical form to jsontext's of them, for random values: given by pointer and by value.
func TestSame(t *testing.T) {
	for _, kind := range kinds {
		typ := reflect.TypeOf(kind)
		t.Run(typ.String(), func(t *testing.T) {
			seen := 0
			for seed := range uint64(400) {
				f := filler{rand.New(rand.NewPCG(seed, 7))}
				v := reflect.New(typ)
				f.fill(v.Elem(), 0)
				for _, x := range []any{v.Interface(), v.Elem().Interface()} {
					want, werr := json.Marshal(x)
					got, err := encode.JSON(x)
					if (err == nil) != (werr == nil) || err == nil && !bytes.Equal(got, want) {
						t.Fatalf("seed %d: %v, %v\ngot  %s\nwant %s", seed, err, werr, got, want)
					}
					if werr != nil {
						continue
					}
					seen++
					canonical := jsontext.Value(bytes.Clone(want))
					werr = canonical.Canonicalize()
					got, err = encode.Canonical(x)
					if (err == nil) != (werr == nil) || err == nil && !bytes.Equal(got, canonical) {
						t.Fatalf("seed %d, canonical: %v, %v\ngot  %s\nwant %s", seed, err, werr, got, canonical)
					}
				}
			}
			if seen < 200 {
				t.Errorf("only %d values could be written at all", seen)
			}
		})
	}
}

// filler makes values of which many are awkward.
type filler struct{ *rand.Rand }

var (
	words = []string{"", "a", "Zanzibar Orchestra", "Größe", "日本", "<script>", "A&B", `"quoted\"`, "line\nbreak\ttab\r\b\f", "\x00\x1f\x7f", "\u2028\u2029", "😀", "\xff\xfe", "half\xe2\x82", "\ufffd", "/"}
	reals = []float64{0, math.Copysign(0, -1), 1, -1, 0.1, 1e-6, 9.99e-7, 1e-7, 1e20, 1e21, 1.5e300, 5e-324, 123456789.125, 1 << 53, 1<<53 + 2, -1e15, math.MaxFloat64, 0.30000000000000004}
	whole = []int64{0, 1, -1, 42, 1 << 53, 1<<53 + 1, math.MaxInt64, math.MinInt64}
)

func (f *filler) word() string { return words[f.IntN(len(words))] + words[f.IntN(len(words))] }

func (f *filler) fill(v reflect.Value, depth int) {
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		if f.IntN(3) > 0 {
			*x = time.Date(f.IntN(9990)+1, 1, f.IntN(31), 1, 2, 3, f.IntN(1e9), time.FixedZone("", 60*(f.IntN(48)-24)*f.IntN(2)))
		}
		if f.IntN(400) == 0 {
			*x = time.Date(10001, 1, 1, 0, 0, 0, 0, time.UTC) // cannot be written
		}
		return
	case *deal.Date:
		if f.IntN(3) > 0 {
			*x, _ = deal.ParseDate(time.Date(2000+f.IntN(100), 1, f.IntN(366), 0, 0, 0, 0, time.UTC).Format(time.DateOnly))
		}
		return
	case *deal.Money:
		if f.IntN(3) > 0 {
			*x = deal.Money{Value: decimal.New(f.Int64N(1e9), int32(f.IntN(8)-6)), Currency: []string{"EUR", "USD", "", "eur", "A<B", "\x00"}[min(f.IntN(60), 5)%(1+5*f.IntN(2))]}
		}
		return
	case *json.RawMessage:
		if f.IntN(2) > 0 {
			*x = json.RawMessage(`{ "b" : [1.0, "<" ], "a":null}`)
		}
		return
	}
	n := 0
	if depth < 6 {
		n = f.IntN(4) * f.IntN(2)
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(f.word())
	case reflect.Bool:
		v.SetBool(f.IntN(2) > 0)
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(whole[f.IntN(len(whole))])
	case reflect.Uint8:
		v.SetUint(uint64(f.IntN(256)))
	case reflect.Uint64, reflect.Uint32:
		v.SetUint(uint64(whole[f.IntN(len(whole))]))
	case reflect.Float64:
		if v.SetFloat(reals[f.IntN(len(reals))]); f.IntN(5000) == 0 {
			v.SetFloat(math.NaN())
		}
	case reflect.Float32:
		v.SetFloat(float64(float32(reals[f.IntN(10)])))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				f.fill(v.Field(i), depth+1)
			}
		}
	case reflect.Slice:
		if f.IntN(4) > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				f.fill(v.Index(i), depth+1)
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i), depth+1)
		}
	case reflect.Pointer:
		if n > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			f.fill(v.Elem(), depth+1)
		}
	case reflect.Map:
		if f.IntN(4) > 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range n {
				key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				f.fill(key, depth+1)
				f.fill(value, depth+1)
				if key.Kind() == reflect.String { // of names that are no text, two may become one, which has no canonical form
					key.SetString(strings.ToValidUTF8(key.String(), "?"))
				}
				v.SetMapIndex(key, value)
			}
		}
	case reflect.Interface:
		options := []any{nil, "text", f.word(), true, 1, int64(7), uint64(1 << 60), 0.5, []string{"a", "<"}, []string(nil), []any{1.5, nil}, map[string]any{"b": 1, "a": "x", "é": 2.5}, map[string]any(nil), time.Unix(9, 5).UTC(), &deal.Money{Value: decimal.New(5, 0), Currency: "EUR"},
			deal.Money{Value: decimal.New(5, 0), Currency: "EUR"}, deal.Protect, map[string]int{"x": 1}, [2]string{"a", "b"}, (*deal.Match)(nil), json.Number("12.50")}
		v.Set(reflect.ValueOf(&options[f.IntN(len(options))]).Elem())
	default:
		panic(v.Kind())
	}
}

// TestTogether makes the writers of one type at once.
func TestTogether(t *testing.T) {
	type fresh struct {
		Next *fresh           `json:"next"`
		Ways map[string]fresh `json:"ways"`
		At   time.Time        `json:"at"`
	}
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if got, err := encode.JSON(&fresh{Next: &fresh{Ways: map[string]fresh{"a": {}}}}); err != nil || !json.Valid(got) {
				t.Errorf("%s, %v", got, err)
			}
		})
	}
	all.Wait()
}

type pointed struct{ N int }

func (*pointed) MarshalJSON() ([]byte, error) { return []byte(`{"b":1,"a":2}`), nil }

// TestPointed writes a type that marshals itself only where a pointer leads to it.
func TestPointed(t *testing.T) {
	type holds struct {
		P pointed
		M map[string]pointed
	}
	v := &holds{M: map[string]pointed{"x": {}}}
	for _, x := range []any{v, *v} {
		want, _ := json.Marshal(x)
		if got, err := encode.JSON(x); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
	if got, err := encode.Canonical(v); err != nil || string(got) != `{"M":{"x":{"N":0}},"P":{"a":2,"b":1}}` {
		t.Errorf("%s, %v", got, err)
	}
}

func BenchmarkJSON(b *testing.B) {
	c := sample()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := encode.JSON(c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodingJSON(b *testing.B) {
	c := sample()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := json.Marshal(c); err != nil {
			b.Fatal(err)
		}
	}
}

// sample is about what a decision says.
func sample() *deal.Change {
	match := func(id string) deal.Match {
		m := deal.Match{ID: id, Name: "Zanzibar Orchestra Foundation", Probability: 0.985688, Verdict: deal.Same}
		for _, term := range []string{"base_rate", "name", "legal_form", "country", "region", "city", "postal_code"} {
			m.Evidence = append(m.Evidence, deal.Score{Term: term, Value: "zanzibar / zanzibar", Weight: -5.4947, Text: "how often a candidate is a match before anything is compared"})
		}
		return m
	}
	facts := map[string]any{}
	for _, k := range strings.Fields("customer.country customer.industry customer.region customer.resolved partner.country partner.tier partner.type territory.id territory.status") {
		facts[k] = "certain"
	}
	for _, k := range strings.Fields("customer.employees customer.probability partner.live_claims partner.tier_rank reg.amount reg.close_in_days reg.line_count reg.meeting_days reg.units") {
		facts[k] = 42000.5
	}
	for _, k := range strings.Fields("partner.active partner.agreement_signed reg.all_lines reg.amount_known reg.has_close_date reg.has_contact reg.has_description reg.has_meeting") {
		facts[k] = true
	}
	facts["reg.missing"] = strings.Fields("customer.domain customer.street customer.phone customer.tax_id sites tender.number distributor_id evidence.letter")
	at := time.Date(2027, 3, 1, 9, 0, 0, 123456000, time.UTC)
	return &deal.Change{
		Registrations: []deal.Registration{{ID: "reg_1", Number: "DR-2027-000001", Sequence: 9, ReceivedAt: at, Status: deal.StatusProtected,
			Filing: deal.Filing{PartnerID: "P-1", Customer: deal.Customer{Name: "Zanzibar Orchestra", Country: "DE", City: "Köln"}, Amount: deal.Money{Value: decimal.New(42000, 0), Currency: "EUR"}}}},
		Decision: &deal.Decision{ID: "dec_1", At: at, Outcome: deal.Protect, Facts: facts, Candidates: map[string][]deal.Match{"accounts": {match("a"), match("b")}, "registrations": {match("c")}}},
	}
}
