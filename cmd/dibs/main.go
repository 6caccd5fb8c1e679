// Command dibs decides deal registrations: one binary that serves, imports, matches, audits and demonstrates.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
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
	Import  importCmd     `cmd:"" help:"Import reference data, registrations or a territory plan."`
	Match   matchCommands `cmd:"" help:"Match organisations offline, and fit the model."`
	Policy  policyCmd     `cmd:"" help:"Policies and territory plans: library, checks, versions."`
	Replay  replayCmd     `cmd:"" help:"Derive recorded decisions again and compare."`
	Audit   auditCmd      `cmd:"" help:"Prove and verify what was decided."`
	Keys    keysCmd       `cmd:"" help:"API keys and their roles."`
	Jobs    jobsCmd       `cmd:"" help:"Work beside the ledger: see what was given up, and do it again."`
	Reindex reindexCmd    `cmd:"" help:"Build the index of accounts anew, for the next start."`
	Config  configCmd     `cmd:"" help:"Print the settings in force, and where each comes from."`
	Backup  backupCmd     `cmd:"" help:"Copy a SQLite database while the service runs."`
	Restore restoreCmd    `cmd:"" help:"Put a backup where the database is, after verifying it."`
	Health  healthCmd     `cmd:"" help:"Ask a running service whether it is ready."`
	Version versionCmd    `cmd:"" help:"Print the version."`
	Help    helpCmd       `cmd:"" help:"List the commands, or say what one does and takes."`
}

// helpCmd is dibs help. It never runs: run makes --help of it, so that both say the same.
type helpCmd struct {
	Command []string `arg:"" optional:"" help:"The command; without it, all of them."`
}

// asked makes of "help COMMAND", and of no command at all, the flag that asks for the same.
func asked(args []string) []string {
	switch {
	case len(args) == 0:
		return []string{"--help"}
	case args[0] == "help":
		return append(args[1:len(args):len(args)], "--help")
	}
	return args
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
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
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
	kctx, err := parser.Parse(asked(args))
	if err != nil {
		fmt.Fprintf(std.err, "dibs: %v\n%s\n", err, hint(err, asked(args)))
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

// hint says what may have been meant by args, and where it can be read.
func hint(err error, args []string) string {
	var wrong *kong.ParseError
	if errors.As(err, &wrong) && wrong.Context != nil {
		if n := wrong.Context.Selected(); n != nil {
			return "dibs help " + commandOf(n) + " says what it takes"
		}
		if len(args) > 0 {
			for _, n := range wrong.Context.Model.Leaves(true) {
				if n.Name == args[0] { // the last word of a command of two
					return "did you mean dibs " + commandOf(n) + "?"
				}
			}
		}
	}
	return "dibs help lists the commands"
}

// commandOf is the command as it is typed, without its arguments.
func commandOf(n *kong.Node) string {
	var words []string
	for ; n != nil && n.Type == kong.CommandNode; n = n.Parent {
		words = append(words, n.Name)
	}
	slices.Reverse(words)
	return strings.Join(words, " ")
}

// parserExit unwinds out of kong when it has printed help and wants the process to end.
type parserExit struct{}
