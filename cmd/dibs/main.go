// Command dibs decides deal registrations: one binary that serves, imports, matches, audits and demonstrates.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // the programme's zone, also on images without a zone database

	"github.com/alecthomas/kong"
)

// Exit codes of every command.
const (
	exitOK    = 0
	exitFound = 1 // the command worked, and what it checked is not as it should be
	exitUsage = 2 // wrong usage, or something could not be read, written or reached
)

// errFound makes a command exit with exitFound after it has printed what it found.
var errFound = errors.New("found")

// stdio is where a command reads and writes, so that tests can hold all three ends.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// open opens a file, or standard input for "-", and returns what to call it in a message.
func (s stdio) open(path string) (in io.ReadCloser, label string, err error) {
	if path == "-" {
		return io.NopCloser(s.in), "standard input", nil
	}
	in, err = os.Open(path)
	return in, path, err
}

// commands is the whole command line. Each field is one command; its file is named after it.
type commands struct {
	Demo    demoCmd       `cmd:"" help:"Make a complete world of real organisations and serve it."`
	Serve   serveCmd      `cmd:"" help:"Run the service."`
	Import  importCmd     `cmd:"" help:"Import reference data, existing registrations or a territory plan."`
	Match   matchCommands `cmd:"" help:"Match organisations offline: ranked candidates for each query, or a judgement for each pair; and fit the model."`
	Policy  policyCmd     `cmd:"" help:"The policy library, and checks of policies and territory plans."`
	Replay  replayCmd     `cmd:"" help:"Derive recorded decisions again and compare."`
	Audit   auditCmd      `cmd:"" help:"Prove and verify what was decided."`
	Keys    keysCmd       `cmd:"" help:"API keys and their roles."`
	Jobs    jobsCmd       `cmd:"" help:"Work beside the ledger: see what was given up, and do it again."`
	Reindex reindexCmd    `cmd:"" help:"Build the index anew from the accounts, and keep it in the database (and Redis, when given) for the next start."`
	Backup  backupCmd     `cmd:"" help:"Copy a SQLite database and its signing key while the service runs."`
	Health  healthCmd     `cmd:"" help:"Ask a running service whether it is ready."`
	Version versionCmd    `cmd:"" help:"Print the version."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// run parses args and runs one command. It is main without the process, for tests.
func run(ctx context.Context, args []string, std stdio) (code int) {
	var cli commands
	exited := -1
	parser, err := kong.New(&cli,
		kong.Name("dibs"),
		kong.Description("Deal-registration conflict detection for channel sales."),
		kong.Writers(std.out, std.err),
		kong.Exit(func(c int) { exited = c; panic(parserExit{}) }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std),
		kong.UsageOnError(),
	)
	if err != nil {
		panic(err) // the command line itself is malformed: a programming error
	}
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(parserExit); !ok {
				panic(r)
			}
			code = exited
			if code != exitOK {
				code = exitUsage
			}
		}
	}()
	kctx, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(std.err, "dibs: %v\n", err)
		return exitUsage
	}
	switch err := kctx.Run(); {
	case err == nil:
		return exitOK
	case errors.Is(err, errFound):
		return exitFound
	default:
		fmt.Fprintf(std.err, "dibs: %v\n", err)
		return exitUsage
	}
}

// parserExit unwinds out of kong when it has printed help and wants the process to end.
type parserExit struct{}
