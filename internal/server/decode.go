package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/dibs-deals/dibs/internal/deal"
)

// binder reads JSON bodies for the generated handlers.
type binder struct{}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Bind decodes the body of c into v, strictly. It is only called where the specification has a JSON body.
func (binder) Bind(v any, c echo.Context) error {
	buf := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buf)
	buf.Reset()
	if _, err := buf.ReadFrom(c.Request().Body); err != nil {
		return unreadable(err)
	}
	return decode(buf.Bytes(), v)
}

// unreadable is what reading a request's body failed with: it is too large, or the connection broke.
func unreadable(err error) error {
	var size *http.MaxBytesError
	if errors.As(err, &size) {
		return err
	}
	return problem{code: "malformed", detail: "the body could not be read to its end", cause: err}
}

// decode reads one JSON value into the struct v points to. It refuses what encoding/json lets pass and a caller never
// means: unknown, repeated and wrongly cased names, bad UTF-8, lone surrogates, anything after the value. A readable
// body is read in one pass; only a refused one is walked again, to report everything that is wrong with it at once.
func decode(body []byte, v any) error {
	err := json.Unmarshal(body, v, json.RejectUnknownMembers(true))
	if err == nil && !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("null")) {
		return nil // null would be read as an object without fields
	}
	w := walker{dec: jsontext.NewDecoder(bytes.NewReader(body))}
	werr := w.value(reflect.TypeOf(v).Elem(), "")
	if werr == nil {
		if _, end := w.dec.ReadToken(); !errors.Is(end, io.EOF) {
			werr = end
			if werr == nil {
				return problem{code: "malformed", detail: "there is more after the end of the JSON value"}
			}
		}
	}
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(werr, &syntax):
		return malformed(body, syntax)
	case werr != nil:
		return problem{code: "malformed", detail: "the body ends before the JSON value does; send a JSON object", cause: werr}
	case len(w.wrong) > 0:
		return w.wrong
	}
	return problem{code: "malformed", detail: "the body cannot be read as this operation's JSON", cause: err}
}

// malformed says where a body stops being JSON.
func malformed(body []byte, e *jsontext.SyntacticError) error {
	p := problem{code: "malformed", cause: e}
	at := fmt.Sprintf("at byte %d", e.ByteOffset)
	switch field := fieldPath(e.JSONPointer); {
	case errors.Is(e, jsontext.ErrDuplicateName):
		p.detail = "a name occurs twice in one object, " + at
		p.errors.Add(field, "occurs twice")
	case len(bytes.TrimSpace(body)) == 0:
		p.detail = "the body is empty; send a JSON object"
	case strings.Contains(e.Error(), "UTF-8"):
		p.detail = "the body is not valid UTF-8, " + at
		if field != "" {
			p.errors.Add(field, "is not valid UTF-8")
		}
	case errors.Is(e, io.ErrUnexpectedEOF):
		p.detail = "the body ends in the middle of a JSON value, " + at
	default:
		p.detail = "the body is not valid JSON, " + at
		if field != "" {
			p.detail += ", in " + field
		}
	}
	return p
}

// maxPath is how much of a path is written. Ours have three steps; a hostile body has thousands.
const maxPath = 200

// fieldPath writes a JSON pointer as people write a path: /products/2/amount is products[2].amount.
func fieldPath(p jsontext.Pointer) string {
	var b strings.Builder
	for token := range p.Tokens() {
		if b.Len() > maxPath {
			return b.String() + "…"
		}
		if _, err := strconv.Atoi(token); err == nil {
			b.WriteString("[" + token + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(token)
	}
	return b.String()
}

// maxWrong is how many errors one answer lists. A caller who made more of them made one of them often.
const maxWrong = 50

// walker compares a body with the shape of a Go type and notes everything that does not fit.
type walker struct {
	dec   *jsontext.Decoder
	wrong deal.FieldErrors
}

func (w *walker) add(path, format string, args ...any) {
	if path == "" {
		path = "body"
	}
	if len(w.wrong) < maxWrong {
		w.wrong.Add(path, format, args...)
	}
}

// value consumes one value that should be a t. It returns only errors of syntax.
func (w *walker) value(t reflect.Type, path string) error {
	kind := w.dec.PeekKind()
	if kind == 'n' { // null reads as absent
		if path == "" {
			w.add(path, "must be an object")
		}
		return w.dec.SkipValue()
	}
	switch t.Kind() {
	case reflect.Struct:
		return w.object(t, path, kind)
	case reflect.Map:
		return w.members(path, kind, func(name string) error { return w.value(t.Elem(), join(path, name)) })
	case reflect.Slice:
		if kind != '[' {
			w.add(path, "must be an array")
			return w.dec.SkipValue()
		}
		if _, err := w.dec.ReadToken(); err != nil {
			return err
		}
		for i := 0; w.dec.PeekKind() != ']'; i++ {
			if err := w.value(t.Elem(), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		_, err := w.dec.ReadToken()
		return err
	case reflect.String:
		if kind != '"' {
			switch {
			case kind == '0' && strings.HasSuffix(path, ".value"):
				w.add(path, `must be a string such as "120000.00": a JSON number loses digits`)
			default:
				w.add(path, "must be a string")
			}
		}
	case reflect.Bool:
		if kind != 't' && kind != 'f' {
			w.add(path, "must be true or false")
		}
	case reflect.Int, reflect.Int64:
		if kind != '0' {
			w.add(path, "must be a whole number")
			break
		}
		v, err := w.dec.ReadValue()
		if err != nil {
			return err
		}
		if _, err := strconv.ParseInt(string(v), 10, 64); err != nil {
			w.add(path, "must be a whole number, without fraction or exponent and not larger than 9223372036854775807")
		}
		return nil
	}
	return w.dec.SkipValue()
}

func (w *walker) object(t reflect.Type, path string, kind jsontext.Kind) error {
	fields := map[string]reflect.Type{}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields[name] = f.Type
	}
	return w.members(path, kind, func(name string) error {
		if ft, ok := fields[name]; ok {
			return w.value(ft, join(path, name))
		}
		fold := strings.NewReplacer("_", "", "-", "")
		for _, known := range slices.Sorted(maps.Keys(fields)) {
			if strings.EqualFold(fold.Replace(known), fold.Replace(name)) {
				w.add(join(path, name), "is not a known field; did you mean %s?", known)
				return w.dec.SkipValue()
			}
		}
		w.add(join(path, name), "is not a known field; known are %s", strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		return w.dec.SkipValue()
	})
}

// members consumes an object and calls member at the value of each of its names.
func (w *walker) members(path string, kind jsontext.Kind, member func(name string) error) error {
	if kind != '{' {
		w.add(path, "must be an object")
		return w.dec.SkipValue()
	}
	if _, err := w.dec.ReadToken(); err != nil {
		return err
	}
	for w.dec.PeekKind() != '}' {
		name, err := w.dec.ReadToken()
		if err != nil {
			return err
		}
		if err := member(name.String()); err != nil {
			return err
		}
	}
	_, err := w.dec.ReadToken()
	return err
}

// join adds a name to a path. A name is the caller's text: a long one is cut, so that the answer stays readable.
func join(path, name string) string {
	if len(name) > 100 {
		name = strings.ToValidUTF8(name[:100], "") + "…"
	}
	if path == "" {
		return name
	}
	return path + "." + name
}
