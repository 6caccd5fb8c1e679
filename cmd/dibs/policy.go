package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/document"
	"github.com/dibs-deals/dibs/internal/policy"
	"github.com/dibs-deals/dibs/internal/policytest"
	"github.com/dibs-deals/dibs/internal/territory"
)

// policyCmd is dibs policy: the programme library, and static checks of policies and territory plans.
type policyCmd struct {
	List  policyListCmd  `cmd:"" help:"List the policies that come with dibs."`
	Show  policyShowCmd  `cmd:"" help:"Print a policy of the library, or a saved version."`
	Init  policyInitCmd  `cmd:"" help:"Write a policy of the library to a file, to begin from."`
	Check policyCheckCmd `cmd:"" help:"Check a policy or a territory plan: errors by line."`
	Test  policyTestCmd  `cmd:"" help:"Run a policy's tests, or make one of a decision."`
	Diff  policyDiffCmd  `cmd:"" help:"Say what two policies, or two plans, say differently."`

	Versions policyVersionsCmd `cmd:"" help:"List the saved versions, and when each decided or will."`
	Publish  policyPublishCmd  `cmd:"" help:"Make a file, or a saved version, live: now or later."`
	Cancel   policyCancelCmd   `cmd:"" help:"Take a version off the schedule."`
}

type policyListCmd struct {
	Format string `enum:"text,json" default:"text" help:"text or json."`
}

// Run prints the name and title of every policy of the library.
func (c *policyListCmd) Run(std stdio) error {
	library := policy.Library()
	if c.Format == "json" {
		return writeJSON(std.out, library)
	}
	w := tabwriter.NewWriter(std.out, 0, 4, 2, ' ', 0)
	for _, p := range library {
		fmt.Fprintf(w, "%s\t%s\n", p.Name, p.Title)
	}
	return w.Flush()
}

type policyShowCmd struct {
	versionFlags
	Name    string `arg:"" optional:"" help:"Name of a policy of the library (dibs policy list), or a version that the database has saved (dibs policy versions): its number, or live."`
	Version string `placeholder:"N" help:"The same as the version as NAME."`
}

// Run prints the document as it is.
func (c *policyShowCmd) Run(ctx context.Context, std stdio) (err error) {
	if _, err := strconv.Atoi(c.Name); c.Version == "" && (err == nil || c.Name == deal.DocumentLive || c.Territories) {
		c.Name, c.Version = "", c.Name
	}
	if (c.Name == "") == (c.Version == "") {
		return errors.New("give the NAME of a policy of the library, or the number of a saved version; dibs policy list and dibs policy versions say what there is")
	}
	var body []byte
	if c.Name != "" {
		body, err = programme(c.Name)
	} else {
		body, err = c.saved(ctx, c.Version)
	}
	if err == nil {
		_, err = std.out.Write(body)
	}
	return err
}

func programme(name string) ([]byte, error) {
	if body, ok := policy.Programme(name); ok {
		return body, nil
	}
	var names []string
	for _, p := range policy.Library() {
		names = append(names, p.Name)
	}
	return nil, fmt.Errorf("there is no policy %q in the library; there are %s", name, strings.Join(names, ", "))
}

type policyInitCmd struct {
	Name string `arg:"" optional:"" default:"default" help:"Name of the policy to begin from."`
	Out  string `placeholder:"FILE" help:"File to write; NAME.yaml by default. An existing file is never overwritten."`
}

// Run writes the document to a new file.
func (c *policyInitCmd) Run(std stdio) error {
	body, err := programme(c.Name)
	if err != nil {
		return err
	}
	out := c.Out
	if out == "" {
		out = c.Name + ".yaml"
	}
	f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s exists already; choose another file with --out", out)
	}
	if err != nil {
		return err
	}
	if _, err := f.Write(body); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	fmt.Fprintf(std.out, "wrote %s; edit it, then run: dibs policy check %s && dibs policy test %s\n", out, out, out)
	return nil
}

