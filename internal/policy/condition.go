package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/document"
)

// operatorsAllowed are all a condition can do: compare, combine, choose, calculate and look into a list. No function
// is among them: no loops, no regular expressions, no conversions. What is left is bounded by its length and stays
// inside what can be proved about finite domains.
var operatorsAllowed = []string{
	operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional,
	operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals,
	operators.In, operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Negate,
}

func celType(t FactType) *cel.Type {
	switch t {
	case Bool:
		return cel.BoolType
	case Int:
		return cel.IntType
	case Double, Instant:
		return cel.DoubleType
	case List:
		return cel.ListType(cel.StringType)
	}
	return cel.StringType
}

// environment declares the facts, the policy's own fields and its parameters to CEL.
func (c *compiler) environment() {
	subset := env.NewLibrarySubset().SetDisableMacros(true)
	for _, op := range operatorsAllowed {
		subset.AddIncludedFunctions(env.NewFunction(op))
	}
	opts := []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(subset)),
		cel.ClearMacros(),
		cel.CrossTypeNumericComparisons(true), // reg.amount >= 50000 is what people write
		cel.ParserExpressionSizeLimit(maxCondition),
		cel.ParserRecursionLimit(100),
	}
	declare := func(name string, t *cel.Type) {
		opts = append(opts, cel.Variable(name, t))
		c.known[name] = true
	}
	for i := range Schema {
		declare(Schema[i].Name, celType(Schema[i].Type))
	}
	for name, f := range c.custom {
		declare("custom."+name, celType(f.Type))
	}
	for name, d := range c.derived {
		declare(name, d.typ)
	}
	for name, v := range c.params {
		c.known["params."+name] = true
		t := cel.ListType(cel.StringType)
		switch v.(type) {
		case types.Bool:
			t = cel.BoolType
		case types.Int:
			t = cel.IntType
		case types.Double:
			t = cel.DoubleType
		case types.String:
			t = cel.StringType
		}
		opts = append(opts, cel.Constant("params."+name, t, v))
	}
	var err error
	if c.env, err = cel.NewCustomEnv(opts...); err != nil {
		panic("policy: " + err.Error()) // the declarations above do not depend on the document's text
	}
}

// condition compiles a condition and reports everything wrong with it. It returns nil then.
func (c *compiler) condition(at document.Path, src string) cel.Program {
	if len([]rune(src)) > maxCondition {
		c.add(at, "is longer than %d characters", maxCondition)
		return nil
	}
	parsed, iss := c.env.Parse(src)
	if iss.Err() != nil {
		for _, e := range iss.Errors() {
			c.r.AddWithin(at, e.Location.Line(), e.Location.Column(), "%s", syntaxCure(src, e.Location.Line(), e.Location.Column(), strings.TrimPrefix(e.Message, "Syntax error: ")))
			break // what follows a place that cannot be read says no more
		}
		return nil
	}
	k := &checker{c: c, at: at, info: parsed.NativeRep().SourceInfo()}
	if !k.names(parsed.NativeRep().Expr()) {
		return nil
	}
	checked, iss := c.env.Check(parsed)
	if iss.Err() != nil {
		for _, e := range iss.Errors() {
			c.r.AddWithin(at, e.Location.Line(), e.Location.Column(), "%s", typeCure(e.Message))
		}
		return nil
	}
	if checked.OutputType() != cel.BoolType {
		c.add(at, "the condition is a %s; it must be true or false", checked.OutputType())
		return nil
	}
	k.refs = checked.NativeRep().ReferenceMap()
	if !k.texts(checked.NativeRep().Expr()) {
		return nil
	}
	c.edges, c.internal = nil, k.internal()
	for _, r := range k.refs {
		c.read = append(c.read, r.Name)
		c.used[r.Name] = true
	}
	k.boundaries(checked.NativeRep().Expr())
	prog, err := c.env.Program(checked, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		c.add(at, "%v", err)
		return nil
	}
	return prog
}

var wordOperators = map[string]string{"and": "&&", "or": "||", "not": "!", "AND": "&&", "OR": "||", "NOT": "!"}

