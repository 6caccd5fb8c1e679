package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/dibs-deals/dibs/internal/testserver"
)

// site is what a run starts for itself: PostgreSQL, Redis and two replicas, on free ports and in a temporary folder. All of it
// ends with the run, and when the run is killed.
type site struct {
	dir     string
	program string
	pg      *testserver.Postgres
	redis   *testserver.Redis

	replicas []*replica
	service  *service
}

// replica is one dibs process.
type replica struct {
	cmd  *exec.Cmd
	url  string
	log  string
	done chan struct{}
}

// build compiles dibs into the folder.
func build(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "dibs")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/dibs-deals/dibs/cmd/dibs").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building dibs: %w: %s", err, out)
	}
	return program, nil
}

// newSite starts the servers, and one replica, from whose database an administrator's key is had.
func newSite(ctx context.Context, program string) (s *site, err error) {
	s = &site{program: program}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.dir, err = os.MkdirTemp("", "dibs-loadtest-"); err != nil {
		return s, err
	}
	// As they come, but for memory: fsync and synchronous_commit are on.
	if s.pg, err = testserver.StartPostgres("shared_buffers=512MB", "max_wal_size=8GB"); err != nil {
		return s, err
	}
	if s.redis, err = testserver.StartRedis(); err != nil {
		return s, err
	}
	if err := s.start(ctx); err != nil {
		return s, err
	}
	out, err := s.dibs(ctx, "keys", "create", "--role", "admin")
	if err != nil {
		return s, err
	}
	s.service = &service{urls: []string{s.replicas[0].url}, key: strings.TrimSpace(out)}
	return s, nil
}

// replicate ends what runs and starts two replicas on what the database now holds.
func (s *site) replicate(ctx context.Context) error {
	s.stop()
	s.service.urls = nil
	for range 2 {
		if err := s.start(ctx); err != nil {
			return err
		}
		s.service.urls = append(s.service.urls, s.replicas[len(s.replicas)-1].url)
	}
	return nil
}

func (s *site) environment() []string {
	return append(os.Environ(), "DIBS_DATABASE="+s.pg.URL("postgres"), "DIBS_REDIS="+s.redis.URL(), "DIBS_SIGNING_KEY="+filepath.Join(s.dir, "ledger.key"))
}

// dibs runs a command of the program to its end.
func (s *site) dibs(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.program, args...)
	cmd.Env = s.environment()
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("dibs %s: %w: %s%s", strings.Join(args, " "), err, out, errs.String())
	}
	return string(out), err
}

// start starts one more replica, and returns when it is ready.
func (s *site) start(ctx context.Context) error {
	port, err := testserver.FreePort()
	if err != nil {
		return err
	}
	address := "127.0.0.1:" + strconv.Itoa(port)
	r := &replica{url: "http://" + address, log: filepath.Join(s.dir, "replica-"+strconv.Itoa(port)+".log"), done: make(chan struct{})}
	log, err := os.Create(r.log)
	if err != nil {
		return err
	}
	r.cmd = exec.Command(s.program, "serve", "--listen", address, "--log-level", "warn") //nolint:noctx // ended by stop
	r.cmd.Env = s.environment()
	r.cmd.Stderr = log
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the signal at the end of this process is tied to the thread that starts the other
		defer runtime.UnlockOSThread()
		err := r.cmd.Start()
		_ = log.Close()
		started <- err
		if err == nil {
			_ = r.cmd.Wait() // how it ends is for the log
		}
		close(r.done)
	}()
	if err := <-started; err != nil {
		return err
	}
	s.replicas = append(s.replicas, r)
	limit := time.After(5 * time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if res, err := http.Get(r.url + "/readyz"); err == nil { //nolint:noctx // a loopback address
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-r.done:
			b, _ := os.ReadFile(r.log)
			return fmt.Errorf("a replica ended before it served:\n%s", b)
		case <-limit:
			return errors.New("a replica is not ready after five minutes")
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// stop ends the replicas in good order.
func (s *site) stop() {
	for _, r := range s.replicas {
		_ = r.cmd.Process.Signal(syscall.SIGTERM)
	}
	for _, r := range s.replicas {
		select {
		case <-r.done:
		case <-time.After(30 * time.Second):
			_ = r.cmd.Process.Kill()
			<-r.done
		}
	}
	s.replicas = nil
}

// said is what the replicas logged: warnings and errors.
func (s *site) said() string {
	var b strings.Builder
	logs, _ := filepath.Glob(filepath.Join(s.dir, "replica-*.log"))
	for _, name := range logs {
		text, _ := os.ReadFile(name)
		b.Write(text)
	}
	return b.String()
}

// close ends everything and removes the folder.
func (s *site) close() (err error) {
	s.stop()
	if s.redis != nil {
		err = errors.Join(err, s.redis.Remove())
	}
	if s.pg != nil {
		err = errors.Join(err, s.pg.Remove())
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
