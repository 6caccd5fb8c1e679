package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/desk"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/hooks"
	"github.com/dibs-deals/dibs/internal/policytest"
	"github.com/dibs-deals/dibs/internal/replica"
	"github.com/dibs-deals/dibs/internal/server"
)

// drainFor is how long a stopping service waits for the last commit.
const drainFor = 20 * time.Second

// serveCmd is dibs serve. Its fields are the whole configuration of the service; each is also an environment variable.
type serveCmd struct {
	databaseFlags
	redisFlags
	Listen          string `default:"127.0.0.1:8080" env:"DIBS_LISTEN" help:"Address to serve on. Put TLS in front of anything that is not loopback."`
	OpsListen       string `env:"DIBS_OPS_LISTEN" placeholder:"ADDRESS" help:"Address of its own for /metrics and /readyz, which are then not answered on --listen."`
	Policy          string `env:"DIBS_POLICY" type:"path" placeholder:"FILE" help:"Policy to publish on an empty database. On any other it must be the live one."`
	ChecksPerMinute int    `default:"60" env:"DIBS_CHECKS_PER_MINUTE" help:"Pre-checks an API key may ask in a minute."`
	webhookFlags
	LogLevel slog.Level `default:"info" env:"DIBS_LOG_LEVEL" help:"debug, info, warn or error."`
}

// webhookFlags say where events may be sent.
type webhookFlags struct {
	WebhookAllow []netip.Prefix `env:"DIBS_WEBHOOK_ALLOW" placeholder:"CIDR" help:"Private networks that webhooks may be in, as 10.1.0.0/16,…; in them http:// is allowed too. Without it events are sent to public addresses by https only."`
	WebhookKeys  string         `env:"DIBS_WEBHOOK_KEYS" placeholder:"KEYS" help:"Keys that webhooks' secrets are sealed with in the database, base64 of 32 bytes each, separated by commas: the first seals, all open. Give them in the environment, and the same to every replica."`
	Webhooks     bool           `default:"true" negatable:"" env:"DIBS_WEBHOOKS" help:"Tell webhooks of events. Turn it off on a copy of a database, which would tell the same receivers."`
}

func (w *webhookFlags) vault() (*hooks.Vault, error) {
	v, err := hooks.NewVault(w.WebhookKeys)
	if err != nil {
		return nil, fmt.Errorf("--webhook-keys, DIBS_WEBHOOK_KEYS: %w", err)
	}
	return v, nil
}

// Run serves until it is told to stop, and then finishes what it has begun.
func (c *serveCmd) Run(ctx context.Context, std stdio) error {
	log := newLog(std.err, c.LogLevel)
	body, err := c.policyFile()
	if err != nil {
		return err
	}
	if _, err := c.vault(); err != nil {
		return err
	}
	listener, err := listen(ctx, c.Listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	var ops net.Listener
	if c.OpsListen != "" {
		if ops, err = listenFor(ctx, "--ops-listen", c.OpsListen); err != nil {
			return err
		}
		defer func() { _ = ops.Close() }()
	}
	tel, err := server.OpenTelemetry(ctx, version)
	if err != nil {
		return err
	}
	c.tel = tel
	e, r, done, err := c.openReplica(ctx, true, log, body, c.Redis)
	if err != nil {
		return err
	}
	err = c.serve(ctx, std, log, e, r, body, listener, ops)
	return errors.Join(err, done())
}

// closeTelemetry sends what is left of traces and metrics, if their receiver takes it soon.
func closeTelemetry(ctx context.Context, log *slog.Logger, tel *server.Telemetry) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := tel.Close(ctx); err != nil {
		log.Warn("the last traces and metrics were not delivered", "error", err)
	}
}

func (c *serveCmd) serve(ctx context.Context, std stdio, log *slog.Logger, e *engine.Engine, r *replica.Replica, body []byte, listener, ops net.Listener) error {
	if body != nil {
		live, err := e.Live(deal.PolicyDocument)
		if err != nil {
			return err
		}
		if !bytes.Equal([]byte(live.Body), body) {
			return fmt.Errorf("the live policy of the database is %s version %d, not %s: publish it with POST /v1/policies and /publish, or leave --policy out",
				live.Name, live.Version, c.Policy)
		}
	}
	keys, err := e.Store().Keys(ctx)
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		_, token, err := e.CreateKey(ctx, engine.Request{Actor: operator}, deal.Key{Role: "admin", Note: "first start"})
		if err != nil {
			return err
		}
		fmt.Fprintf(std.out, "This database is new. Its admin key, shown this once:\n\n  %s\n\n", token)
	}
	ready := e.Ready(ctx)
	if ready.Plan == "" {
		fmt.Fprintln(std.out, "No territory plan is published: until one is, every customer counts as partner territory (dibs import territories FILE).")
	}
	if ready.Lines == 0 {
		fmt.Fprintln(std.out, "No product line is known: until the catalogue has one (dibs import products FILE) or the policy declares it (settings.lines), any word is a line, and two words are two, so that two partners can hold one customer.")
	}
	fmt.Fprintf(std.out, "dibs serves on http://%s with policy %s, %d accounts, ledger at entry %d\n", listener.Addr(), ready.Policy, ready.Accounts, ready.Head)
	if ops != nil {
		fmt.Fprintf(std.out, "Metrics and readiness are on http://%s alone\n", ops.Addr())
	}
	pages, err := desk.New(desk.Config{Engine: e, Log: log})
	if err != nil {
		return err
	}
	return serveOn(ctx, log, c.tel, e, r, pages, listener, ops, c.ChecksPerMinute, c.Origin, c.webhookFlags)
}

