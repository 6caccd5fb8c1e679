// Package testserver starts real PostgreSQL and Redis servers for tests: on free ports of 127.0.0.1, in temporary
// folders, and never as root. A server ends with its test, and also when the test's process dies.
package testserver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startLimit is how long a server may take to answer.
const startLimit = 30 * time.Second

// account is who the servers run as when the tests are root's: PostgreSQL refuses to.
type account struct{ uid, gid int }

// unprivileged returns the account, and false when the tests are not root's and servers run as whoever runs them.
func unprivileged() (account, bool, error) {
	if os.Geteuid() != 0 {
		return account{}, false, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		return account{uid, gid}, true, errors.Join(err1, err2)
	}
	return account{}, false, errors.New("the tests run as root and find neither user postgres nor nobody to run servers as")
}

// folder makes a temporary folder that belongs to the servers' account. Paths of sockets must be short, so it is not
// below the test's own folder.
func folder(kind string) (string, error) {
	dir, err := os.MkdirTemp("", "dibs-"+kind+"-")
	if err != nil {
		return "", err
	}
	a, other, err := unprivileged()
	if err == nil && other {
		err = os.Chown(dir, a.uid, a.gid)
	}
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

// command prepares a program to run as the servers' account, in dir.
func command(dir, program string, args ...string) (*exec.Cmd, error) {
	cmd := exec.CommandContext(context.Background(), program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "HOME="+dir)
	a, other, err := unprivileged()
	if err != nil {
		return nil, err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if other {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return cmd, nil
}

// run runs a program to its end and returns what it printed only when it fails.
func run(dir, program string, args ...string) error {
	cmd, err := command(dir, program, args...)
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(program), err, out)
	}
	return nil
}

// process is a server that runs.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// start starts a server that the kernel ends with the signal when this process dies: the signal is tied to the thread
// that started it, which therefore waits for the end.
func start(cmd *exec.Cmd, log string, death syscall.Signal) (*process, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644) //nolint:gosec // a log in the server's own folder
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr.Pdeathsig = death
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- errors.Join(err, f.Close())
		if err == nil {
			_ = cmd.Wait() // how a server ends is for the one who ends it to judge
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// end sends the signal and waits for the end.
func (p *process) end(s syscall.Signal) error {
	if p == nil || p.ended() {
		return nil
	}
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(startLimit):
		err := p.cmd.Process.Kill()
		<-p.done
		return errors.Join(fmt.Errorf("%s did not end after %s", filepath.Base(p.cmd.Path), s), err)
	}
}

// await asks until the server answers, or has ended.
func (p *process) await(log string, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		if p.ended() || ctx.Err() != nil {
			text, _ := os.ReadFile(log)
			return fmt.Errorf("%s does not answer: %w\n%s", filepath.Base(p.cmd.Path), err, text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Ports below those that systems give to outgoing connections: a server that is down for a moment finds its own still free.
const firstPort, lastPort = 15_000, 31_999

// taken keeps the names of the ports this process was given: see FreePort.
var taken struct {
	sync.Mutex
	names []net.Listener
}

// FreePort returns a port of 127.0.0.1 nobody listens on now, and that no other test process is given before this one has ended, though
// what listens on it may be down for a while: a name in Linux's abstract namespace stands for it, and goes with the process.
func FreePort() (int, error) {
	var last error
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		name, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", "@dibs-test-port-"+strconv.Itoa(port))
		if err != nil {
			last = err
			continue
		}
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			last = errors.Join(err, name.Close())
			continue
		}
		taken.Lock()
		taken.names = append(taken.names, name)
		taken.Unlock()
		return port, l.Close()
	}
	return 0, fmt.Errorf("no free port was found between %d and %d: %w", firstPort, lastPort, last)
}

// cleanup ends a server with its test.
func cleanup(tb testing.TB, stop func() error) {
	tb.Helper()
	tb.Cleanup(func() {
		if err := stop(); err != nil {
			tb.Error(err)
		}
	})
}
