package testserver

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestPostgres(t *testing.T) {
	p := NewPostgres(t, "fsync=off")
	db := p.Database(t)
	name := db[strings.LastIndex(db, "/")+1 : strings.Index(db, "?")]
	if err := p.Exec(name, "CREATE TABLE x (n integer)", "INSERT INTO x VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	if err := p.Crash(); err != nil {
		t.Fatal(err)
	}
	if err := p.Exec(name, "SELECT 1"); err == nil {
		t.Error("a server that crashed answers")
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if err := p.Exec(name, "INSERT INTO x SELECT n FROM x"); err != nil {
		t.Error(err)
	}
	s, err := p.Standby("second")
	if err != nil {
		t.Fatal(err)
	}
	cleanup(t, s.Remove)
	if err := s.Exec(name, "INSERT INTO x VALUES (2)"); err == nil {
		t.Error("a standby can be written to")
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Promote(); err != nil {
		t.Fatal(err)
	}
	if err := s.Exec(name, "INSERT INTO x VALUES (2)"); err != nil {
		t.Error(err)
	}
}

func TestRedis(t *testing.T) {
	r, err := StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Kill(); err != nil {
		t.Error(err)
	}
	if err := r.Start(); err != nil {
		t.Error(err)
	}
	if err := r.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(r.Dir)); !os.IsNotExist(err) {
		t.Errorf("its folder is left: %v", err)
	}
}

// A port stays its process's when nobody listens on it.
func TestFreePort(t *testing.T) {
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	at := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if name, err := net.Listen("unix", "@dibs-test-port-"+strconv.Itoa(port)); err == nil {
		t.Errorf("%s can be given to another process", at)
		_ = name.Close()
	}
}
