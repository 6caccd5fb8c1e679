// Command chaos proves that many replicas give one answer: internal/chaos says how.
//
//	go run ./tools/chaos soak    [-database sqlite] [-rounds N] [-minutes M] [-out FILE]
//	go run ./tools/chaos mutants [-only NAME,…]
//
// It exits 1 when a round found something wrong, or a mutant was not caught.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/dibs-deals/dibs/internal/chaos"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (ok bool, err error) {
	if len(args) == 0 {
		return false, fmt.Errorf("say soak or mutants")
	}
	f := flag.NewFlagSet("chaos "+args[0], flag.ContinueOnError)
	folder, err := os.MkdirTemp("", "dibs-chaos-build-")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	switch args[0] {
	case "soak":
		cfg := chaos.Long("sqlite")
		f.StringVar(&cfg.Database, "database", cfg.Database, "what the replicas stand on: sqlite or postgres")
		rounds := f.Int("rounds", 0, "rounds to run; 0: until the time is over")
		minutes := f.Float64("minutes", 10, "time to begin rounds in; 0: until the rounds are done")
		out := f.String("out", "soak.jsonl", "file the results are added to")
		f.StringVar(&cfg.Keep, "keep", "", "folder for the logs of rounds that found something")
		f.DurationVar(&cfg.Load, "load", cfg.Load, "how long the clients of a round begin operations")
		f.IntVar(&cfg.Accounts, "accounts", cfg.Accounts, "accounts of the world")
		f.IntVar(&cfg.Customers, "customers", cfg.Customers, "customers that are registered")
		f.IntVar(&cfg.Clients, "clients", cfg.Clients, "clients at one time")
		f.IntVar(&cfg.Window, "window", cfg.Window, "customers that are registered at one time")
		f.DurationVar(&cfg.Every, "every", cfg.Every, "time between two faults, about")
		f.Float64Var(&cfg.Odds, "odds", cfg.Odds, "of a replica's dying at one step of one commit; it freezes while it holds the head half as often")
		if err := f.Parse(args[1:]); err != nil {
			return false, err
		}
		cfg.Freeze = cfg.Odds / 2
		if cfg.Clean, err = chaos.Build(ctx, folder, false, nil); err != nil {
			return false, err
		}
		if cfg.Program, err = chaos.Build(ctx, folder, true, nil); err != nil {
			return false, err
		}
		total, err := chaos.Soak(ctx, cfg, *out, *rounds, time.Duration(*minutes*float64(time.Minute)), os.Stdout)
		if err != nil {
			return false, err
		}
		return total.Clean(), nil
	case "mutants":
		only := f.String("only", "", "names of mutants, separated by commas; default: all")
		keep := f.String("keep", "", "folder for the logs of rounds")
		if err := f.Parse(args[1:]); err != nil {
			return false, err
		}
		var names []string
		if *only != "" {
			names = strings.Split(*only, ",")
		}
		return chaos.Hunt(ctx, folder, names, *keep, os.Stdout)
	}
	return false, fmt.Errorf("%q is neither soak nor mutants", args[0])
}
