package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/policytest"
	"github.com/dibs-deals/dibs/internal/replica"
	"github.com/dibs-deals/dibs/internal/server"
	"github.com/dibs-deals/dibs/internal/store"
	"github.com/dibs-deals/dibs/internal/store/postgres"
	"github.com/dibs-deals/dibs/internal/store/sqlite"
)

// databaseFlags say where the database is, and its signing key. Every command that touches a database has them.
type databaseFlags struct {
	Database   string `default:"sqlite:dibs-data/dibs.db" env:"DIBS_DATABASE" placeholder:"URL" help:"Database: sqlite:PATH, or postgres://USER@HOST/NAME for several replicas. Give a password in the environment: PGPASSWORD, PGPASSFILE, or the whole URL."`
	SigningKey string `env:"DIBS_SIGNING_KEY" type:"path" placeholder:"FILE" help:"File of the ledger's signing key; made on first start, and the same for all replicas. Default: ledger.key beside the SQLite database, dibs-data/ledger.key with PostgreSQL."`
	RotateKey  bool   `name:"rotate-signing-key" help:"Go on with a new signing key when the file is not there. Receipts given so far stay valid under the old key, which is in the ledger."`
	Origin     string `default:"dibs/ledger" env:"DIBS_ORIGIN" help:"Name of the ledger in its checkpoints, set when the signing key is made."`

	Model string `env:"DIBS_MODEL" placeholder:"FILE" help:"File of the matcher's model, as dibs match fit writes it; the same for all replicas and commands. Default: the embedded one."`

	anew bool              // read the accounts themselves, not a snapshot of them
	tel  *server.Telemetry // watches what is opened; nil: nobody does
}

// defaultFolder is where files are that have no place of their own.
const defaultFolder = "dibs-data"

// path returns the file of the SQLite database; ok is false for a PostgreSQL database.
func (f *databaseFlags) path() (path string, ok bool, err error) {
	path, ok = strings.CutPrefix(f.Database, "sqlite:")
	switch {
	case ok && path != "":
		return path, true, nil
	case strings.HasPrefix(f.Database, "postgres://"), strings.HasPrefix(f.Database, "postgresql://"):
		return "", false, nil
	}
	kind, _, named := strings.Cut(f.Database, ":") // what follows may hold a password
	if !named {
		kind = ""
	}
	return "", false, fmt.Errorf("--database %s:… is neither sqlite:PATH nor postgres://USER@HOST/NAME", kind)
}

// openStore opens the database; create says whether one may be made.
func (f *databaseFlags) openStore(ctx context.Context, create bool) (store.Store, error) {
	path, file, err := f.path()
	switch {
	case err != nil:
		return nil, err
	case !file:
		cfg := postgres.Config{URL: f.Database, Existing: !create}
		if f.tel != nil {
			cfg.Tracer = f.tel.Postgres()
		}
		return postgres.Open(ctx, cfg)
	case create:
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, fmt.Errorf("folder of the database: %w", err)
		}
	default:
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("there is no database at %s: give --database, or make one with dibs serve", path)
		}
	}
	return sqlite.Open(ctx, sqlite.Config{Path: path, Existing: !create})
}

// openEvidence opens the database to be read, and leaves it as it is.
func (f *databaseFlags) openEvidence(ctx context.Context) (store.Store, error) {
	path, file, err := f.path()
	switch {
	case err != nil:
		return nil, err
	case !file:
		return postgres.Open(ctx, postgres.Config{URL: f.Database, ReadOnly: true})
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("there is no database at %s: give --database", path)
	}
	return sqlite.Open(ctx, sqlite.Config{Path: path, ReadOnly: true})
}

// keyFile returns the file of the signing key.
func (f *databaseFlags) keyFile() (string, error) {
	if f.SigningKey != "" {
		return f.SigningKey, nil
	}
	path, file, err := f.path()
	if err != nil {
		return "", err
	}
	folder := defaultFolder
	if file {
		folder = filepath.Dir(path)
	}
	return filepath.Join(folder, "ledger.key"), nil
}

