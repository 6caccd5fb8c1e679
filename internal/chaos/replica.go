package chaos

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dibs-deals/dibs/internal/testserver"
)

// replica is one dibs process, which is started again whenever it dies.
type replica struct {
	name    string
	program string
	args    []string
	env     []string
	address string
	log     string // file of its standard error
	clock   string // file with the offset of its clock
	client  *http.Client

	mu      sync.Mutex
	cmd     *exec.Cmd
	done    chan struct{} // closed when the process has ended
	deaths  int           // by a signal
	refused int           // starts that ended by themselves, because the database could not be asked
}

func newReplica(dir, name, program string, args, env []string) (*replica, error) {
	port, err := testserver.FreePort()
	if err != nil {
		return nil, err
	}
	r := &replica{name: name, program: program, address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		log: filepath.Join(dir, name+".log"), clock: filepath.Join(dir, name+".clock")}
	r.args = append([]string{"serve", "--listen", r.address, "--log-level", "warn"}, args...)
	r.env = append([]string{"DIBS_CHAOS_CLOCK=" + r.clock, "DIBS_CHAOS_LOG=" + filepath.Join(dir, "points.log")}, env...)
	r.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
	return r, nil
}

// start runs the program until it serves. It is an error when it ends before.
func (r *replica) start(more ...string) error {
	cmd := exec.Command(r.program, r.args...) //nolint:gosec,noctx // our own program, ended by kill
	cmd.Env = append(append(os.Environ(), r.env...), more...)
	// The kernel ends it when the harness dies; the signal is tied to the thread that starts it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(r.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	cmd.Stderr = log
	done := make(chan struct{})
	started := make(chan error, 1)
	serves := make(chan bool, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(done)
		err := cmd.Start()
		_ = log.Close()
		started <- err
		if err != nil {
			return
		}
		go func() {
			lines := bufio.NewReader(out)
			for {
				line, err := lines.ReadString('\n')
				if strings.HasPrefix(line, "dibs serves on") {
					serves <- true
					break
				}
				if err != nil {
					serves <- false
					return
				}
			}
			_, _ = io.Copy(io.Discard, lines)
		}()
		_ = cmd.Wait() // how it ended is in ProcessState
	}()
	if err := <-started; err != nil {
		return err
	}
	r.mu.Lock()
	r.cmd, r.done = cmd, done
	r.mu.Unlock()
	select {
	case ok := <-serves:
		if ok {
			return nil
		}
		<-done
		return fmt.Errorf("%s ended before it served: %s", r.name, cmd.ProcessState)
	case <-time.After(60 * time.Second):
		_ = cmd.Process.Kill()
		<-done
		return fmt.Errorf("%s does not serve within a minute:\n%s", r.name, tail(r.log))
	}
}

// keep starts the process again each time it ends, until stop is closed.
func (r *replica) keep(stop <-chan struct{}, env ...string) {
	for {
		select {
		case <-stop:
			return
		case <-r.ended():
			r.count()
			if err := r.start(env...); err != nil {
				r.refused++
				select {
				case <-stop:
				case <-time.After(100 * time.Millisecond):
				}
			}
		}
	}
}

// thaw lets the process go on when it has stood still for the time limit says, until stop is closed.
func (r *replica) thaw(stop <-chan struct{}, limit func() time.Duration) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var since time.Time
	var most time.Duration
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		switch {
		case !r.still():
			since = time.Time{}
		case since.IsZero():
			since, most = time.Now(), limit()
		case time.Since(since) > most:
			r.signal(syscall.SIGCONT)
			since = time.Time{}
		}
	}
}

func (r *replica) ended() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done
}

// count notes how the process ended.
func (r *replica) count() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		r.deaths++
	}
}

// still reports whether the process has been stopped.
func (r *replica) still() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.cmd.Process.Pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "T")
}

func (r *replica) signal(s syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd != nil {
		_ = r.cmd.Process.Signal(s) // one that has just ended has nothing to be told
	}
}

// kill ends the process at once and waits for its end.
func (r *replica) kill() {
	r.signal(syscall.SIGKILL)
	if done := r.ended(); done != nil {
		<-done
	}
}

// setClock moves the replica's clock to an offset from the true time.
func (r *replica) setClock(offset time.Duration) error {
	next := r.clock + ".next"
	return errors.Join(os.WriteFile(next, []byte(strconv.FormatInt(int64(offset), 10)), 0o600), os.Rename(next, r.clock))
}

// tail returns the end of a log.
func tail(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4000):])
}
