package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/dibs-deals/dibs/internal/testserver"
)

// wire is the connection between one replica and one server: it can be slow, cut, or dead.
type wire struct {
	mu    sync.Mutex
	proxy *toxiproxy.Proxy
}

var proxies = toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())

func newWire(name string, port int) (*wire, error) {
	own, err := testserver.FreePort()
	if err != nil {
		return nil, fmt.Errorf("wire %s: %w", name, err)
	}
	w := &wire{proxy: toxiproxy.NewProxy(proxies, name, local(own), local(port))}
	if err := w.proxy.Start(); err != nil {
		return nil, fmt.Errorf("wire %s: %w", name, err)
	}
	return w, nil
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// address is where the replica finds the server.
func (w *wire) address() string { return w.proxy.Listen }

// lead connects the wire to another server.
func (w *wire) lead(port int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.proxy.Update(&toxiproxy.Proxy{Listen: w.proxy.Listen, Upstream: local(port), Enabled: true})
}

// cut ends all connections, and lets none be made for a while.
func (w *wire) cut(ctx context.Context, d time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.proxy.Stop()
	pause(ctx, d)
	return w.proxy.Start()
}

// disturb puts a toxic on the wire for a while. Connections that lost bytes are ended with it.
func (w *wire) disturb(ctx context.Context, toxic string, loses bool, d time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	t, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(toxic))
	if err != nil {
		return err
	}
	pause(ctx, d)
	if loses {
		w.proxy.Stop()
	}
	if err := w.proxy.Toxics.RemoveToxic(context.Background(), t.Name); err != nil {
		return err
	}
	if loses {
		return w.proxy.Start()
	}
	return nil
}

func (w *wire) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.proxy.Stop()
}

// wireFaults are what befalls the wires of a kind.
func wireFaults(kind string, weight int, wires []*wire) []fault {
	one := func(rng *rand.Rand) *wire { return wires[rng.IntN(len(wires))] }
	long := func(rng *rand.Rand, least, most time.Duration) time.Duration {
		return least + time.Duration(rng.Int64N(int64(most-least)))
	}
	return []fault{
		{kind + " cut", weight, func(ctx context.Context, rng *rand.Rand) error {
			return one(rng).cut(ctx, long(rng, 50*time.Millisecond, time.Second))
		}},
		{kind + " slow", weight, func(ctx context.Context, rng *rand.Rand) error {
			toxic := fmt.Sprintf(`{"name": "slow", "type": "latency", "stream": "downstream", "attributes": {"latency": %d, "jitter": %d}}`, 5+rng.IntN(60), 1+rng.IntN(30))
			return one(rng).disturb(ctx, toxic, false, long(rng, 300*time.Millisecond, 2*time.Second))
		}},
		{kind + " dead", weight, func(ctx context.Context, rng *rand.Rand) error { // nothing arrives, and nobody says so
			side := []string{"upstream", "downstream"}[rng.IntN(2)]
			toxic := fmt.Sprintf(`{"name": "dead", "type": "timeout", "stream": %q, "attributes": {"timeout": 0}}`, side)
			return one(rng).disturb(ctx, toxic, true, long(rng, 200*time.Millisecond, 2*time.Second))
		}},
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
