package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dibs-deals/dibs/internal/testserver"
)

// cache is the Redis of a round, and a wire from every replica to it.
type cache struct {
	mu     sync.Mutex // holds server
	server *testserver.Redis
	client *redis.Client // to the server itself
	wires  []*wire
	old    map[string]string // values as they were once
}

// redisFaults are the names of what can befall Redis.
var redisFaults = []string{"redis flush", "redis crash", "redis freeze", "redis forged", "redis misled", "redis stale", "redis cut", "redis slow", "redis dead"}

// patience is how long Redis may take to do what a fault asks of it: the machine may be busy.
const patience = 10 * time.Second

func newCache(replicas int) (_ *cache, err error) {
	c := &cache{old: map[string]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	if c.server, err = testserver.StartRedis(); err != nil {
		return nil, err
	}
	c.client = redis.NewClient(&redis.Options{Addr: c.server.Address(), MaxRetries: -1, DialTimeout: patience, ReadTimeout: patience, WriteTimeout: patience, PoolSize: 1})
	for i := range replicas {
		w, err := newWire(fmt.Sprintf("replica%d-redis", i), c.server.Port)
		if err != nil {
			return nil, err
		}
		c.wires = append(c.wires, w)
	}
	return c, nil
}

func (c *cache) url(n int) string { return "redis://" + c.wires[n].address() }

func (c *cache) faults() []fault {
	locked := func(do func(context.Context, *rand.Rand) error) func(context.Context, *rand.Rand) error {
		return func(ctx context.Context, rng *rand.Rand) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			return do(context.WithoutCancel(ctx), rng)
		}
	}
	return append([]fault{
		{"redis flush", 2, locked(func(ctx context.Context, _ *rand.Rand) error { return c.client.FlushAll(ctx).Err() })},
		{"redis crash", 1, locked(func(ctx context.Context, rng *rand.Rand) error {
			if err := c.server.Kill(); err != nil {
				return err
			}
			pause(ctx, time.Duration(rng.Int64N(int64(500*time.Millisecond))))
			return c.server.Start()
		})},
		{"redis freeze", 1, locked(func(ctx context.Context, rng *rand.Rand) error {
			if err := c.server.Freeze(); err != nil {
				return err
			}
			pause(ctx, time.Duration(rng.Int64N(int64(time.Second))))
			return c.server.Thaw()
		})},
		{"redis forged", 4, locked(c.forge)},
		{"redis misled", 3, locked(c.mislead)},
		{"redis stale", 2, locked(c.restore)},
	}, wireFaults("redis", 1, c.wires)...)
}

// forge overwrites what Redis holds: here and there another letter, so that it still looks right; or random bytes, half
// of it, or something else altogether; and it speaks of commits that never were.
func (c *cache) forge(ctx context.Context, rng *rand.Rand) error {
	return c.values(ctx, func(key, value string) error {
		b := []byte(value)
		switch rng.IntN(4) {
		case 0:
			misspell(rng, b)
		case 1:
			for range 1 + len(b)/1000 {
				if len(b) > 0 {
					b[rng.IntN(len(b))] ^= byte(1 << rng.IntN(8))
				}
			}
		case 2:
			b = b[:len(b)/2]
		case 3:
			if err := c.client.Del(ctx, key).Err(); err != nil {
				return err
			}
			return c.client.RPush(ctx, key, "no", "such", "thing").Err()
		}
		return c.client.Set(ctx, key, b, redis.KeepTTL).Err()
	}, func(key string) error {
		for range 3 {
			said := map[string]any{"seq": rng.Uint64() >> rng.IntN(64), "chain": fmt.Sprintf("%016x", rng.Uint64()), "x": "y"}
			if err := c.client.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: said}).Err(); err != nil {
				return err
			}
		}
		return nil
	})
}

// mislead changes letters in some chunks of a snapshot, and nothing else: names are others, and it all still fits together.
func (c *cache) mislead(ctx context.Context, rng *rand.Rand) error {
	return c.values(ctx, func(key, value string) error {
		if !strings.Contains(key, ":chunk:") || rng.IntN(2) == 0 {
			return nil
		}
		b := []byte(value)
		misspell(rng, b)
		return c.client.Set(ctx, key, b, redis.KeepTTL).Err()
	}, func(string) error { return nil })
}

// misspell changes one in ten letters inside words, which are no lengths or offsets.
func misspell(rng *rand.Rand, b []byte) {
	for i, run := 0, 0; i < len(b); i++ {
		if b[i] < 'a' || b[i] > 'z' {
			run = 0
			continue
		}
		if run++; run > 3 && rng.IntN(10) == 0 {
			b[i-1] = byte('a' + rng.IntN(26))
		}
	}
}

// restore puts values back that were there at an earlier time, and keeps those that are there now.
func (c *cache) restore(ctx context.Context, _ *rand.Rand) error {
	now := map[string]string{}
	err := c.values(ctx, func(key, value string) error { now[key] = value; return nil }, func(string) error { return nil })
	for k, v := range c.old {
		err = errors.Join(err, c.client.Del(ctx, k).Err(), c.client.Set(ctx, k, v, 0).Err())
	}
	c.old = now
	return err
}

// values visits what Redis holds: texts with their value, streams by name.
func (c *cache) values(ctx context.Context, text func(key, value string) error, stream func(key string) error) error {
	keys, err := c.client.Keys(ctx, "*").Result()
	if err != nil {
		return err
	}
	for _, k := range keys {
		kind, err := c.client.Type(ctx, k).Result()
		if err != nil {
			return err
		}
		switch kind {
		case "string":
			v, err := c.client.Get(ctx, k).Result()
			if errors.Is(err, redis.Nil) {
				continue // its time was up
			}
			if err == nil {
				err = text(k, v)
			}
			if err != nil {
				return err
			}
		case "stream":
			if err := stream(k); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *cache) close() error {
	var errs []error
	for _, w := range c.wires {
		w.close()
	}
	if c.client != nil {
		errs = append(errs, c.client.Close())
	}
	if c.server != nil {
		errs = append(errs, c.server.Remove())
	}
	return errors.Join(errs...)
}
