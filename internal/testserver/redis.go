package testserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Redis is a Redis server that keeps nothing on disk.
type Redis struct {
	Dir  string
	Port int

	args []string
	proc *process
}

// NewRedis starts a server for the length of a test. Args are added to its command line, such as "--requirepass", "x".
func NewRedis(tb testing.TB, args ...string) *Redis {
	tb.Helper()
	r, err := StartRedis(args...)
	if err != nil {
		tb.Fatal(err)
	}
	cleanup(tb, r.Remove)
	return r
}

// StartRedis starts a server. The caller removes it.
func StartRedis(args ...string) (*Redis, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	dir, err := folder("redis")
	if err != nil {
		return nil, err
	}
	r := &Redis{Dir: dir, Port: port, args: args}
	if err := r.Start(); err != nil {
		return nil, errors.Join(err, r.Remove())
	}
	return r, nil
}

// Address returns host and port.
func (r *Redis) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.Port)) }

// URL returns the address of its first database.
func (r *Redis) URL() string { return "redis://" + r.Address() + "/0" }

// Start starts the server again, empty, after it was killed, and returns when it answers.
func (r *Redis) Start() error {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return fmt.Errorf("Redis is not installed: apt-get install redis-server (make prepare does): %w", err)
	}
	args := append([]string{"--port", strconv.Itoa(r.Port), "--bind", "127.0.0.1", "--dir", r.Dir, "--save", "", "--appendonly", "no"}, r.args...)
	cmd, err := command(r.Dir, program, args...)
	if err != nil {
		return err
	}
	log := filepath.Join(r.Dir, "server.log")
	if r.proc, err = start(cmd, log, syscall.SIGKILL); err != nil {
		return err
	}
	return r.proc.await(log, r.ping)
}

// ping asks for a sign of life; being told to say who asks is one.
func (r *Redis) ping(ctx context.Context) (err error) {
	d := net.Dialer{Timeout: time.Second}
	c, err := d.DialContext(ctx, "tcp", r.Address())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "+PONG") && !strings.HasPrefix(line, "-NOAUTH") {
		err = fmt.Errorf("it says %q", line)
	}
	return err
}

// Kill ends the server at once and with it all that it holds.
func (r *Redis) Kill() error { return r.proc.end(syscall.SIGKILL) }

// Freeze stops the server's process where it is, as a machine that hangs; Thaw lets it go on.
func (r *Redis) Freeze() error { return r.proc.cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw ends a Freeze.
func (r *Redis) Thaw() error { return r.proc.cmd.Process.Signal(syscall.SIGCONT) }

// Remove ends the server and removes its folder.
func (r *Redis) Remove() error { return errors.Join(r.Kill(), os.RemoveAll(r.Dir)) }