// syntaxCure says what to write instead of what cannot be read at a place (line from 1, column from 0) of a condition.
func syntaxCure(src string, line, col int, message string) string {
	lines := strings.Split(src, "\n")
	rest := ""
	if line >= 1 && line <= len(lines) && col >= 0 && col <= len([]rune(lines[line-1])) {
		rest = string([]rune(lines[line-1])[col:])
	}
	word := rest
	if i := strings.IndexFunc(rest, func(r rune) bool { return r == ' ' || r == '(' }); i > 0 {
		word = rest[:i]
	}
	before := ""
	if line >= 1 && line <= len(lines) {
		before = string([]rune(lines[line-1])[:min(col, len([]rune(lines[line-1])))])
	}
	digit := before != "" && before[len(before)-1] >= '0' && before[len(before)-1] <= '9'
	switch {
	case wordOperators[word] != "":
		return fmt.Sprintf("%q is not an operator; write %s", word, wordOperators[word])
	case strings.HasPrefix(rest, "=>"):
		return "=> is not an operator; write >="
	case strings.HasPrefix(rest, "=<"):
		return "=< is not an operator; write <="
	case strings.HasPrefix(rest, "<>"), strings.HasPrefix(before, "<") && strings.HasPrefix(rest, ">"):
		return "<> is not an operator; write !="
	case strings.HasPrefix(rest, "="):
		return "= does not compare; write =="
	case digit && strings.HasPrefix(rest, ","):
		return "write the number without separators: 100000"
	case digit && word != "" && !strings.HasPrefix(word, ")"):
		return fmt.Sprintf("write the number without %q: conditions compare plain numbers, days as days", word)
	case strings.HasPrefix(rest, "&"), strings.HasPrefix(rest, "|"):
		return "write && for and, || for or"
	case rest == "":
		return "the condition ends too early: a fact, a value or a bracket is missing"
	}
	return "cannot be read from here on: " + message
}

var overload = regexp.MustCompile(`no matching overload for '([^']*)' applied to '\((.*)\)'`)

// typeCure says what to write instead of a comparison of things that do not compare.
func typeCure(message string) string {
	m := overload.FindStringSubmatch(message)
	if m == nil {
		return message
	}
	x, y, _ := strings.Cut(m[2], ", ")
	names := map[string]string{"double": "a number", "int": "a whole number", "string": "a text", "bool": "true or false", "list(string)": "a list of texts"}
	say := func(t string) string {
		if n := names[t]; n != "" {
			return n
		}
		return t
	}
	out := fmt.Sprintf("found no matching overload: %s does not take %s and %s", spoken(m[1]), say(x), say(y))
	if y == "" {
		out = fmt.Sprintf("found no matching overload: %s does not take %s", spoken(m[1]), say(x))
	}
	has := func(t string) bool { return x == t || y == t }
	number := has("double") || has("int")
	switch {
	case m[1] == operators.In && y != "list(string)":
		return out + `; write a list: in ["a", "b"]`
	case has("list(string)") && has("string"):
		return out + `; ask whether the list holds it: "a" in reg.lines`
	case number && has("string"):
		return out + "; write the number without quotes"
	case has("bool") && has("string"):
		return out + "; write true or false without quotes, or the fact by itself"
	case number && has("bool"):
		return out + "; compare the number with a number"
	}
	return out
}

// checker walks one condition for what CEL itself does not know: which names there are, and which texts a fact can
// have.
type checker struct {
	c    *compiler
	at   document.Path
	info *ast.SourceInfo
	refs map[int64]*ast.ReferenceInfo
}

func (k *checker) fail(e ast.Expr, format string, args ...any) bool {
	loc := k.info.GetStartLocation(e.ID())
	k.c.r.AddWithin(k.at, max(loc.Line(), 1), max(loc.Column(), 0), format, args...)
	return false
}

// qualified returns the dotted name an expression spells, and its first part.
func qualified(e ast.Expr) (name string, first ast.Expr, ok bool) {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent(), e, true
	case ast.SelectKind:
		if e.AsSelect().IsTestOnly() {
			return "", nil, false
		}
		head, first, ok := qualified(e.AsSelect().Operand())
		return head + "." + e.AsSelect().FieldName(), first, ok
	}
	return "", nil, false
}

