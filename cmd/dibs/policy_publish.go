package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/document"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/policy"
	"github.com/dibs-deals/dibs/internal/policytest"
	"github.com/dibs-deals/dibs/internal/territory"
)

// versionFlags say which documents of a database are meant.
type versionFlags struct {
	databaseFlags
	Territories bool `help:"Versions of the territory plan instead of the policy."`
}

// keyFlag says who acts. Whoever may read the database's files may act on it; a key says who it is, and makes two people of two.
type keyFlag struct {
	Key string `env:"DIBS_KEY" placeholder:"TOKEN" help:"Act as this API key of role policy or admin, and not as the command line: where a policy asks for two people, they are two keys. Give it in the environment."`
}

func (f *keyFlag) actor(ctx context.Context, e *engine.Engine) (deal.Actor, error) {
	if f.Key == "" {
		return operator, nil
	}
	k, ok, err := e.Authenticate(ctx, f.Key)
	switch {
	case err != nil:
		return deal.Actor{}, err
	case !ok:
		return deal.Actor{}, errors.New("--key is no live API key of this database; dibs keys list shows them")
	case k.Role != "policy" && k.Role != "admin":
		return deal.Actor{}, fmt.Errorf("key %s has the role %s: only policy and admin publish", k.ID, k.Role)
	}
	return deal.Actor{KeyID: k.ID, Role: k.Role, PersonID: k.PersonID}, nil
}

func (f *versionFlags) kind() string {
	if f.Territories {
		return deal.TerritoryDocument
	}
	return deal.PolicyDocument
}

// saved returns the text of a saved version: its number, or live.
func (f *versionFlags) saved(ctx context.Context, version string) (body []byte, err error) {
	st, err := f.openStore(ctx, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	docs, err := st.Documents(ctx, f.kind())
	if err != nil {
		return nil, err
	}
	deal.DocumentsAt(docs, clock())
	for _, d := range docs {
		if version == strconv.Itoa(d.Version) || version == deal.DocumentLive && d.Status == deal.DocumentLive {
			return []byte(d.Body), nil
		}
	}
	return nil, fmt.Errorf("there is no version %s; dibs policy versions lists them", version)
}

// standing says what a version has become of, to a person.
func standing(d deal.Document) string {
	if d.Status == deal.DocumentScheduled {
		return "decides from " + d.EffectiveFrom.Format(time.RFC3339) + " on"
	}
	return "is " + map[string]string{deal.DocumentLive: "live", deal.DocumentRetired: "retired", deal.DocumentDraft: "a draft"}[d.Status]
}

// policyPublishCmd is dibs policy publish.
type policyPublishCmd struct {
	versionFlags
	keyFlag
	File          string `arg:"" optional:"" help:"A policy or a territory plan; - reads standard input."`
	Version       int    `placeholder:"N" help:"Publish this saved version instead of a file: to go back, or as the second of two people."`
	EffectiveFrom string `placeholder:"TIME" help:"Decide from then on: an instant (2027-02-01T00:00:00Z), or a day (2027-02-01), which begins in the document's own zone. At once if not given."`
	Draft         bool   `help:"Save the file as a version and leave its publication to another."`
}

// Run publishes what is in order: a policy whose tests pass, a plan whose check finds no error. It exits 1 when it is not,
// and 2 where the policy asks for two people: then one saves it and another publishes it.
func (c *policyPublishCmd) Run(ctx context.Context, std stdio) (err error) {
	if (c.File == "") == (c.Version == 0) {
		return errors.New("give a FILE to publish, or --version N of what is saved")
	}
	if c.Draft && (c.Version != 0 || c.EffectiveFrom != "") {
		return errors.New("--draft saves a file and publishes nothing: leave --version and --effective-from out")
	}
	var body []byte
	if c.File != "" {
		body, err = readDocument(c.File, std.in)
		if _, number := strconv.Atoi(c.File); number == nil && errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no file %s; to publish version %s of what is saved, give --version %s", c.File, c.File, c.File)
		}
		if err != nil {
			return err
		}
		c.Territories = territory.IsPlan(body)
	}
	e, done, err := c.openEngine(ctx, false, newLog(std.err, slog.LevelWarn))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	before, err := e.Live(c.kind())
	if err != nil && !errors.Is(err, deal.ErrNotFound) {
		return err
	}
	d, err := c.publish(ctx, e, body)
	var errs document.Errors
	if errors.As(err, &errs) {
		file := c.File
		if file == "" {
			file = fmt.Sprintf("version %d", c.Version)
		}
		writeErrors(std.out, file, errs)
		return errFound
	}
	if err != nil {
		return err
	}
	if d.Kind == deal.PolicyDocument {
		if s, err := policytest.Load([]byte(d.Body)); err == nil {
			for _, w := range s.Warnings() {
				fmt.Fprintf(std.err, "%d:%d: warn: %s\n", w.Line, w.Column, where(w))
			}
		}
	}
	if said := engine.Supplants(&before, &d); said != "" && !c.Draft {
		fmt.Fprintf(std.err, "warn: %s\n", said)
	}
	if err := doubts(std, e, &d); err != nil {
		return err
	}
	fmt.Fprintf(std.out, "%s version %d %s: %s\n", d.Name, d.Version, standing(d), d.Digest)
	return nil
}

