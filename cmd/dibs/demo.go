package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/desk"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/server"
	"github.com/dibs-deals/dibs/internal/world"
)

// demoCmd is dibs demo: a complete world on SQLite, served.
type demoCmd struct {
	Dir    string `default:"dibs-demo" type:"path" help:"Folder of the demo. Made when it is not there; used again when an earlier demo made it."`
	Listen string `default:"127.0.0.1:8080" help:"Address to serve on."`
	Setup  bool   `help:"Make the world, print what to do with it, and end."`
}

// demoFile marks a folder as the demo's own, and holds what has to be the same every time it is started.
const demoFile = "demo.json"

type demoState struct {
	MadeAt time.Time         `json:"made_at"`
	Keys   map[string]string `json:"keys"` // role → token; a demo's keys are no secret
	Done   bool              `json:"done"` // the world is complete
}

// Run makes the world if it has to, serves it, and prints what to try.
func (c *demoCmd) Run(ctx context.Context, std stdio) error {
	began := time.Now()
	listener, err := listen(ctx, c.Listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	state, err := c.folder()
	if err != nil {
		return err
	}
	db := databaseFlags{Database: "sqlite:" + filepath.Join(c.Dir, "dibs.db"), Origin: "dibs/demo"}
	log := newLog(std.err, slog.LevelWarn)
	tel, err := server.OpenTelemetry(ctx, version)
	if err != nil {
		return err
	}
	db.tel = tel
	e, done, err := db.openEngine(ctx, true, log)
	if err != nil {
		return err
	}
	if err := c.world(ctx, std, e, state); err != nil {
		return errors.Join(err, done())
	}
	pages, err := desk.New(desk.Config{Engine: e, Log: log})
	if err != nil {
		return errors.Join(err, done())
	}
	c.explain(std, e, state, pages, listener, time.Since(began))
	if c.Setup {
		return done()
	}
	here := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")} // a receiver on this machine can be tried
	err = serveOn(ctx, log, tel, e, nil, pages, listener, nil, 600, db.Origin, webhookFlags{WebhookAllow: here, Webhooks: true})
	return errors.Join(err, done())
}

// folder opens the demo's folder, or makes it. A folder that something else made is left alone.
func (c *demoCmd) folder() (*demoState, error) {
	state := &demoState{Keys: map[string]string{}}
	b, err := os.ReadFile(filepath.Join(c.Dir, demoFile))
	switch {
	case err == nil:
		if err := json.Unmarshal(b, state); err != nil {
			return nil, fmt.Errorf("%s: %w; remove the folder to begin anew", filepath.Join(c.Dir, demoFile), err)
		}
		return state, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	entries, err := os.ReadDir(c.Dir)
	if err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s is there and is not a demo's: give --dir with a folder of its own", c.Dir)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	state.MadeAt = time.Now().UTC().Truncate(time.Second)
	return state, c.save(state)
}

func (c *demoCmd) save(s *demoState) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(c.Dir, demoFile)
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// world loads what is not there yet. Every step can be done again: an interrupted start is finished by the next.
func (c *demoCmd) world(ctx context.Context, std stdio, e *engine.Engine, s *demoState) error {
	if s.Done {
		fmt.Fprintf(std.out, "Using the world in %s\n", c.Dir)
		return nil
	}
	fmt.Fprintf(std.out, "Making a world in %s\n", c.Dir)
	step := func(what string, do func() (int, error)) error {
		fmt.Fprintf(std.out, "  %-46s", what)
		t := time.Now()
		n, err := do()
		if err != nil {
			fmt.Fprintln(std.out, "failed")
			return fmt.Errorf("%s: %w", strings.TrimSpace(what), err)
		}
		fmt.Fprintf(std.out, "%7d  %5.1f s\n", n, time.Since(t).Seconds())
		return nil
	}
	steps := []struct {
		what string
		do   func() (int, error)
	}{
		{"partners of every type and tier", func() (int, error) { return putAll(ctx, e, world.Partners()) }},
		{"products of the price list", func() (int, error) { return putAll(ctx, e, world.Products()) }},
		{"exchange rates, month by month", func() (int, error) { return putAll(ctx, e, world.Rates()) }},
		{"people, their queues and authority", func() (int, error) { return putAll(ctx, e, world.People()) }},
		{"accounts: real organisations (ROR, H-1B)", func() (int, error) { return putAll(ctx, e, world.Accounts()) }},
		{"opportunities, direct and through partners", func() (int, error) { return putAll(ctx, e, world.Opportunities(s.MadeAt)) }},
		{"territory plan, published", func() (int, error) { return publishPlan(ctx, e, world.Territories()) }},
		{"keys, one for each role", func() (int, error) { return c.keys(ctx, e, s) }},
		{"registrations, of which four wait at the desk", func() (int, error) { return c.waiting(ctx, e, s) }},
	}
	for _, st := range steps {
		if err := step(st.what, st.do); err != nil {
			return err
		}
	}
	s.Done = true
	return c.save(s)
}

// putAll puts every row.
func putAll[T deal.Record](ctx context.Context, e *engine.Engine, rows iter.Seq[T]) (int, error) {
	n := 0
	var bad error
	_, err := engine.ImportRows(ctx, e, engine.Request{Actor: operator}, false, func(put func(engine.ImportRow) error) error {
		for r := range rows {
			n++
			if err := put(engine.ImportRow{Line: n, Record: r}); err != nil {
				return err
			}
		}
		return nil
	}, func(line int, errs deal.FieldErrors) { bad = errors.Join(bad, fmt.Errorf("row %d: %w", line, errs)) })
	return n, errors.Join(err, bad)
}

func publishPlan(ctx context.Context, e *engine.Engine, body []byte) (int, error) {
	q := engine.Request{Actor: operator}
	d, err := e.SaveDocument(ctx, q, deal.TerritoryDocument, body)
	if err != nil {
		return 0, err
	}
	_, err = e.Publish(ctx, q, deal.TerritoryDocument, d.Version)
	return 1, err
}

// demoKeys are the demo's keys: one for each role, of a person where people act, and of a second one, since some cases take two.
var demoKeys = []struct{ name, role, person string }{
	{"portal", "portal", ""}, {"ops", "ops", "u-010"}, {"second", "ops", "u-001"}, {"channel", "ops", "u-013"}, {"policy", "policy", "u-020"}, {"auditor", "auditor", "u-040"}, {"admin", "admin", ""},
}

func (c *demoCmd) keys(ctx context.Context, e *engine.Engine, s *demoState) (int, error) {
	for _, k := range demoKeys {
		if s.Keys[k.name] != "" {
			continue
		}
		var partners []string
		if k.role == "portal" {
			partners = []string{"*"}
		}
		_, token, err := e.CreateKey(ctx, engine.Request{Actor: operator}, deal.Key{Role: k.role, PartnerIDs: partners, PersonID: k.person, Note: "demo"})
		if err != nil {
			return 0, err
		}
		s.Keys[k.name] = token
		if err := c.save(s); err != nil {
			return 0, err
		}
	}
	return len(s.Keys), nil
}

// waiting files what waits at the desk, as the portal would.
func (c *demoCmd) waiting(ctx context.Context, e *engine.Engine, s *demoState) (int, error) {
	k, ok, err := e.Authenticate(ctx, s.Keys["portal"])
	if err != nil || !ok {
		return 0, errors.Join(err, errors.New("the portal's key is not known"))
	}
	list := world.Waiting(s.MadeAt)
	for i, x := range list {
		x.Filing.Normalise()
		if err := x.Filing.Validate(e.Now()).Err(); err != nil {
			return i, err
		}
		q := engine.Request{Actor: deal.Actor{KeyID: k.ID, Role: k.Role}, IdemKey: fmt.Sprintf("demo-desk-%d", i+1)}
		body, err := json.Marshal(x.Filing)
		if err != nil {
			return i, err
		}
		sum := sha256.Sum256(body)
		q.Hash = sum[:]
		if _, err := e.Register(ctx, q, x.Filing); err != nil {
			return i, err
		}
	}
	return len(list), nil
}

// explain prints the URLs, the keys and requests that can be pasted.
func (c *demoCmd) explain(std stdio, e *engine.Engine, s *demoState, pages *desk.Desk, l net.Listener, took time.Duration) {
	base := "http://" + l.Addr().String()
	ready := e.Ready(context.Background())
	out := std.out
	fmt.Fprintf(out, "\nReady after %.1f s: %d accounts, policy %s, territories %s, ledger at entry %d\n\n", took.Seconds(), ready.Accounts, ready.Policy, ready.Plan, ready.Head)
	fmt.Fprintf(out, "  API      %s/v1\n  Docs     %s/docs\n  OpenAPI  %s/openapi.yaml\n  Health   %s/readyz\n  Metrics  %s/metrics\n\n", base, base, base, base, base)
	fmt.Fprintln(out, "Keys (of this demo only):")
	for _, role := range deal.Roles { // the keys of second and channel are for their links
		fmt.Fprintf(out, "  %-8s %s\n", role, s.Keys[role])
	}
	fmt.Fprintln(out, "\nTry, in this order; each can be pasted as it stands, and pasted again gives the same answer:")
	for i, x := range world.Examples(s.MadeAt) {
		body, err := json.Marshal(x.Filing)
		if err != nil {
			continue // a filing made of literals
		}
		fmt.Fprintf(out, "\n# %d. %s (%s)\ncurl -sS %s/v1/registrations -H 'Authorization: Bearer %s' -H 'Idempotency-Key: demo-%d' -H 'Content-Type: application/json' -d '%s'\n",
			i+1, x.Title, x.Expect, base, s.Keys["portal"], i+1, strings.ReplaceAll(string(body), "'", `'\''`))
	}
	fmt.Fprintf(out, "\n# What sales operations see: the evidence of every decision, and the cases waiting for a person\n")
	fmt.Fprintf(out, "curl -sS '%s/v1/registrations?limit=5' -H 'Authorization: Bearer %s'\n", base, s.Keys["ops"])
	fmt.Fprintf(out, "curl -sS '%s/v1/cases?status=open' -H 'Authorization: Bearer %s'\n", base, s.Keys["ops"])
	fmt.Fprintf(out, "\n# Verify the whole ledger, from another terminal\n%s audit verify --database sqlite:%s\n", invoked(), filepath.Join(relative(c.Dir), "dibs.db"))
	if !c.Setup { // the links are this process's
		fmt.Fprintln(out, "\nThe review desk, where cases wait; each link signs in once. Begin with ops:")
		for _, d := range demoKeys {
			if k, ok, err := e.Authenticate(context.Background(), s.Keys[d.name]); err == nil && ok && d.role != "portal" {
				fmt.Fprintf(out, "  %-8s %s%s\n", d.name, base, pages.Link(k.ID))
			}
		}
		fmt.Fprintln(out, "  (second: a second person, for the case that takes two; channel: a channel manager, for the case of a rival's offer)")
		fmt.Fprintln(out, "\nServing; Ctrl-C ends it, and the next start finds everything as it was.")
	}
}

// invoked is how the reader started this program.
func invoked() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ./cmd/dibs"
	}
	return os.Args[0]
}

// relative shortens a path below the working folder.
func relative(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(wd, path); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return path
}