// names reports names that are no fact and no parameter, functions, and constructions that are not allowed.
func (k *checker) names(e ast.Expr) bool {
	switch e.Kind() {
	case ast.IdentKind, ast.SelectKind:
		name, first, ok := qualified(e)
		if !ok {
			return k.fail(e, "only facts and parameters have names with dots")
		}
		if k.c.known[name] {
			return true
		}
		switch {
		case strings.HasPrefix(name, "params."):
			return k.fail(first, "there is no parameter %s%s", name, k.c.meant(name))
		case strings.HasPrefix(name, "custom."):
			return k.fail(first, "settings.custom does not declare %s%s", name, k.c.meant(name))
		}
		return k.fail(first, "there is no fact %s%s", name, k.c.meant(name))
	case ast.LiteralKind:
		switch e.AsLiteral().(type) {
		case types.Bool, types.Int, types.Double, types.String:
			return true
		}
		return k.fail(e, "write a text, a number, true or false")
	case ast.ListKind:
		ok := true
		for _, x := range e.AsList().Elements() {
			ok = k.names(x) && ok
		}
		return ok
	case ast.CallKind:
		call := e.AsCall()
		if call.IsMemberFunction() || !slices.Contains(operatorsAllowed, call.FunctionName()) {
			return k.fail(e, "%s is not available: conditions compare facts (== != < <= > >= in), combine them (&& || ! ?:) and calculate (+ - * /)", spoken(call.FunctionName()))
		}
		ok := true
		for _, x := range call.Args() {
			ok = k.names(x) && ok
		}
		return ok
	}
	return k.fail(e, "mappings and objects are not available")
}

// spoken returns a function's name as it is written in a condition.
func spoken(fn string) string {
	if op, ok := operators.FindReverse(fn); ok && op != "" {
		return op
	}
	switch fn {
	case operators.Index:
		return "[ ]"
	}
	return fn + "()"
}

// fact returns the values a name can have: closed tells whether there is a list of them.
func (k *checker) fact(e ast.Expr) (name string, values []string, closed, ok bool) {
	r, is := k.refs[e.ID()]
	if !is || r.Value != nil || r.Name == "" || len(r.OverloadIDs) > 0 {
		return "", nil, false, false
	}
	if cn, custom := customName(r.Name); custom {
		f := k.c.custom[cn]
		return r.Name, append([]string{""}, f.Values...), f.Type == Enum, true
	}
	if d := k.c.derived[r.Name]; d != nil {
		return r.Name, d.values, d.values != nil, true
	}
	if _, is := lookup(r.Name); !is {
		return "", nil, false, false
	}
	values, closed = k.c.p.settings.Values(r.Name)
	return r.Name, values, closed, true
}

// Values returns the texts a fact can have, those the policy declares included; closed tells whether there is a list.
func (s Settings) Values(fact string) (values []string, closed bool) {
	i, ok := lookup(fact)
	if !ok {
		return nil, false
	}
	values = Schema[i].Values
	switch {
	case fact == "partner.tier":
		values = append([]string{""}, s.Tiers...)
	case fact == "reg.lines" && len(s.Lines) > 0:
		values = s.Lines
	case strings.HasPrefix(fact, "conflict.") && strings.HasSuffix(fact, ".stage"):
		values = append([]string{""}, s.Stages...)
	}
	return values, values != nil
}

// constants returns the texts of an expression that is made of constant texts only: a literal, a parameter, a list.
func (k *checker) constants(e ast.Expr) (at []ast.Expr, texts []string, ok bool) {
	add := func(v ref.Val) bool {
		if s, is := v.(types.String); is {
			at, texts = append(at, e), append(texts, string(s))
			return true
		}
		if v.Type() == types.ListType {
			for _, s := range native(v).([]string) {
				at, texts = append(at, e), append(texts, s)
			}
			return true
		}
		return false
	}
	switch e.Kind() {
	case ast.LiteralKind:
		ok = add(e.AsLiteral())
	case ast.ListKind:
		for _, x := range e.AsList().Elements() {
			a, t, is := k.constants(x)
			if !is {
				return nil, nil, false
			}
			at, texts = append(at, a...), append(texts, t...)
		}
		ok = true
	default:
		if r, is := k.refs[e.ID()]; is && r.Value != nil {
			ok = add(r.Value)
		}
	}
	return at, texts, ok
}