func (c *policyPublishCmd) publish(ctx context.Context, e *engine.Engine, body []byte) (deal.Document, error) {
	by, err := c.actor(ctx, e)
	if err != nil {
		return deal.Document{}, err
	}
	q := engine.Request{Actor: by}
	if c.File != "" && !c.Draft && c.kind() == deal.PolicyDocument {
		if err := policytest.Vet(ctx, body); err != nil { // before it takes a number
			return deal.Document{}, err
		}
	}
	var d deal.Document
	if c.File != "" {
		d, err = e.SaveDocument(ctx, q, c.kind(), body)
	} else if d, err = e.Document(ctx, c.kind(), c.Version); errors.Is(err, deal.ErrNotFound) {
		err = fmt.Errorf("there is no version %d; dibs policy versions lists them", c.Version)
	}
	if err != nil || c.Draft {
		return d, err
	}
	if c.EffectiveFrom == "" {
		return e.Publish(ctx, q, c.kind(), d.Version)
	}
	from, err := engine.EffectiveFrom(&d, c.EffectiveFrom)
	if err != nil {
		return d, err
	}
	return e.Schedule(ctx, q, c.kind(), d.Version, from)
}

// policyCancelCmd is dibs policy cancel.
type policyCancelCmd struct {
	versionFlags
	keyFlag
	Version int `arg:"" help:"A version that is published for an instant to come."`
}

// Run takes the version off the schedule.
func (c *policyCancelCmd) Run(ctx context.Context, std stdio) (err error) {
	e, done, err := c.openEngine(ctx, false, newLog(std.err, slog.LevelWarn))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	by, err := c.actor(ctx, e)
	if err != nil {
		return err
	}
	d, err := e.Cancel(ctx, engine.Request{Actor: by}, c.kind(), c.Version)
	if err == nil {
		fmt.Fprintf(std.out, "%s version %d %s, and will not decide\n", d.Name, d.Version, standing(d))
	}
	return err
}

// policyVersionsCmd is dibs policy versions.
type policyVersionsCmd struct {
	versionFlags
	At     string `placeholder:"TIME" help:"Only what decided at an instant (2027-02-01T00:00:00Z), or on a day (2027-02-01) in the document's own zone; past or to come."`
	Format string `enum:"text,json" default:"text" help:"text or json."`
}

// Run lists the versions as they are now, and when each decided, every time, or will.
func (c *policyVersionsCmd) Run(ctx context.Context, std stdio) (err error) {
	st, err := c.openStore(ctx, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	docs, err := st.Documents(ctx, c.kind())
	if err != nil {
		return err
	}
	deal.DocumentsAt(docs, clock())
	if c.At != "" {
		if docs, err = engine.DecidedAt(docs, c.At); err != nil {
			return err
		}
	}
	if c.Format == "json" {
		for i := range docs {
			docs[i].Body, docs[i].Holidays = "", nil
		}
		return writeJSON(std.out, docs)
	}
	w := tabwriter.NewWriter(std.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "VERSION\tNAME\tSTATUS\tFROM\tTO\tSAVED BY\tPUBLISHED BY\tDIGEST\tTITLE")
	for _, d := range docs {
		zone, err := engine.Zone(&d)
		if err != nil {
			return err
		}
		day := func(t time.Time) string {
			if t.IsZero() {
				return ""
			}
			return t.In(zone).Format("2006-01-02 15:04 MST")
		}
		line := func(p deal.Period, rest ...string) {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", rest[0], rest[1], rest[2], day(p.From), day(p.To), rest[3], p.PublishedBy, rest[4], rest[5])
		}
		periods := d.Decided()
		if d.Status == deal.DocumentScheduled {
			periods = append(periods, deal.Period{From: d.EffectiveFrom, PublishedBy: d.PublishedBy})
		}
		last := deal.Period{}
		if n := len(periods); n > 0 {
			last, periods = periods[n-1], periods[:n-1]
		}
		line(last, strconv.Itoa(d.Version), d.Name, d.Status, d.CreatedBy, d.Digest, d.Title)
		for i := range periods { // and before that, the latest first
			line(periods[len(periods)-1-i], "", "", "", "", "", "")
		}
	}
	return w.Flush()
}

// policyDiffCmd is dibs policy diff.
type policyDiffCmd struct {
	versionFlags
	Old    string `arg:"" help:"A file, the number of a saved version, live, or the name of a policy of the library."`
	New    string `arg:"" help:"Another; - reads standard input."`
	Tests  bool   `help:"List what the tests say differently too."`
	Format string `enum:"text,json" default:"text" help:"text or json."`
}

// Run prints what New says differently from Old. It exits 1 when there is something.
func (c *policyDiffCmd) Run(ctx context.Context, std stdio) error {
	var bodies [2][]byte
	for i, name := range []string{c.Old, c.New} {
		var err error
		if _, number := strconv.Atoi(name); number == nil || name == deal.DocumentLive {
			bodies[i], err = c.saved(ctx, name)
		} else if library, ok := policy.Programme(name); ok {
			bodies[i] = library
		} else {
			bodies[i], err = readDocument(name, std.in)
		}
		if err != nil {
			return err
		}
	}
	all, err := document.Diff(bodies[0], bodies[1], maxDocument)
	if err != nil {
		return err
	}
	found, tests := all[:0:0], 0
	for _, d := range all {
		if !c.Tests && (d.Path == "tests" || strings.HasPrefix(d.Path, "tests.")) {
			tests++
			continue
		}
		found = append(found, d)
	}
	if c.Format == "json" {
		if err := writeJSON(std.out, found); err != nil {
			return err
		}
	} else {
		for _, d := range found {
			switch {
			case d.Old == "":
				fmt.Fprintf(std.out, "+ %s: %s\n", d.Path, d.New)
			case d.New == "":
				fmt.Fprintf(std.out, "- %s: %s\n", d.Path, d.Old)
			default:
				fmt.Fprintf(std.out, "~ %s: %s → %s\n", d.Path, d.Old, d.New)
			}
		}
		if tests > 0 {
			fmt.Fprintf(std.out, "and %d differences of the tests, which --tests lists\n", tests)
		}
	}
	if len(all) > 0 {
		return errFound
	}
	return nil
}