// Help says more than its one line.
func (*policyCheckCmd) Help() string {
	return "Every error is named with its line and column; of a territory plan also gaps, overlaps and territories that never win. Nothing is published."
}

type policyCheckCmd struct {
	File   string `arg:"" help:"A policy or a territory plan; - reads standard input."`
	Format string `enum:"text,json" default:"text" help:"text or json."`
}

// checkReport is what dibs policy check prints as JSON.
type checkReport struct {
	File   string          `json:"file"`
	Kind   string          `json:"kind"` // policy or territories
	Name   string          `json:"name,omitempty"`
	Digest string          `json:"digest,omitempty"`
	Rules  int             `json:"rules,omitempty"`
	Tests  int             `json:"tests,omitempty"`
	Areas  int             `json:"territories,omitempty"`
	Errors document.Errors `json:"errors"`
	Warned document.Errors `json:"warnings,omitempty"` // of a policy that can be published all the same

	Findings []territory.Finding `json:"findings,omitempty"` // of a territory plan that can be read
}

// Run compiles and checks the document, as publishing it would, and prints what is wrong.
func (c *policyCheckCmd) Run(std stdio) error {
	body, err := readDocument(c.File, std.in)
	if err != nil {
		return err
	}
	report := checkReport{File: c.File, Kind: "policy", Errors: document.Errors{}}
	if territory.IsPlan(body) {
		report.Kind = "territories"
		var p *territory.Plan
		if p, err = territory.Compile(body); err == nil {
			report.Name, report.Digest, report.Areas = p.Ref().Name, p.Ref().Digest, len(p.Territories())
			report.Findings = p.Check(time.Now())
		}
	} else {
		var s *policytest.Suite
		if s, err = policytest.Load(body); err == nil {
			p := s.Policy()
			report.Name, report.Digest, report.Rules, report.Tests = p.Ref().Name, p.Ref().Digest, len(p.Rules()), s.Len()
			report.Warned = s.Warnings()
		}
	}
	if err != nil && !errors.As(err, &report.Errors) {
		return err
	}
	wrong := len(report.Errors) > 0 || territory.Problems(report.Findings) != nil
	if c.Format == "text" {
		for _, f := range report.Findings {
			fmt.Fprintf(std.out, "%s:%d:%d: %s: %s: %s\n", c.File, f.Line, f.Column, f.Severity, f.Kind, f.Message)
		}
	}
	if c.Format == "text" {
		for _, w := range report.Warned {
			fmt.Fprintf(std.out, "%s:%d:%d: warn: %s\n", c.File, w.Line, w.Column, where(w))
		}
	}
	switch {
	case c.Format == "json":
		if err := writeJSON(std.out, report); err != nil {
			return err
		}
	case len(report.Errors) > 0:
		writeErrors(std.out, c.File, report.Errors)
	case report.Kind == "policy":
		fmt.Fprintf(std.out, "%s: policy %s is in order: %d rules, %d tests, %s\n", c.File, report.Name, report.Rules, report.Tests, report.Digest)
	case wrong:
		fmt.Fprintf(std.out, "%s: territory plan %s must not be published as it is; what is meant so, the plan allows in its field policy\n", c.File, report.Name)
	default:
		fmt.Fprintf(std.out, "%s: territory plan %s is in order: %d territories, %s\n", c.File, report.Name, report.Areas, report.Digest)
	}
	if wrong {
		return errFound
	}
	return nil
}

func writeErrors(w io.Writer, file string, errs document.Errors) {
	for _, e := range errs {
		fmt.Fprintf(w, "%s:%d:%d: %s\n", file, e.Line, e.Column, where(e))
	}
}

func where(e document.Error) string {
	if e.Path == "" {
		return e.Message
	}
	return e.Path + ": " + e.Message
}

// maxDocument is more than any document may have: what is larger is not read to its end.
const maxDocument = 65 << 20

func readDocument(file string, in io.Reader) ([]byte, error) {
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	return io.ReadAll(io.LimitReader(in, maxDocument))
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
