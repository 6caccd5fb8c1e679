package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/document"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/policytest"
)

// policyTestCmd is dibs policy test.
type policyTestCmd struct {
	databaseFlags
	File    string `arg:"" optional:"" help:"A policy with its tests; - reads standard input."`
	From    string `placeholder:"ID" help:"Print a test made from a recorded decision, or from the current one of a registration, instead."`
	Verbose bool   `short:"v" help:"List the cases that passed too."`
	Format  string `enum:"text,json" default:"text" help:"text or json."`
}

// Run runs every case. It exits 1 when one fails, or when the coverage the tests demand is not reached.
func (c *policyTestCmd) Run(ctx context.Context, std stdio) error {
	if (c.File == "") == (c.From == "") {
		return errors.New("give a FILE to test, or --from ID to make a test")
	}
	if c.From != "" {
		return c.make(ctx, std)
	}
	body, err := readDocument(c.File, std.in)
	if err != nil {
		return err
	}
	suite, err := policytest.Load(body)
	if err != nil {
		var errs document.Errors
		if !errors.As(err, &errs) {
			return err
		}
		if c.Format == "json" {
			err = writeJSON(std.out, checkReport{File: c.File, Kind: "policy", Errors: errs})
		} else {
			writeErrors(std.out, c.File, errs)
			err = nil
		}
		return errors.Join(errFound, err)
	}
	report, err := suite.Run(ctx)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		err = writeJSON(std.out, report)
	} else {
		err = report.Write(std.out, c.File, c.Verbose)
	}
	if err == nil && !report.OK() {
		return errFound
	}
	return err
}

// make prints the case that holds a recorded decision to what it was.
func (c *policyTestCmd) make(ctx context.Context, std stdio) (err error) {
	st, err := c.openStore(ctx, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	d, err := engine.FindDecision(ctx, st, c.From)
	if errors.Is(err, deal.ErrNotFound) {
		return fmt.Errorf("the ledger has no decision for %s", c.From)
	}
	if err != nil {
		return err
	}
	under, err := st.Document(ctx, deal.PolicyDocument, d.Policy.Version)
	if err != nil {
		return err
	}
	text, err := policytest.FromDecision(&d, under.Body)
	if err == nil {
		_, err = std.out.Write(text)
	}
	return err
}
