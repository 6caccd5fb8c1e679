package testserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Postgres is a PostgreSQL server. Its superuser is "dibs", over TCP without a password.
type Postgres struct {
	Dir  string // data folder
	Port int

	bin       string
	proc      *process
	databases atomic.Int64
}

// programs returns the folder of PostgreSQL's programs: on PATH, or where Debian keeps the newest.
func programs() (string, error) {
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil { // its companions are beside the program, not beside a link to it
			return filepath.Dir(p), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.Join(errors.New("PostgreSQL is not installed: apt-get install postgresql (make prepare does)"), err)
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

func version(initdb string) int {
	v, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb)))) // a folder that is no number comes first
	return v
}

// NewPostgres starts a server for the length of a test. Settings are lines of postgresql.conf, such as "fsync=off".
func NewPostgres(tb testing.TB, settings ...string) *Postgres {
	tb.Helper()
	p, err := StartPostgres(settings...)
	if err != nil {
		tb.Fatal(err)
	}
	cleanup(tb, p.Remove)
	return p
}

// StartPostgres makes a fresh cluster and starts its server. The caller removes it.
func StartPostgres(settings ...string) (*Postgres, error) {
	p, err := newPostgres()
	if err != nil {
		return nil, err
	}
	err = run(p.Dir, filepath.Join(p.bin, "initdb"), "--pgdata", p.Dir, "--username", "dibs", "--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync")
	if err == nil {
		err = p.configure(settings...)
	}
	if err == nil {
		err = p.Start()
	}
	if err != nil {
		return nil, errors.Join(err, p.Remove())
	}
	return p, nil
}

func newPostgres() (*Postgres, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	dir, err := folder("postgres")
	if err != nil {
		return nil, err
	}
	return &Postgres{Dir: dir, Port: port, bin: bin}, nil
}

func (p *Postgres) configure(settings ...string) error {
	lines := append([]string{"listen_addresses='127.0.0.1'", "unix_socket_directories=''", "max_connections=200", "logging_collector=off"}, settings...)
	f, err := os.OpenFile(filepath.Join(p.Dir, "postgresql.conf"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("\n" + strings.Join(lines, "\n") + "\n")
	return errors.Join(err, f.Close())
}

func (p *Postgres) log() string { return filepath.Join(p.Dir, "server.log") }

// Start starts the server again after it was stopped or killed, and returns when it answers.
func (p *Postgres) Start() error {
	cmd, err := command(p.Dir, filepath.Join(p.bin, "postgres"), "-D", p.Dir, "-p", strconv.Itoa(p.Port))
	if err != nil {
		return err
	}
	if p.proc, err = start(cmd, p.log(), syscall.SIGQUIT); err != nil {
		return err
	}
	return p.proc.await(p.log(), func(ctx context.Context) error {
		return p.do(ctx, "postgres", func(c *pgx.Conn) error { return c.Ping(ctx) })
	})
}

// Stop ends the server in good order, within the moment: sessions are ended, nothing is lost.
func (p *Postgres) Stop() error { return p.proc.end(syscall.SIGINT) }

// Crash ends the server at once, without a checkpoint, as a loss of power would short of the disk.
func (p *Postgres) Crash() error { return p.proc.end(syscall.SIGQUIT) }

// Kill kills the postmaster alone; its children notice and follow.
func (p *Postgres) Kill() error { return p.proc.end(syscall.SIGKILL) }

// Remove ends the server and removes its folder.
func (p *Postgres) Remove() error { return errors.Join(p.Crash(), os.RemoveAll(p.Dir)) }

// PID returns the id of the postmaster, whose children do the work.
func (p *Postgres) PID() int { return p.proc.cmd.Process.Pid }

// URL returns the address of a database of the server. Parameters are added to it.
func (p *Postgres) URL(database string, params ...string) string {
	q := url.Values{"sslmode": {"disable"}}
	for _, x := range params {
		k, v, _ := strings.Cut(x, "=")
		q.Set(k, v)
	}
	u := url.URL{Scheme: "postgres", User: url.User("dibs"), Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Port)), Path: "/" + database, RawQuery: q.Encode()}
	return u.String()
}

// Database makes a fresh database and returns its address.
func (p *Postgres) Database(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("db%d", p.databases.Add(1))
	if err := p.Exec("postgres", "CREATE DATABASE "+name); err != nil {
		tb.Fatal(err)
	}
	return p.URL(name)
}

// Exec runs statements as superuser, each by itself.
func (p *Postgres) Exec(database string, statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	return p.do(ctx, database, func(c *pgx.Conn) error {
		for _, s := range statements {
			if _, err := c.Exec(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	})
}

// CommitsWaitFor sets synchronous_standby_names, and returns when every commit that begins then goes by it.
func (p *Postgres) CommitsWaitFor(names string) error {
	if err := p.Exec("postgres", "ALTER SYSTEM SET synchronous_standby_names = '"+names+"'", "SELECT pg_reload_conf()"); err != nil {
		return err
	}
	for from := time.Now(); time.Since(from) < startLimit; time.Sleep(5 * time.Millisecond) {
		// A new session has the setting once the server has told all its processes of it. The one that makes commits wait
		// is the checkpointer, and it looks before each checkpoint.
		if told, err := p.Ask("postgres", "SELECT current_setting('synchronous_standby_names')"); err != nil {
			return err
		} else if told == names {
			return p.Exec("postgres", "CHECKPOINT")
		}
	}
	return fmt.Errorf("the server does not take up synchronous_standby_names = %q", names)
}

// Ask returns the one text that a query yields, as superuser.
func (p *Postgres) Ask(database, query string) (out string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	return out, p.do(ctx, database, func(c *pgx.Conn) error { return c.QueryRow(ctx, query).Scan(&out) })
}

func (p *Postgres) do(ctx context.Context, database string, f func(*pgx.Conn) error) error {
	c, err := pgx.Connect(ctx, p.URL(database))
	if err != nil {
		return err
	}
	return errors.Join(f(c), c.Close(ctx))
}

// Standby makes a streaming standby of the server under the name, a name of synchronous_standby_names, and starts it.
// The caller removes it.
func (p *Postgres) Standby(name string) (*Postgres, error) {
	s, err := newPostgres()
	if err != nil {
		return nil, err
	}
	from := map[string]string{"host": "127.0.0.1", "port": strconv.Itoa(p.Port), "user": "dibs", "application_name": name}
	var conn []string
	for _, k := range slices.Sorted(maps.Keys(from)) {
		conn = append(conn, k+"="+from[k])
	}
	err = run(s.Dir, filepath.Join(s.bin, "pg_basebackup"), "--pgdata", s.Dir, "--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--dbname", strings.Join(conn, " "))
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		return nil, errors.Join(err, s.Remove())
	}
	return s, nil
}

// Promote makes a standby the primary.
func (p *Postgres) Promote() error {
	return run(p.Dir, filepath.Join(p.bin, "pg_ctl"), "promote", "--pgdata", p.Dir, "--wait")
}
