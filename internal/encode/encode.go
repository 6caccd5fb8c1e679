// Package encode writes values as JSON: byte for byte what encoding/json writes, in a third of the time, and as the canonical form of RFC 8785 without
// writing them twice. What an entry of the ledger is hashed of is written by it, and its tests hold it to encoding/json value by value.
//
// What is rare is left to encoding/json: embedded structs, the option string, and types that marshal themselves other than by AppendJSON.
package encode

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"
)

// Appender is a type that writes itself. It appends what its MarshalJSON returns, compact and with <, > and & escaped.
type Appender interface {
	AppendJSON(b []byte) ([]byte, error)
}

// JSON returns v as encoding/json.Marshal does. What a pointer leads to is not copied on the way: give one.
func JSON(v any) ([]byte, error) { return write(v, false) }

// Canonical returns the one form of v as JSON (RFC 8785).
func Canonical(v any) ([]byte, error) { return write(v, true) }

// rooms are buffers that have grown to what is usual.
var rooms = sync.Pool{New: func() any { return new(encoder) }}

// maxKept bounds the buffer that is kept.
const maxKept = 1 << 20

func write(v any, canonical bool) ([]byte, error) {
	e := rooms.Get().(*encoder)
	e.b, e.canonical, e.err = e.b[:0], canonical, nil
	e.any(v)
	out, err := slices.Clone(e.b), e.err
	if cap(e.b) <= maxKept {
		clear(e.keys[:cap(e.keys)]) // they are the values'
		e.keys = e.keys[:0]
		rooms.Put(e)
	}
	if errors.Is(err, errPointed) {
		text, err := json.Marshal(v)
		if err == nil && canonical {
			err = (*jsontext.Value)(&text).Canonicalize()
		}
		return text, err
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// errPointed: somewhere in a value is one of a type that marshals itself where a pointer leads to it, and otherwise does not. Where that is, encoding/json
// knows.
var errPointed = errors.New("json: marshals itself only behind a pointer")

type encoder struct {
	b         []byte
	canonical bool
	err       error    // the first
	keys      []string // of the maps that are being written
}

// writer appends the value of one type that a pointer leads to. Reading through the pointer what the type says is there is half of the time saved.
type writer func(e *encoder, p unsafe.Pointer)

// writers are those of types, by reflect.Type.
var writers sync.Map

func writerOf(t reflect.Type) writer {
	if w, ok := writers.Load(t); ok {
		return w.(writer)
	}
	// A type may hold itself: until its writer is made, whoever asks for it gets one that waits.
	var made writer
	var ready sync.WaitGroup
	ready.Add(1)
	wait, there := writers.LoadOrStore(t, writer(func(e *encoder, p unsafe.Pointer) { ready.Wait(); made(e, p) }))
	if there {
		return wait.(writer)
	}
	made = newWriter(t)
	ready.Done()
	writers.Store(t, made)
	return made
}

var (
	timeType      = reflect.TypeFor[time.Time]()
	appenderType  = reflect.TypeFor[Appender]()
	marshalerType = reflect.TypeFor[json.Marshaler]()
	textType      = reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]()
)

// slice is the head of a slice.
type slice struct {
	data     unsafe.Pointer
	len, cap int
}

func newWriter(t reflect.Type) writer {
	switch p := reflect.PointerTo(t); {
	case t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface:
	case t == timeType:
		return func(e *encoder, p unsafe.Pointer) { e.time((*time.Time)(p)) }
	case t.Implements(appenderType):
		return func(e *encoder, p unsafe.Pointer) { e.appender(reflect.NewAt(t, p).Interface().(Appender)) }
	case t.Implements(marshalerType) || t.Implements(textType) || t == reflect.TypeFor[json.Number]():
		return other(t)
	case p.Implements(marshalerType) || p.Implements(textType):
		return func(e *encoder, _ unsafe.Pointer) { e.fail(errPointed) }
	}
	switch t.Kind() {
	case reflect.String:
		return func(e *encoder, p unsafe.Pointer) { e.string(*(*string)(p)) }
	case reflect.Bool:
		return func(e *encoder, p unsafe.Pointer) { e.b = strconv.AppendBool(e.b, *(*bool)(p)) }
	case reflect.Int:
		return func(e *encoder, p unsafe.Pointer) { e.int(int64(*(*int)(p))) }
	case reflect.Int64:
		return func(e *encoder, p unsafe.Pointer) { e.int(*(*int64)(p)) }
	case reflect.Uint64:
		return func(e *encoder, p unsafe.Pointer) { e.uint(*(*uint64)(p)) }
	case reflect.Float64:
		return func(e *encoder, p unsafe.Pointer) { e.float(*(*float64)(p)) }
	case reflect.Struct:
		return newStruct(t)
	case reflect.Slice:
		return newSlice(t)
	case reflect.Array:
		elements, n := newList(t.Elem()), t.Len()
		return func(e *encoder, p unsafe.Pointer) { elements(e, p, n) }
	case reflect.Map:
		return newMap(t)
	case reflect.Interface:
		if t.NumMethod() == 0 {
			return func(e *encoder, p unsafe.Pointer) { e.any(*(*any)(p)) }
		}
		return func(e *encoder, p unsafe.Pointer) { e.any(reflect.NewAt(t, p).Elem().Interface()) }
	case reflect.Pointer:
		to := writerOf(t.Elem())
		return func(e *encoder, p unsafe.Pointer) {
			if p = *(*unsafe.Pointer)(p); p == nil {
				e.b = append(e.b, "null"...)
				return
			}
			to(e, p)
		}
	}
	return other(t)
}

// newList returns what writes elements that lie side by side.
func newList(t reflect.Type) func(e *encoder, first unsafe.Pointer, n int) {
	element, size := writerOf(t), t.Size()
	return func(e *encoder, first unsafe.Pointer, n int) {
		e.b = append(e.b, '[')
		for i := range n {
			if i > 0 {
				e.b = append(e.b, ',')
			}
			element(e, unsafe.Add(first, uintptr(i)*size))
		}
		e.b = append(e.b, ']')
	}
}

func newSlice(t reflect.Type) writer {
	if t.Elem().Kind() == reflect.Uint8 {
		if p := reflect.PointerTo(t.Elem()); p.Implements(marshalerType) || p.Implements(textType) {
			return other(t)
		}
		return func(e *encoder, p unsafe.Pointer) {
			b := *(*[]byte)(p)
			if b == nil {
				e.b = append(e.b, "null"...)
				return
			}
			e.b = append(e.b, '"')
			e.b = base64.StdEncoding.AppendEncode(e.b, b)
			e.b = append(e.b, '"')
		}
	}
	elements := newList(t.Elem())
	return func(e *encoder, p unsafe.Pointer) {
		s := (*slice)(p)
		if s.data == nil {
			e.b = append(e.b, "null"...)
			return
		}
		elements(e, s.data, s.len)
	}
}

func newMap(t reflect.Type) writer {
	if t.Key().Kind() != reflect.String || t.Key().Implements(textType) {
		return other(t)
	}
	rest := other(t)
	if t == reflect.TypeFor[map[string]any]() {
		return func(e *encoder, p unsafe.Pointer) {
			if m := *(*map[string]any)(p); m != nil && e.canonical {
				rest(e, p)
			} else {
				e.values(m)
			}
		}
	}
	value := writerOf(t.Elem())
	return func(e *encoder, p unsafe.Pointer) {
		v := reflect.NewAt(t, p).Elem()
		if v.IsNil() {
			e.b = append(e.b, "null"...)
			return
		}
		if e.canonical { // its order is another
			rest(e, p)
			return
		}
		from := len(e.keys)
		for it := v.MapRange(); it.Next(); {
			e.keys = append(e.keys, it.Key().String())
		}
		keys := e.keys[from:]
		slices.Sort(keys)
		at, key := reflect.New(t.Elem()), reflect.New(t.Key()).Elem()
		e.b = append(e.b, '{')
		for i, k := range keys {
			e.member(i, k)
			key.SetString(k)
			at.Elem().Set(v.MapIndex(key))
			value(e, at.UnsafePointer())
		}
		e.b = append(e.b, '}')
		e.keys = e.keys[:from]
	}
}

func (e *encoder) member(i int, key string) {
	if i > 0 {
		e.b = append(e.b, ',')
	}
	e.string(key)
	e.b = append(e.b, ':')
}

// values is the map that decisions have most in.
func (e *encoder) values(m map[string]any) {
	if m == nil {
		e.b = append(e.b, "null"...)
		return
	}
	from := len(e.keys)
	for k := range m {
		e.keys = append(e.keys, k)
	}
	keys := e.keys[from:]
	slices.Sort(keys)
	e.b = append(e.b, '{')
	for i, k := range keys {
		e.member(i, k)
		e.any(m[k])
	}
	e.b = append(e.b, '}')
	e.keys = e.keys[:from]
}

// field is one of a struct that is written.
type field struct {
	at    uintptr
	name  string
	text  string // its name as JSON, and a colon
	write writer
	omit  func(unsafe.Pointer) bool // nil: it is always there
}

func newStruct(t reflect.Type) writer {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		if f.Anonymous {
			return other(t)
		}
		if !f.IsExported() || tag == "-" {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if name == "" {
			name = f.Name
		}
		if !plainName(name) || slices.ContainsFunc(fields, func(other field) bool { return other.name == name }) {
			return other(t)
		}
		x := field{at: f.Offset, name: name, text: `"` + name + `":`, write: writerOf(f.Type)}
		for option := range strings.SplitSeq(options, ",") {
			switch option {
			case "omitempty":
				x.omit = either(x.omit, emptyOf(f.Type))
			case "omitzero":
				x.omit = either(x.omit, zeroOf(f.Type))
			case "":
			default:
				return other(t)
			}
		}
		fields = append(fields, x)
	}
	sorted := slices.Clone(fields)
	slices.SortFunc(sorted, func(a, b field) int { return strings.Compare(a.name, b.name) })
	return func(e *encoder, p unsafe.Pointer) {
		list := fields
		if e.canonical {
			list = sorted
		}
		e.b = append(e.b, '{')
		first := true
		for i := range list {
			f := &list[i]
			x := unsafe.Add(p, f.at)
			if f.omit != nil && f.omit(x) {
				continue
			}
			if !first {
				e.b = append(e.b, ',')
			}
			first = false
			e.b = append(e.b, f.text...)
			f.write(e, x)
		}
		e.b = append(e.b, '}')
	}
}

// plainName reports whether a name is written as it is, and is one that a tag may give.
func plainName(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && r != '.' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

func either(a, b func(unsafe.Pointer) bool) func(unsafe.Pointer) bool {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(p unsafe.Pointer) bool { return a(p) || b(p) }
}

// emptyOf is what omitempty leaves out; nil: nothing of the type.
func emptyOf(t reflect.Type) func(unsafe.Pointer) bool {
	switch t.Kind() {
	case reflect.String:
		return func(p unsafe.Pointer) bool { return *(*string)(p) == "" }
	case reflect.Slice:
		return func(p unsafe.Pointer) bool { return (*slice)(p).len == 0 }
	case reflect.Map, reflect.Array:
		return func(p unsafe.Pointer) bool { return reflect.NewAt(t, p).Elem().Len() == 0 }
	case reflect.Pointer:
		return func(p unsafe.Pointer) bool { return *(*unsafe.Pointer)(p) == nil }
	case reflect.Bool:
		return func(p unsafe.Pointer) bool { return !*(*bool)(p) }
	case reflect.Interface:
		return func(p unsafe.Pointer) bool { return reflect.NewAt(t, p).Elem().IsNil() }
	case reflect.Struct:
		return nil
	}
	return func(p unsafe.Pointer) bool { return reflect.NewAt(t, p).Elem().IsZero() }
}

// zeroOf is what omitzero leaves out.
func zeroOf(t reflect.Type) func(unsafe.Pointer) bool {
	type zeroer interface{ IsZero() bool }
	is := reflect.TypeFor[zeroer]()
	switch {
	case t == timeType:
		return func(p unsafe.Pointer) bool { return (*time.Time)(p).IsZero() }
	case t.Kind() == reflect.Interface && t.Implements(is), t.Kind() == reflect.Pointer && t.Implements(is):
		return func(p unsafe.Pointer) bool {
			v := reflect.NewAt(t, p).Elem()
			return v.IsNil() || v.Kind() == reflect.Interface && v.Elem().Kind() == reflect.Pointer && v.Elem().IsNil() || v.Interface().(zeroer).IsZero()
		}
	case reflect.PointerTo(t).Implements(is):
		return func(p unsafe.Pointer) bool { return reflect.NewAt(t, p).Interface().(zeroer).IsZero() }
	}
	return func(p unsafe.Pointer) bool { return reflect.NewAt(t, p).Elem().IsZero() }
}

// any appends a value of whatever type.
func (e *encoder) any(v any) {
	switch v := v.(type) {
	case nil:
		e.b = append(e.b, "null"...)
	case string:
		e.string(v)
	case bool:
		e.b = strconv.AppendBool(e.b, v)
	case float64:
		e.float(v)
	case int:
		e.int(int64(v))
	case int64:
		e.int(v)
	case []string:
		if v == nil {
			e.b = append(e.b, "null"...)
			return
		}
		e.b = append(e.b, '[')
		for i, s := range v {
			if i > 0 {
				e.b = append(e.b, ',')
			}
			e.string(s)
		}
		e.b = append(e.b, ']')
	default:
		x := reflect.ValueOf(v)
		if x.Kind() == reflect.Pointer && !x.IsNil() {
			writerOf(x.Type().Elem())(e, x.UnsafePointer())
			return
		}
		at := reflect.New(x.Type())
		at.Elem().Set(x)
		writerOf(x.Type())(e, at.UnsafePointer())
	}
}

// other leaves values of a type to encoding/json.
func other(t reflect.Type) writer {
	return func(e *encoder, p unsafe.Pointer) {
		text, err := json.Marshal(reflect.NewAt(t, p).Elem().Interface())
		e.raw(text, err)
	}
}

func (e *encoder) raw(text []byte, err error) {
	if e.canonical && err == nil {
		err = (*jsontext.Value)(&text).Canonicalize()
	}
	e.fail(err)
	e.b = append(e.b, text...)
}

func (e *encoder) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

func (e *encoder) appender(v Appender) {
	from := len(e.b)
	var err error
	e.b, err = v.AppendJSON(e.b)
	if e.fail(err); e.canonical && err == nil {
		text := slices.Clone(e.b[from:])
		e.b = e.b[:from]
		e.raw(text, nil)
	}
}

func (e *encoder) time(t *time.Time) {
	var err error
	e.b, err = t.AppendText(append(e.b, '"'))
	e.b = append(e.b, '"')
	if err != nil {
		e.fail(fmt.Errorf("json: %s: %w", t, err))
	}
}

// exact bounds the whole numbers that every float64 has.
const exact = 1 << 53

func (e *encoder) int(n int64) {
	if e.canonical && (n > exact || n < -exact) {
		e.float(float64(n))
		return
	}
	e.b = strconv.AppendInt(e.b, n, 10)
}

func (e *encoder) uint(n uint64) {
	if e.canonical && n > exact {
		e.float(float64(n))
		return
	}
	e.b = strconv.AppendUint(e.b, n, 10)
}

// float appends a number as ECMAScript does, which is what encoding/json and RFC 8785 have in common, but for the sign of zero.
func (e *encoder) float(f float64) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		e.fail(errors.New("json: unsupported value: " + strconv.FormatFloat(f, 'g', -1, 64)))
		return
	}
	if f == math.Trunc(f) && math.Abs(f) < exact && (f != 0 || e.canonical || !math.Signbit(f)) {
		e.b = strconv.AppendInt(e.b, int64(f), 10)
		return
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	e.b = strconv.AppendFloat(e.b, f, format, -1, 64)
	if n := len(e.b); format == 'e' && n >= 4 && e.b[n-4] == 'e' && e.b[n-3] == '-' && e.b[n-2] == '0' { // e-09 is e-9
		e.b[n-2] = e.b[n-1]
		e.b = e.b[:n-1]
	}
}

// plain are the bytes that stand for themselves in any text; those of more than one byte are looked at.
var plain = func() (out [256]bool) {
	for c := byte(0x20); c < utf8.RuneSelf; c++ {
		out[c] = !strings.ContainsRune(`"\<>&`, rune(c))
	}
	return out
}()

const hex = "0123456789abcdef"

func (e *encoder) string(s string) {
	b := append(e.b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && n == 1:
				b = append(b, s[from:i]...)
				if e.canonical {
					b = append(b, "\ufffd"...)
				} else {
					b = append(b, `\ufffd`...)
				}
				from = i + n
			case (r == '\u2028' || r == '\u2029') && !e.canonical:
				b = append(b, s[from:i]...)
				b = append(b, `\u202`...)
				b = append(b, hex[r&0xf])
				from = i + n
			}
			i += n
			continue
		}
		if e.canonical && (c == '<' || c == '>' || c == '&') {
			i++
			continue
		}
		b = append(b, s[from:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, `\b`...)
		case '\f':
			b = append(b, `\f`...)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, `\u00`...)
			b = append(b, hex[c>>4], hex[c&0xf])
		}
		i++
		from = i
	}
	b = append(b, s[from:]...)
	e.b = append(b, '"')
}
