package server

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/dibs-deals/dibs/internal/deal"
)

// operation is what the specification says about one route: who may call it and what it takes.
type operation struct {
	id     string
	roles  []string // nil: public
	query  map[string]schema
	types  []string // accepted content types; nil: the operation takes no body
	limit  int64    // bytes of body
	once   bool     // needs an Idempotency-Key
	retry  bool     // takes an Idempotency-Key
	match  bool     // needs an If-Match
	stream bool     // an import: reads for as long as rows arrive
	exempt bool     // called by probes and scrapers: not traced, not logged
}

// schema is the part of a parameter's schema that is checked here.
type schema struct {
	Ref       string   `yaml:"$ref"`
	Type      any      `yaml:"type"`
	Enum      []string `yaml:"enum"`
	Minimum   int      `yaml:"minimum"`
	Maximum   int      `yaml:"maximum"`
	MinLength int      `yaml:"minLength"`
	MaxLength int      `yaml:"maxLength"`
}

// check says what is wrong with the value of a parameter.
func (s schema) check(value string) string {
	if s.Type == "integer" {
		if n, err := strconv.Atoi(value); err != nil || n < s.Minimum || n > s.Maximum {
			return fmt.Sprintf("must be a whole number from %d to %d", s.Minimum, s.Maximum)
		}
		return ""
	}
	switch n := utf8.RuneCountInString(value); {
	case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		return "is not valid text"
	case len(s.Enum) > 0 && !slices.Contains(s.Enum, value):
		return "must be one of " + strings.Join(s.Enum, ", ")
	case n == 0 && s.MinLength > 0:
		return "must not be empty; leave it out instead"
	case n < s.MinLength:
		return fmt.Sprintf("must have %d characters at least", s.MinLength)
	case s.MaxLength > 0 && n > s.MaxLength:
		return fmt.Sprintf("is longer than %d characters", s.MaxLength)
	}
	return ""
}

type parameter struct {
	Ref      string `yaml:"$ref"`
	Name     string `yaml:"name"`
	In       string `yaml:"in"`
	Schema   schema `yaml:"schema"`
	Required bool   `yaml:"required"`
}

type requestBody struct {
	Ref     string              `yaml:"$ref"`
	Content map[string]struct{} `yaml:"content"`
}

type specification struct {
	Paths map[string]map[string]struct {
		OperationID string       `yaml:"operationId"`
		Tags        []string     `yaml:"tags"`
		Roles       []string     `yaml:"x-roles"`
		Security    *[]yaml.Node `yaml:"security"`
		Parameters  []parameter  `yaml:"parameters"`
		RequestBody requestBody  `yaml:"requestBody"`
	} `yaml:"paths"`
	Components struct {
		Parameters    map[string]parameter   `yaml:"parameters"`
		RequestBodies map[string]requestBody `yaml:"requestBodies"`
		Schemas       map[string]schema      `yaml:"schemas"`
	} `yaml:"components"`
}

// bodyLimits gives each content type its size; what is not here is not read.
var bodyLimits = map[string]int64{
	"application/json":     maxJSON,
	"application/yaml":     maxDocument,
	"application/x-ndjson": maxImport,
	"text/csv":             maxImport,
}

// operations reads the specification, keyed as Echo names a route: METHOD and the path with :parameters.
func operations(spec []byte) (map[string]*operation, error) {
	var doc specification
	if err := yaml.Unmarshal(spec, &doc); err != nil {
		return nil, fmt.Errorf("server: the specification: %w", err)
	}
	last := func(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }
	out := map[string]*operation{}
	for path, methods := range doc.Paths {
		for method, o := range methods {
			op := &operation{id: o.OperationID, roles: o.Roles, query: map[string]schema{}}
			public := o.Security != nil && len(*o.Security) == 0
			if public == (len(o.Roles) > 0) {
				return nil, fmt.Errorf("server: %s %s must either name its roles in x-roles or be public with security: []", method, path)
			}
			for _, r := range o.Roles {
				if !slices.Contains(deal.Roles, r) {
					return nil, fmt.Errorf("server: %s %s names the unknown role %q", method, path, r)
				}
			}
			for _, p := range o.Parameters {
				if p.Ref != "" {
					p = doc.Components.Parameters[last(p.Ref)]
				}
				if p.Schema.Ref != "" {
					p.Schema = doc.Components.Schemas[last(p.Schema.Ref)]
				}
				switch {
				case p.In == "query":
					op.query[p.Name] = p.Schema
				case p.In == "header" && p.Name == idempotencyHeader:
					op.once, op.retry = p.Required, true
				case p.In == "header" && p.Name == ifMatchHeader:
					op.match = p.Required
				}
			}
			body := o.RequestBody
			if body.Ref != "" {
				body = doc.Components.RequestBodies[last(body.Ref)]
			}
			for t := range body.Content {
				limit, ok := bodyLimits[t]
				if !ok {
					return nil, fmt.Errorf("server: %s %s takes %s, which has no size limit", method, path, t)
				}
				op.types = append(op.types, t)
				op.limit = max(op.limit, limit)
			}
			slices.Sort(op.types)
			op.stream = op.limit == maxImport
			op.exempt = slices.Contains([]string{"getHealth", "getReadiness", "getMetrics"}, op.id)
			out[strings.ToUpper(method)+" "+strings.NewReplacer("{", ":", "}", "").Replace(path)] = op
		}
	}
	return out, nil
}
