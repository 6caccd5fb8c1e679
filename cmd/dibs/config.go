package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/dibs-deals/dibs/internal/document"
	"github.com/dibs-deals/dibs/internal/match"
)

// configCmd is dibs config. It takes what dibs serve takes.
type configCmd struct {
	serveCmd
	Format string `enum:"text,json" default:"text" help:"text or json."`
}

// Help says more than its one line.
func (*configCmd) Help() string {
	return "Takes the flags and the environment of dibs serve, and says what it would run with. Passwords and keys are not shown."
}

// setting is one setting of the service, as it is in force.
type setting struct {
	Name    string `json:"name"`
	Flag    string `json:"flag"`
	Env     string `json:"env,omitempty"`
	Value   string `json:"value"`  // empty: none
	Source  string `json:"source"` // flag, environment or default
	Meaning string `json:"meaning"`
}

// beside is a variable of the environment that is read and is no setting of the service's own.
type beside struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Note  string `json:"note,omitempty"` // why it is not what it looks like
}

// Run prints the settings, and refuses those with which dibs serve would not start.
func (c *configCmd) Run(std stdio, k *kong.Context) error {
	var out struct {
		Settings    []setting `json:"settings"`
		Environment []beside  `json:"environment"`
	}
	var err error
	if out.Settings, err = c.settings(k); err != nil {
		return err
	}
	out.Environment = otherVariables(k, os.Environ())
	if c.Format == "json" {
		err = writeJSON(std.out, out)
	} else {
		err = c.text(std.out, out.Settings, out.Environment)
	}
	if err != nil {
		return err
	}
	if _, _, err := c.path(); err != nil {
		return err
	}
	_, err = c.vault()
	return err
}

func (c *configCmd) text(w io.Writer, settings []setting, environment []beside) error {
	var b strings.Builder
	for _, s := range settings {
		fmt.Fprintf(&b, "%s\n  = %s (%s)\n  %s\n\n", strings.TrimSuffix(s.Flag+", "+s.Env, ", "), cmp.Or(s.Value, "none"), s.Source, s.Meaning)
	}
	for _, e := range environment {
		fmt.Fprintf(&b, "%s\n  = %s\n", e.Name, e.Value)
		if e.Note != "" {
			fmt.Fprintf(&b, "  %s\n", e.Note)
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, strings.TrimSuffix(b.String(), "\n"))
	return err
}

// settings are those of dibs serve, in the order of its help.
func (c *configCmd) settings(k *kong.Context) ([]setting, error) {
	given := map[*kong.Flag]bool{}
	for _, p := range k.Path {
		if p.Flag != nil && !p.Resolved {
			given[p.Flag] = true
		}
	}
	out := []setting{}
	for _, f := range k.Selected().Flags {
		if f.Name == "help" || f.Name == "format" {
			continue
		}
		s := setting{Name: strings.ReplaceAll(f.Name, "-", "_"), Flag: "--" + f.Name, Source: "default", Meaning: f.Help}
		if len(f.Envs) > 0 {
			s.Env = f.Envs[0]
		}
		if _, set := os.LookupEnv(s.Env); set {
			s.Source = "environment"
		}
		if given[f] {
			s.Source = "flag"
		}
		v, err := shown(f.Name, f.Target)
		if err != nil {
			return nil, err
		}
		s.Value = v
		out = append(out, s)
	}
	for i := range out { // what is none, and stands for something
		switch s := &out[i]; {
		case s.Value != "":
		case s.Name == "signing_key":
			s.Value, _ = c.keyFile() // without a database that can be, there is none
		case s.Name == "model":
			ref := match.Default().Ref()
			s.Value = fmt.Sprintf("%s %d, embedded", ref.Name, ref.Version)
		}
	}
	return out, nil
}

// shown is a value as it is shown.
func shown(flag string, v reflect.Value) (string, error) {
	if text := v.String(); text != "" && (flag == "webhook-keys" || (flag == "database" || flag == "redis") && !strings.HasPrefix(text, "sqlite:") && !strings.Contains(text, "://")) {
		return hidden, nil // what is no URL may be anything
	}
	if v.Kind() == reflect.String {
		return withoutPassword(v.String()), nil
	}
	if v.Kind() == reflect.Slice && v.Len() == 0 {
		return "", nil
	}
	b, err := json.Marshal(v.Interface()) // as a configuration would write it: names of levels, networks
	if err != nil {
		return "", err
	}
	return strings.NewReplacer(`"`, "", "[", "", "]", "").Replace(string(b)), nil
}

const hidden = "(hidden)"

// withoutPassword hides what a URL holds that opens something: the password before the host, and parameters that are named as one. What
// is no URL is returned as it is.
func withoutPassword(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 { // the last: a password may have one, or a question mark, badly quoted
		if user, _, has := strings.Cut(rest[:at], ":"); has {
			rest = user + ":" + hidden + rest[at:]
		}
	}
	rest, query, asked := strings.Cut(rest, "?")
	if !asked {
		return scheme + "://" + rest
	}
	params := strings.Split(query, "&")
	for i, p := range params {
		name, _, _ := strings.Cut(p, "=")
		if secretName(name) {
			params[i] = name + "=" + hidden
		}
	}
	return scheme + "://" + rest + "?" + strings.Join(params, "&")
}

// secretName reports whether a name is that of something that opens something. A file that holds it is none.
func secretName(name string) bool {
	n := strings.ToLower(name)
	return !strings.HasSuffix(n, "file") && slices.ContainsFunc([]string{"pass", "secret", "token", "headers", "dibs_key", "webhook_keys"}, func(s string) bool { return strings.Contains(n, s) })
}

// otherVariables are those of the environment that the service, or what it is made of, reads beside its own settings; and those that are
// named like a setting and are none.
func otherVariables(k *kong.Context, environment []string) []beside {
	var own, known []string
	for _, f := range k.Selected().Flags {
		own = append(own, f.Envs...)
	}
	for _, n := range k.Model.Leaves(false) {
		for _, f := range n.Flags {
			known = append(known, f.Envs...)
		}
	}
	out := []beside{}
	for _, pair := range environment {
		name, value, _ := strings.Cut(pair, "=")
		e := beside{Name: name, Value: withoutPassword(value)}
		if secretName(name) {
			e.Value = hidden
		}
		switch {
		case slices.Contains(own, name):
			continue
		case slices.Contains(known, name):
			e.Note = "of other commands than dibs serve"
		case strings.HasPrefix(name, "DIBS_"):
			e.Value, e.Note = hidden, "no setting has this name"
			if n := document.Nearest(name, known); n != "" {
				e.Note += "; did you mean " + n + "?"
			}
		case !strings.HasPrefix(name, "OTEL_") && !slices.Contains(libpq, name) && name != "GOMEMLIMIT" && name != "GOMAXPROCS":
			continue
		}
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b beside) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// libpq are the variables that the connection to PostgreSQL goes by where its URL says nothing.
var libpq = []string{"PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGPASSFILE", "PGSERVICE", "PGSERVICEFILE", "PGSSLMODE", "PGSSLCERT", "PGSSLKEY",
	"PGSSLROOTCERT", "PGSSLPASSWORD", "PGSSLSNI", "PGAPPNAME", "PGCONNECT_TIMEOUT", "PGTARGETSESSIONATTRS", "PGTZ", "PGOPTIONS"}
