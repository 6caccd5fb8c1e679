package policy

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/document"
)

// A band sorts a number into named ranges without a gap or an overlap; a table looks a value up by facts and bands. Both
// are worked out from the facts when a condition asks for them, and so are as finite and as pure as the facts are.

// derived is a band or a table.
type derived struct {
	name   string // band.size, table.minimum
	typ    *cel.Type
	values []string // of a band or a table of texts: the only ones there are
	public bool     // texts for partners may show it

	internal bool // it is worked out from facts that partners may not read
	band     *band
	rows     []tableRow
}

type band struct {
	fact    int    // place in the Schema; -1 for a field of the policy's own
	custom  string // its name
	unknown ref.Val
	from    []float64 // where each range begins, ascending; the first is 0
	names   []ref.Val
}

type tableRow struct {
	cells []cell
	value ref.Val
}

// cell is one condition of a row: the fact is, or holds, one of the values.
type cell struct {
	fact   int
	custom string
	of     *derived
	values []string
	bools  []bool
}

// gives returns every value there can be, as a benefit has it.
func (d *derived) gives() (out []string) {
	if d.band != nil {
		return d.values
	}
	for i := range d.rows {
		out = append(out, words(d.rows[i].value))
	}
	return out
}

const unknownBand = "unknown"

func (d *derived) value(f *Facts) ref.Val {
	if b := d.band; b != nil {
		var x float64
		if b.fact >= 0 {
			switch v := f.v[b.fact].(type) {
			case types.Int:
				x = float64(v)
			case types.Double:
				x = float64(v)
			}
		} else {
			n, err := strconv.ParseFloat(f.custom[b.custom], 64)
			if err != nil {
				return b.unknown
			}
			x = n
		}
		if x < 0 {
			return b.unknown
		}
		for i := len(b.from) - 1; i > 0; i-- {
			if x >= b.from[i] {
				return b.names[i]
			}
		}
		return b.names[0]
	}
	for i := range d.rows {
		if d.rows[i].matches(f) {
			return d.rows[i].value
		}
	}
	panic("policy: table " + d.name + " has no last row") // the check does not let one through
}

func (r *tableRow) matches(f *Facts) bool {
	for i := range r.cells {
		if !r.cells[i].matches(f) {
			return false
		}
	}
	return true
}

func (c *cell) matches(f *Facts) bool {
	var v ref.Val
	switch {
	case c.of != nil:
		v = c.of.value(f)
	case c.fact >= 0:
		v = f.v[c.fact]
	default:
		return slices.Contains(c.values, f.custom[c.custom])
	}
	switch x := v.(type) {
	case types.String:
		return slices.Contains(c.values, string(x))
	case types.Bool:
		return slices.Contains(c.bools, bool(x))
	case traits.Lister:
		for i := range x.Size().(types.Int) {
			if s, ok := x.Get(i).(types.String); ok && slices.Contains(c.values, string(s)) {
				return true
			}
		}
	}
	return false
}

var rangeForm = regexp.MustCompile(`^(?:>=(\d+(?:\.\d+)?)|<(\d+(?:\.\d+)?)|(\d+(?:\.\d+)?)\.\.(\d+(?:\.\d+)?))$`)

const rangeHelp = `write ">=1000", "<20" or "20..1000", which is 20 to below 1000`

// interval is [from, to) of one range of a band.
type bandRange struct {
	name     string
	from, to float64
	at       document.Path
}

func (c *compiler) bands() {
	for i := range Schema {
		c.known[Schema[i].Name] = true
	}
	for name := range c.custom {
		c.known["custom."+name] = true
	}
	for _, name := range c.r.Keys("bands") {
		d, at := c.doc.Bands[name], path("bands", name)
		if !fieldForm.MatchString(name) {
			c.add(at, "%q is not a name: lower-case letters, digits and _", name)
			continue
		}
		b := &band{fact: -1, unknown: types.String(unknownBand)}
		public, number := false, false
		if cn, ok := customName(d.Of); ok {
			f, declared := c.custom[cn]
			b.custom, public, number = cn, true, declared && (f.Type == Int || f.Type == Double)
		} else if i, ok := lookup(d.Of); ok {
			b.fact, public, number = i, Schema[i].Visibility == Partner, Schema[i].Type == Int || Schema[i].Type == Double
		}
		if !number {
			c.add(at.Of("of"), "%q is not a fact that is a number%s", d.Of, c.meant(d.Of))
			continue
		}
		ranges := c.ranges(at)
		if ranges == nil {
			continue
		}
		out := &derived{name: "band." + name, typ: cel.StringType, public: public, internal: !public, band: b, values: []string{unknownBand}}
		for _, r := range ranges {
			b.from = append(b.from, r.from)
			b.names = append(b.names, types.String(r.name))
			out.values = append(out.values, r.name)
			if r.from > 0 {
				c.p.boundaries = append(c.p.boundaries, Boundary{Rule: out.name, Fact: d.Of, Op: ">=", Value: r.from})
			}
		}
		c.derive(out)
	}
}

