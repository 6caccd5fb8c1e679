package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"text/tabwriter"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
)

// keysCmd is dibs keys: who may call the service.
type keysCmd struct {
	Create keysCreateCmd `cmd:"" help:"Make an API key and print it, once."`
	List   keysListCmd   `cmd:"" help:"List the keys; their secrets are not kept."`
	Revoke keysRevokeCmd `cmd:"" help:"End a key; running services know within a second."`
}

// operator is the actor of what is done on the command line, by whoever may read the database's files.
var operator = deal.Actor{KeyID: "command-line", Role: "admin"}

type keysCreateCmd struct {
	databaseFlags
	Role    string   `required:"" enum:"portal,ops,policy,auditor,admin" help:"portal, ops, policy, auditor or admin."`
	Partner []string `help:"Partner id the portal key may act for; repeat it, or * for all."`
	Person  string   `placeholder:"ID" help:"Id of the person who acts with the key: what is done with it is recorded as done by that person."`
	Note    string   `help:"What the key is for."`
	Format  string   `enum:"text,json" default:"text" help:"text or json."`
}

// Run makes the key.
func (c *keysCreateCmd) Run(ctx context.Context, std stdio) error {
	e, done, err := c.openEngine(ctx, false, newLog(std.err, slog.LevelWarn))
	if err != nil {
		return err
	}
	k, token, err := e.CreateKey(ctx, engine.Request{Actor: operator}, deal.Key{Role: c.Role, PartnerIDs: c.Partner, PersonID: c.Person, Note: c.Note})
	if cerr := done(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return writeJSON(std.out, map[string]any{"id": k.ID, "role": k.Role, "partner_ids": k.PartnerIDs, "person_id": k.PersonID, "token": token})
	}
	fmt.Fprintln(std.out, token)
	fmt.Fprintf(std.err, "%s, role %s; the key above is shown this once\n", k.ID, k.Role)
	return nil
}

type keysListCmd struct {
	databaseFlags
	Format string `enum:"text,json" default:"text" help:"text or json."`
}

// Run lists the keys.
func (c *keysListCmd) Run(ctx context.Context, std stdio) error {
	st, err := c.openStore(ctx, false)
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	keys, err := st.Keys(ctx)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		for i := range keys {
			keys[i].SecretHash = nil
		}
		return writeJSON(std.out, keys)
	}
	w := tabwriter.NewWriter(std.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tROLE\tPERSON\tPARTNERS\tCREATED\tREVOKED\tNOTE")
	for _, k := range keys {
		revoked := ""
		if !k.RevokedAt.IsZero() {
			revoked = k.RevokedAt.Format("2006-01-02 15:04")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Role, k.PersonID, strings.Join(k.PartnerIDs, ","), k.CreatedAt.Format("2006-01-02 15:04"), revoked, k.Note)
	}
	return w.Flush()
}

type keysRevokeCmd struct {
	databaseFlags
	ID string `arg:"" help:"The key's id: key_…"`
}

// Run revokes the key.
func (c *keysRevokeCmd) Run(ctx context.Context, std stdio) error {
	e, done, err := c.openEngine(ctx, false, newLog(std.err, slog.LevelWarn))
	if err != nil {
		return err
	}
	err = e.RevokeKey(ctx, engine.Request{Actor: operator}, c.ID)
	if cerr := done(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.ID, err)
	}
	fmt.Fprintf(std.out, "%s is revoked\n", c.ID)
	return nil
}