// serveOn runs the HTTP service on the listeners until ctx ends (see server.Server.Run), with the other replicas if r is not nil.
func serveOn(ctx context.Context, log *slog.Logger, tel *server.Telemetry, e *engine.Engine, r *replica.Replica, pages *desk.Desk, l, ops net.Listener, checks int, origin string, w webhookFlags) error {
	defer closeTelemetry(ctx, log, tel)
	cfg := server.Config{Engine: e, Log: log, Telemetry: tel, Version: version, ChecksPerMinute: checks, Desk: pages}
	var beside interface {
		Run(ctx context.Context, w replica.World)
	} = replica.NewKept(e.Store(), log)
	if r != nil {
		tel.Register(r)
		cfg.Budget, beside = r, r
	}
	vault, err := w.vault()
	if err != nil {
		return err
	}
	cfg.Hooks = hooks.New(hooks.Config{Store: e.Store(), Record: e.RecordWebhook, Position: e.Position, Source: origin, Allow: w.WebhookAllow, Vault: vault, Clock: e.Now, Log: log})
	if w.Webhooks {
		if err := cfg.Hooks.Seal(context.WithoutCancel(ctx)); err != nil { // who stops it meanwhile stops a service that is well
			return fmt.Errorf("the secrets of webhooks: %w; give the key, or --no-webhooks to serve without telling anybody", err)
		}
	}
	tel.Register(cfg.Hooks)
	running, stop := context.WithCancel(context.WithoutCancel(ctx)) // until the last request is answered, and told of
	var ended sync.WaitGroup
	ended.Go(func() { beside.Run(running, e) })
	if w.Webhooks {
		ended.Go(func() { cfg.Hooks.Run(running) })
	}
	defer func() { stop(); ended.Wait() }()
	return server.New(cfg).Run(ctx, l, ops)
}

func (c *serveCmd) policyFile() ([]byte, error) {
	if c.Policy == "" {
		return nil, nil
	}
	body, err := os.ReadFile(c.Policy)
	if err != nil {
		return nil, fmt.Errorf("--policy: %w", err)
	}
	if _, err := policytest.Load(body); err != nil {
		return nil, fmt.Errorf("--policy %s: %w", c.Policy, err)
	}
	return body, nil
}

// listen opens the address, and says what to do when somebody else has it.
func listen(ctx context.Context, address string) (net.Listener, error) {
	return listenFor(ctx, "--listen", address)
}

func listenFor(ctx context.Context, flag, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is taken by another process: stop it, or give %s 127.0.0.1:%s", address, flag, "8081")
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", flag, address, err)
	}
	return l, nil
}

// healthCmd is dibs health: what a container's health check runs.
type healthCmd struct {
	URL       string `env:"DIBS_HEALTH_URL" help:"What to ask. Without it /readyz of this machine, where DIBS_OPS_LISTEN or else DIBS_LISTEN says, or on port 8080."`
	OpsListen string `env:"DIBS_OPS_LISTEN" hidden:""`
	Listen    string `env:"DIBS_LISTEN" hidden:""`
}

// url is what to ask: a service that listens on every address of the machine is asked on the machine's own.
func (c *healthCmd) url() string {
	if c.URL != "" {
		return c.URL
	}
	host, port, err := net.SplitHostPort(cmp.Or(c.OpsListen, c.Listen, "127.0.0.1:8080"))
	if err != nil {
		host, port = "127.0.0.1", "8080"
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + "/readyz"
}

// Run exits 1 when the service is not ready.
func (c *healthCmd) Run(ctx context.Context, std stdio) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	body, status, err := get(ctx, c.url())
	if err != nil {
		fmt.Fprintf(std.out, "not reached: %v\n", err)
		return errFound
	}
	fmt.Fprintln(std.out, strings.TrimSpace(body))
	if status != 200 {
		return errFound
	}
	return nil
}
