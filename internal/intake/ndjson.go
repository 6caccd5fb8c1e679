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

// members returns the members of a JSON object in their order. A map would hide that one is given twice, and a token
// reader costs more than all the rest of a row.
func members(line []byte) ([]member, error) {
	if line[0] != '{' {
		return nil, errors.New("is not a JSON object; each line is one whole object")
	}
	if !json.Valid(line) {
		return nil, invalid(line)
	}
	var out []member
	for i := skipSpace(line, 1); line[i] != '}'; {
		end := skipValue(line, i)
		m := member{name: strings.ToValidUTF8(string(line[i+1:end-1]), "\uFFFD")} // a broken name is no field, and is told of
		if strings.Contains(m.name, `\`) {
			if err := json.Unmarshal(line[i:end], &m.name); err != nil {
				return nil, fmt.Errorf("is not JSON: %w", err)
			}
		}
		i = skipSpace(line, skipSpace(line, end)+1) // over the colon
		end = skipValue(line, i)
		m.raw = line[i:end]
		out = append(out, m)
		if i = skipSpace(line, end); line[i] == ',' {
			i = skipSpace(line, i+1)
		}
	}
	return out, nil
}

func skipSpace(line []byte, i int) int {
	for line[i] == ' ' || line[i] == '\t' || line[i] == '\r' || line[i] == '\n' {
		i++
	}
	return i
}

// skipValue returns the end of the JSON value at i. The text is known to be valid.
func skipValue(line []byte, i int) int {
	for depth := 0; ; i++ {
		switch line[i] {
		case '"':
			for i++; line[i] != '"'; i++ {
				if line[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 { // the end of what surrounds a number or a word
				return i
			}
			depth--
		case ',', ':', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return i + 1
		}
	}
}

// invalid says what is wrong with a line that is not JSON.
func invalid(line []byte) error {
	var whole json.RawMessage
	err := json.Unmarshal(line, &whole)
	if wrong, ok := errors.AsType[*json.SyntaxError](err); ok {
		switch {
		case wrong.Offset >= int64(len(line)) && strings.Contains(wrong.Error(), "end of JSON"):
			return errors.New("is not a whole JSON object: it ends too early; an object must not span lines")
		case strings.Contains(wrong.Error(), "after top-level value"):
			return errors.New("has something after its JSON object; each line is one whole object")
		}
		return fmt.Errorf("is not JSON: %w, after byte %d of the line", wrong, wrong.Offset)
	}
	return fmt.Errorf("is not JSON: %w", err)
}
