package replica_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dibs-deals/dibs/internal/replica"
	"github.com/dibs-deals/dibs/internal/testserver"
)

// TestServers publishes, fetches, counts and signals on servers of every kind.
func TestServers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.start(true, false)
	a.put(t, append(partners(), accounts(400)...)...)

	works := func(t *testing.T, url string) {
		t.Helper()
		open := func() *replica.Replica {
			r, err := replica.New(replica.Config{URL: url, Store: a.store, Origin: "dibs.example/test"})
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		r, other := open(), open()
		running, stop := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() { defer close(ended); other.Run(running, a.Engine) }()
		t.Cleanup(func() {
			stop()
			<-ended
			if err := errors.Join(r.Close(), other.Close()); err != nil {
				t.Error(err)
			}
		})
		var rec uint64
		await(t, "a snapshot is published", func() bool {
			got, err := r.Publish(ctx, a.Engine)
			if err != nil && !errors.Is(err, replica.ErrLeased) {
				t.Fatal(err)
			}
			rec = got.Seq
			return err == nil
		})
		base, sections, err := r.Fetch(ctx, a.SnapshotFormat())
		if err != nil || base.Seq != rec || len(sections) == 0 {
			t.Errorf("fetched %d sections as of entry %d: %v", len(sections), base.Seq, err)
		}
		await(t, "it counts", func() bool { ok, known := r.Allow(ctx, "checks:x", 100); return ok && known })
		<-other.Wake() // its first look
		speaks, stopSpeaking := context.WithCancel(ctx)
		spoken := make(chan struct{})
		go func() { defer close(spoken); r.Run(speaks, a.Engine) }()
		head, err := a.store.Head(ctx)
		if err != nil {
			t.Fatal(err)
		}
		head.Seq++
		r.Moved(head, true)
		<-other.Wake()
		stopSpeaking()
		<-spoken
	}

	t.Run("password", func(t *testing.T) {
		server := testserver.NewRedis(t, "--requirepass", "p@ss word")
		works(t, "redis://:p%40ss%20word@"+server.Address())
	})
	t.Run("access list", func(t *testing.T) {
		server := testserver.NewRedis(t)
		c := redis.NewClient(&redis.Options{Addr: server.Address()})
		defer func() { _ = c.Close() }()
		rules := []any{"ACL", "SETUSER", "dibs", "on", ">secret", "resetkeys", "~{dibs:*", "~rate:{dibs:*", "-@all"}
		for _, command := range []string{"get", "set", "del", "exists", "expire", "pexpire", "persist", "xadd", "xread", "xrevrange", "eval", "evalsha", "time", "ping", "hello", "auth"} {
			rules = append(rules, "+"+command)
		}
		if err := c.Do(ctx, rules...).Err(); err != nil {
			t.Fatal(err)
		}
		works(t, "redis://dibs:secret@"+server.Address())
		r, err := replica.New(replica.Config{URL: "redis://dibs:wrong@" + server.Address(), Store: a.store})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Close() }()
		if _, err := r.Publish(ctx, a.Engine); err == nil {
			t.Error("published with a wrong password")
		}
		if r.State() != "down" {
			t.Error("a Redis that lets nobody in is up")
		}
	})
	t.Run("TLS", func(t *testing.T) {
		cert, key := certificate(t)
		port, err := testserver.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		testserver.NewRedis(t, "--tls-port", fmt.Sprint(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no", "--tls-ca-cert-file", cert)
		works(t, fmt.Sprintf("rediss://127.0.0.1:%d?skip_verify=true", port))
		r, err := replica.New(replica.Config{URL: fmt.Sprintf("rediss://127.0.0.1:%d", port), Store: a.store})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Close() }()
		if _, err := r.Publish(ctx, a.Engine); err == nil {
			t.Error("a server with a certificate of its own making was believed")
		}
	})
	t.Run("cluster", func(t *testing.T) {
		bus, err := testserver.FreePort() // else it is ten thousand above the other, where anybody's connection may begin
		if err != nil {
			t.Fatal(err)
		}
		server := testserver.NewRedis(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus))
		c := redis.NewClient(&redis.Options{Addr: server.Address()})
		defer func() { _ = c.Close() }()
		if err := c.ClusterAddSlotsRange(ctx, 0, 16383).Err(); err != nil {
			t.Fatal(err)
		}
		await(t, "the cluster is ready", func() bool { return c.Set(ctx, "x", "y", 0).Err() == nil })
		works(t, "redis+cluster://"+server.Address()+",127.0.0.1:1")
	})
	t.Run("sentinel", func(t *testing.T) {
		server := testserver.NewRedis(t)
		port, err := testserver.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		conf := filepath.Join(t.TempDir(), "sentinel.conf")
		if err := os.WriteFile(conf, fmt.Appendf(nil, "port %d\nbind 127.0.0.1\nsentinel monitor primary 127.0.0.1 %d 1\n", port, server.Port), 0o600); err != nil {
			t.Fatal(err)
		}
		sentinel := exec.CommandContext(t.Context(), "redis-server", conf, "--sentinel")
		if err := sentinel.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sentinel.Process.Kill(); _ = sentinel.Wait() })
		address := fmt.Sprintf("127.0.0.1:%d", port)
		await(t, "the sentinel answers", func() bool {
			c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
			if err != nil {
				return false
			}
			return c.Close() == nil
		})
		works(t, "redis+sentinel://"+address+"/primary")
	})
}

// certificate makes one for 127.0.0.1 that nobody has signed, where the server's user can read it.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "dibs-tls-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