// ranges reads the ranges of a band in ascending order, and reports every gap and overlap with a number that shows it.
// It returns nil when there is one.
func (c *compiler) ranges(at document.Path) []bandRange {
	var list []bandRange
	for _, name := range c.r.Keys(at.Of("ranges")...) {
		var text string
		here := at.Of("ranges", name)
		c.r.ReadAt(here, &text)
		m := rangeForm.FindStringSubmatch(text)
		r := bandRange{name: name, from: 0, to: math.Inf(1), at: here}
		switch {
		case !fieldForm.MatchString(name) || name == unknownBand:
			c.add(here, "%q is not a name of a range: lower-case letters, digits and _, and not unknown", name)
			return nil
		case m == nil:
			c.add(here, "%q is not a range; %s", text, rangeHelp)
			return nil
		case m[1] != "":
			r.from, _ = strconv.ParseFloat(m[1], 64)
		case m[2] != "":
			r.to, _ = strconv.ParseFloat(m[2], 64)
		default:
			r.from, _ = strconv.ParseFloat(m[3], 64)
			r.to, _ = strconv.ParseFloat(m[4], 64)
		}
		if r.from >= r.to {
			c.add(here, "%q holds no number", text)
			return nil
		}
		list = append(list, r)
	}
	if len(list) == 0 {
		c.add(at, "give the band its ranges: ranges: {small: \"<100\", large: \">=100\"}")
		return nil
	}
	slices.SortStableFunc(list, func(a, b bandRange) int {
		switch {
		case a.from < b.from:
			return -1
		case a.from > b.from:
			return 1
		}
		return 0
	})
	ok, end, before := true, 0.0, ""
	for _, r := range list {
		switch {
		case r.from > end:
			c.add(r.at, "%s is in no range of the band; %s", numberText(end), rangeHelp)
			ok = false
		case r.from < end:
			c.add(r.at, "%s is in two ranges of the band, %s and %s; %s", numberText(r.from), before, r.name, rangeHelp)
			ok = false
		}
		if r.to > end {
			end, before = r.to, r.name
		}
	}
	if !math.IsInf(end, 1) {
		c.add(at.Of("ranges"), "%s and what is above it is in no range of the band; end with %q", numberText(end), ">="+numberText(end))
		ok = false
	}
	if !ok {
		return nil
	}
	return list
}

