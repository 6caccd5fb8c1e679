package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/document"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/policytest"
	"github.com/dibs-deals/dibs/internal/territory"
)

// versionFlags say which documents of a database are meant.
type versionFlags struct {
	databaseFlags
	Territories bool `help:"Versions of the territory plan instead of the policy."`
}

func (f *versionFlags) kind() string {
	if f.Territories {
		return deal.TerritoryDocument
	}
	return deal.PolicyDocument
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
		if body, err = readDocument(c.File, std.in); err != nil {
			return err
		}
		c.Territories = territory.IsPlan(body)
	}
	e, done, err := c.openEngine(ctx, false, newLog(std.err, slog.LevelWarn))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
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
	if err == nil {
		fmt.Fprintf(std.out, "%s version %d %s: %s\n", d.Name, d.Version, standing(d), d.Digest)
	}
	return err
}

func (c *policyPublishCmd) publish(ctx context.Context, e *engine.Engine, body []byte) (deal.Document, error) {
	q := engine.Request{Actor: operator}
	if c.File != "" && !c.Draft && c.kind() == deal.PolicyDocument {
		if err := policytest.Vet(ctx, body); err != nil { // before it takes a number
			return deal.Document{}, err
		}
	}
	var d deal.Document
	var err error
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
	Version int `arg:"" help:"A version that is published for an instant to come."`
}

// Run takes the version off the schedule.
func (c *policyCancelCmd) Run(ctx context.Context, std stdio) (err error) {
	e, done, err := c.openEngine(ctx, false, newLog(std.err, slog.LevelWarn))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	d, err := e.Cancel(ctx, engine.Request{Actor: operator}, c.kind(), c.Version)
	if err == nil {
		fmt.Fprintf(std.out, "%s version %d %s, and will not decide\n", d.Name, d.Version, standing(d))
	}
	return err
}

// policyVersionsCmd is dibs policy versions.
type policyVersionsCmd struct {
	versionFlags
	Format string `enum:"text,json" default:"text" help:"text or json."`
}

// Run lists the versions as they are now, and when each decided or will.
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
	if c.Format == "json" {
		for i := range docs {
			docs[i].Body = ""
		}
		return writeJSON(std.out, docs)
	}
	day := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format("2006-01-02 15:04")
	}
	w := tabwriter.NewWriter(std.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "VERSION\tNAME\tSTATUS\tFROM\tTO\tSAVED BY\tPUBLISHED BY\tDIGEST")
	for _, d := range docs {
		to := d.EffectiveTo
		if d.Status == deal.DocumentScheduled {
			to = time.Time{}
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", d.Version, d.Name, d.Status, day(d.EffectiveFrom), day(to), d.CreatedBy, d.PublishedBy, d.Digest)
	}
	return w.Flush()
}
