package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dibs-deals/dibs/internal/deal"
)

// readNDJSON gives every line to row.
func readNDJSON(in *rowReader, s *schema, o options, row take) error {
	if o.header != nil {
		o.header(Header{Format: "ndjson"})
	}
	for {
		line, at, err := in.nextLine()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			bad, ok := errors.AsType[badRowError](err)
			if !ok {
				return fmt.Errorf("line %d: %w", at, err)
			}
			if !row(at, nil, 0, deal.FieldErrors{{Field: "row", Detail: string(bad)}}) {
				return nil
			}
			continue
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		rec, present, errs := s.decode(line, o)
		if !row(at, rec, present, errs) {
			return nil
		}
	}
}

// decode makes a record of one JSON object.
func (s *schema) decode(line []byte, o options) (any, uint64, deal.FieldErrors) {
	var errs deal.FieldErrors
	values, err := members(line)
	if err != nil {
		errs.Add("row", "%s", err)
		return nil, 0, errs
	}
	rec := s.empty()
	var present uint64
	whole := utf8.Valid(line)
	for _, v := range values {
		i, ok := s.byName[v.name]
		if !ok || s.fields[i].json == nil && !s.scalars {
			errs.Add(v.name, "is not a field; known are %s", strings.Join(s.jsonNames(), ", "))
			continue
		}
		f := &s.fields[i]
		if !whole && !utf8.Valid(v.raw) {
			errs.Add(v.name, "is not valid UTF-8")
			continue
		}
		if present&f.bit != 0 {
			errs.Add(v.name, "is given twice")
			continue
		}
		if err := s.value(f, rec, v.raw, &present); err != nil {
			errs.Add(v.name, "%s", err)
		}
	}
	if !whole && len(errs) == 0 {
		errs.Add("row", "is not valid UTF-8")
	}
	errs = append(errs, s.finish(rec, &present, errs, o)...)
	return rec, present, errs
}

// value reads one JSON value into its field. Where the schema lets JSON write a field as a cell does, an object or an
// array is the field's own form, and any other value is read as the cell that holds it.
func (s *schema) value(f *field, rec any, raw []byte, present *uint64) error {
	if !s.scalars || f.cell == nil || (raw[0] == '{' || raw[0] == '[') && f.json != nil {
		*present |= f.bit
		return f.json(rec, raw)
	}
	text := string(raw)
	switch raw[0] {
	case '"':
		if err := strict(raw, &text); err != nil {
			return err
		}
	case 'n': // null
		text = ""
	}
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	given, err := f.cell(rec, text)
	if given {
		*present |= f.bit
	}
	return err
}

func (s *schema) jsonNames() []string {
	var out []string
	for i := range s.fields {
		if s.fields[i].json != nil {
			out = append(out, s.fields[i].name)
		}
	}
	slices.Sort(out)
	return out
}

type member struct {
	name string
	raw  json.RawMessage
}

// members returns the members of a JSON object in their order. A map would hide that one is given twice.
func members(line []byte) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(line))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("is not a JSON object; each line is one whole object")
	}
	var out []member
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, badJSON(err, d.InputOffset())
		}
		m := member{name: name}
		if err := d.Decode(&m.raw); err != nil {
			return nil, badJSON(err, d.InputOffset())
		}
		out = append(out, m)
	}
	if _, err := d.Token(); err != nil {
		return nil, badJSON(err, d.InputOffset())
	}
	if rest := bytes.TrimSpace(line[d.InputOffset():]); len(rest) > 0 {
		return nil, errors.New("has something after its JSON object; each line is one whole object")
	}
	return out, nil
}

func badJSON(err error, at int64) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("is not a whole JSON object: it ends too early; an object must not span lines")
	}
	return fmt.Errorf("is not JSON: %w, after byte %d of the line", err, at)
}