// texts reports texts a fact can never have, and texts that are compared with anything but a fact: those could not
// be checked.
func (k *checker) texts(e ast.Expr) bool {
	switch e.Kind() {
	case ast.CallKind:
		call := e.AsCall()
		switch call.FunctionName() {
		case operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
			for _, x := range call.Args() {
				if name, _, _, is := k.fact(x); is && (name == "partner.tier" || strings.HasSuffix(name, ".stage")) {
					rank := map[bool]string{true: "partner.tier_rank", false: strings.TrimSuffix(name, ".stage") + ".stage_no"}[name == "partner.tier"]
					return k.fail(e, "texts have no order; compare %s, which is its place in settings", rank)
				}
			}
		case operators.Equals, operators.NotEquals, operators.In:
			x, y := call.Args()[0], call.Args()[1]
			if _, _, _, is := k.fact(x); !is {
				x, y = y, x
			}
			if name, values, closed, is := k.fact(x); is {
				if at, texts, is := k.constants(y); is {
					return k.within(name, values, closed, at, texts)
				}
			}
		}
		ok := true
		for _, x := range call.Args() {
			ok = k.texts(x) && ok
		}
		return ok
	case ast.ListKind:
		ok := true
		for _, x := range e.AsList().Elements() {
			ok = k.texts(x) && ok
		}
		return ok
	case ast.LiteralKind:
		if _, is := e.AsLiteral().(types.String); is {
			return k.fail(e, "compare the text %s with a fact directly, with == != or in", e.AsLiteral().Value())
		}
	}
	return true
}

func (k *checker) within(name string, values []string, closed bool, at []ast.Expr, texts []string) bool {
	ok := true
	for i, s := range texts {
		switch {
		case closed && !slices.Contains(values, s):
			shown := slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
			ok = k.fail(at[i], "%s is never %q; it is one of %s%s", name, s, strings.Join(shown, ", "), didYouMean(s, shown))
		case strings.HasSuffix(name, "country") && s != "" && !deal.IsCountry(s):
			ok = k.fail(at[i], "%q is not an ISO 3166-1 alpha-2 country code such as DE or US", s)
		}
	}
	return ok
}

// internal reports whether the condition reads anything that partners may not.
func (k *checker) internal() bool {
	for _, r := range k.refs {
		if i, is := lookup(r.Name); is && Schema[i].Visibility == Internal {
			return true
		}
		if d := k.c.derived[r.Name]; d != nil && d.internal {
			return true
		}
	}
	return false
}

// mirrored is the comparison with its sides changed.
var mirrored = map[string]string{
	operators.Less: operators.Greater, operators.LessEquals: operators.GreaterEquals,
	operators.Greater: operators.Less, operators.GreaterEquals: operators.LessEquals,
}

// boundaries collects the comparisons of a fact with a number.
func (k *checker) boundaries(e ast.Expr) {
	if e.Kind() != ast.CallKind {
		return
	}
	call := e.AsCall()
	if fn := call.FunctionName(); mirrored[fn] != "" {
		x, y := call.Args()[0], call.Args()[1]
		if _, _, _, is := k.fact(x); !is {
			x, y, fn = y, x, mirrored[fn]
		}
		if name, _, _, is := k.fact(x); is {
			if v, param, is := k.constant(y); is && !asksIfKnown(name, fn, v) {
				k.c.edges = append(k.c.edges, Boundary{Fact: name, Op: spoken(fn), Value: v, Param: param})
			}
		}
	}
	for _, x := range call.Args() {
		k.boundaries(x)
	}
}

// asksIfKnown reports whether a comparison only asks whether a number is known: what is unknown is -1.
func asksIfKnown(name, fn string, v float64) bool {
	i, ok := lookup(name)
	return ok && Schema[i].Default == int64(-1) && v == 0 && (fn == operators.GreaterEquals || fn == operators.Less)
}

// constant returns the number an expression stands for: a literal or a parameter.
func (k *checker) constant(e ast.Expr) (v float64, param string, ok bool) {
	var val ref.Val
	if e.Kind() == ast.LiteralKind {
		val = e.AsLiteral()
	} else if r, is := k.refs[e.ID()]; is && r.Value != nil {
		val, param = r.Value, r.Name
	}
	switch x := val.(type) {
	case types.Int:
		return float64(x), param, true
	case types.Double:
		return float64(x), param, true
	}
	return 0, "", false
}