func numberText(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func (c *compiler) derive(d *derived) {
	c.derived[d.name] = d
	c.known[d.name] = true
}

func (c *compiler) tables() {
	for _, name := range c.r.Keys("tables") {
		d, at := c.doc.Tables[name], path("tables", name)
		if !fieldForm.MatchString(name) {
			c.add(at, "%q is not a name: lower-case letters, digits and _", name)
			continue
		}
		out := &derived{name: "table." + name, public: Visibility(d.Visibility) == Partner}
		if v := Visibility(d.Visibility); v != "" && v != Partner && v != Internal {
			c.add(at.Of("visibility"), "%q is not one of partner, internal", v)
		}
		if len(d.Rows) == 0 {
			c.add(at, "give the table its rows")
			continue
		}
		for i := range d.Rows {
			row := at.Of("rows", i)
			r := tableRow{value: c.tableValue(row, d.Rows[i].Value)}
			if r.value == nil {
				continue
			}
			t := celOf(r.value)
			if out.typ == nil {
				out.typ = t
			}
			if t != out.typ {
				if mixed := (t == cel.IntType || t == cel.DoubleType) && (out.typ == cel.IntType || out.typ == cel.DoubleType); mixed {
					out.typ = cel.DoubleType
				} else {
					c.add(row.Of("value"), "is a %s; the rows before it give a %s", t, out.typ)
				}
			}
			if s, ok := r.value.(types.String); ok && !slices.Contains(out.values, string(s)) {
				out.values = append(out.values, string(s))
			}
			sound := true
			for _, fact := range c.r.Keys(row.Of("when")...) {
				if cl, ok := c.cell(row.Of("when", fact), fact, d.Rows[i].When[fact]); ok {
					r.cells = append(r.cells, cl)
					out.internal = out.internal || cl.of != nil && cl.of.internal || cl.fact >= 0 && Schema[cl.fact].Visibility == Internal
				} else {
					sound = false
				}
			}
			if !sound {
				continue
			}
			for j := range out.rows {
				if covers(&out.rows[j], &r) {
					c.add(row, "never applies: row %d before it takes all it could", j+1)
					break
				}
			}
			out.rows = append(out.rows, r)
		}
		if out.public && out.internal {
			c.add(at.Of("visibility"), "partners must not see it: its rows ask for what is internal")
		}
		if n := len(out.rows); n > 0 && len(out.rows[n-1].cells) > 0 {
			c.add(at.Of("rows", n-1), "what no row speaks of has no value: end the table with a row without when:")
		}
		if out.typ == cel.DoubleType {
			for i := range out.rows {
				if n, ok := out.rows[i].value.(types.Int); ok {
					out.rows[i].value = types.Double(n)
				}
			}
		}
		if out.typ != nil {
			c.derive(out)
		}
	}
}

// covers reports whether every registration the row b speaks of is taken by a, which comes first.
func covers(a, b *tableRow) bool {
	for i := range a.cells {
		x := &a.cells[i]
		j := slices.IndexFunc(b.cells, func(y cell) bool { return y.fact == x.fact && y.custom == x.custom && y.of == x.of })
		if j < 0 {
			return false
		}
		for _, v := range b.cells[j].values {
			if !slices.Contains(x.values, v) {
				return false
			}
		}
		for _, v := range b.cells[j].bools {
			if !slices.Contains(x.bools, v) {
				return false
			}
		}
	}
	return true
}

func celOf(v ref.Val) *cel.Type {
	switch v.(type) {
	case types.Bool:
		return cel.BoolType
	case types.Int:
		return cel.IntType
	case types.Double:
		return cel.DoubleType
	}
	return cel.StringType
}

func (c *compiler) tableValue(at document.Path, s document.Scalar) ref.Val {
	switch v := s.Value.(type) {
	case bool:
		return types.Bool(v)
	case int64:
		return types.Int(v)
	case float64:
		return types.Double(v)
	case string:
		return types.String(v)
	}
	c.add(at, "give the row a value: a number, a text, true or false")
	return nil
}

// cell reads one condition of a row. Its fact is a text, a list, a switch or a band: numbers go through a band, so that
// rows cannot leave a gap between them.
func (c *compiler) cell(at document.Path, name string, s document.Scalar) (cell, bool) {
	out := cell{fact: -1}
	var kind FactType
	var values []string
	var closed bool
	if d := c.derived[name]; d != nil && d.band != nil {
		out.of, kind, values, closed = d, Enum, d.values, true
		c.used[name] = true
	} else if cn, ok := customName(name); ok {
		f, declared := c.custom[cn]
		if !declared {
			c.add(at, "settings.custom does not declare %s%s", cn, c.meant(name))
			return out, false
		}
		out.custom, kind, values, closed = cn, f.Type, append([]string{""}, f.Values...), f.Type == Enum
	} else if i, ok := lookup(name); ok {
		out.fact, kind = i, Schema[i].Type
		values, closed = c.p.settings.Values(name)
	} else {
		c.add(at, "there is no fact %s%s", name, c.meant(name))
		return out, false
	}
	if kind == Int || kind == Double || kind == Instant {
		c.add(at, "%s is a number: sort it into a band first, and look the band up", name)
		return out, false
	}
	if b, ok := s.Value.(bool); ok && kind == Bool && out.custom == "" {
		out.bools = []bool{b}
		return out, true
	}
	switch v := s.Value.(type) {
	case []string:
		out.values = v
	case nil:
	default:
		out.values = []string{fmt.Sprint(v)}
	}
	if kind == Bool && out.custom == "" || len(out.values) == 0 {
		c.add(at, "say which values of %s the row is for", name)
		return out, false
	}
	for _, v := range out.values {
		switch {
		case closed && !slices.Contains(values, v):
			shown := slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
			c.add(at, "%s is never %q; it is one of %s%s", name, v, strings.Join(shown, ", "), didYouMean(v, shown))
			return out, false
		case strings.HasSuffix(name, "country") && v != "" && !deal.IsCountry(v):
			c.add(at, "%q is not an ISO 3166-1 alpha-2 country code such as DE or US", v)
			return out, false
		}
	}
	return out, true
}