// openSigner opens the signing key. It is made with a new ledger; one that has entries has a key somewhere, and no other
// is good.
func (f *databaseFlags) openSigner(ctx context.Context, st store.Store) (*ledger.Signer, error) {
	file, err := f.keyFile()
	if err != nil {
		return nil, err
	}
	head, err := st.Head(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(file); head.Seq > 0 && !f.RotateKey && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the ledger has %d entries and its signing key %s is not there: put it back, give --signing-key (all replicas have one key), or go on with a new one with --rotate-signing-key", head.Seq, file)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("folder of the signing key: %w", err)
	}
	signer, err := ledger.OpenSigner(file, f.Origin)
	if err != nil || f.RotateKey {
		return signer, err
	}
	keys, err := st.Documents(ctx, deal.SignerDocument)
	if err != nil {
		return nil, err
	}
	for _, d := range keys {
		if d.Status == deal.DocumentLive && d.Body != signer.Key() {
			return nil, fmt.Errorf("%w: its key is %s, and %s holds %s", errOtherKey, d.Body, file, signer.Key())
		}
	}
	return signer, nil
}

// errOtherKey says what to do about engine.ErrOtherKey.
var errOtherKey = fmt.Errorf("%w; give --signing-key with the file the other replicas have, or change the key with --rotate-signing-key", engine.ErrOtherKey)

// openSigned opens the database and the key its ledger is signed with.
func (f *databaseFlags) openSigned(ctx context.Context, create bool) (store.Store, *ledger.Signer, error) {
	st, err := f.openStore(ctx, create)
	if err != nil {
		return nil, nil, err
	}
	signer, err := f.openSigner(ctx, st)
	if err != nil {
		return nil, nil, errors.Join(err, st.Close())
	}
	return st, signer, nil
}

// openEngine opens database, key and engine. close ends them in reverse order.
func (f *databaseFlags) openEngine(ctx context.Context, create bool, log *slog.Logger) (e *engine.Engine, closeAll func() error, err error) {
	e, _, closeAll, err = f.openReplica(ctx, create, log, nil, "")
	return e, closeAll, err
}

// openReplica is openEngine with the other replicas of the database, which it meets in the Redis that url names; nil
// without one.
func (f *databaseFlags) openReplica(ctx context.Context, create bool, log *slog.Logger, policy []byte, url string) (e *engine.Engine, r *replica.Replica, closeAll func() error, err error) {
	st, signer, err := f.openSigned(ctx, create)
	if err != nil {
		return nil, nil, nil, err
	}
	model, err := loadModel(f.Model)
	if err != nil {
		return nil, nil, nil, errors.Join(err, st.Close())
	}
	cfg := engine.Config{Model: model, Store: st, Signer: signer, RotateKey: f.RotateKey, Policy: policy, Clock: clock, Log: log, Vet: policytest.Vet}
	if !f.anew {
		cfg.Peers = replica.NewKept(st, log)
	}
	if f.tel != nil {
		cfg.Observer = f.tel
	}
	if url != "" {
		peers := replica.Config{URL: url, Store: st, Origin: f.Origin, Log: log}
		if f.tel != nil {
			peers.Instrument = f.tel.Redis
		}
		if r, err = replica.New(peers); err != nil {
			return nil, nil, nil, errors.Join(fmt.Errorf("--redis: %w", err), st.Close())
		}
		cfg.Peers = r
	}
	closeAll = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainFor)
		defer cancel()
		var errs []error
		if e != nil {
			errs = append(errs, e.Close(ctx))
		}
		if r != nil {
			errs = append(errs, r.Close())
		}
		return errors.Join(append(errs, st.Close())...)
	}
	if e, err = engine.Open(ctx, cfg); err != nil {
		if errors.Is(err, engine.ErrOtherKey) {
			err = fmt.Errorf("%w: %w", errOtherKey, err)
		}
		return nil, nil, nil, errors.Join(err, closeAll())
	}
	return e, r, closeAll, nil
}

// redisFlags say where the replicas of a database meet.
type redisFlags struct {
	Redis string `env:"DIBS_REDIS" placeholder:"URL" help:"Redis for several replicas: redis://[USER:PASSWORD@]HOST[:PORT][/DB], rediss:// with TLS, redis+sentinel://HOST,HOST/MASTER, redis+cluster://HOST,HOST. Holds nothing that cannot be lost."`
}

// newLog writes JSON lines; a command that is not a service says only what went wrong.
func newLog(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(server.TraceLog(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})))
}
