package replica

import (
	"context"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dibs-deals/dibs/internal/store"
)

const (
	signalsKept = 1000        // of the stream, about
	signalWait  = time.Second // how long one read waits for a signal
	retryFirst  = 50 * time.Millisecond
	retryLast   = 2 * time.Second // between attempts while Redis is down
	quietFor    = 5               // reads without a signal after which the stream's end is looked up again
)

// Wake implements engine.Peers.
func (r *Replica) Wake() <-chan struct{} { return r.wake }

// Moved implements engine.Peers.
func (r *Replica) Moved(head store.Head, own bool) {
	r.position.Store(&head)
	if own {
		r.outgoing.Store(&head)
		poke(r.send)
	}
}

// poke leaves a message for whoever listens, if there is none yet.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// announce tells the others of this replica's commits: of the last one, when several came while it spoke.
func (r *Replica) announce(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.send:
		}
		tag, err := r.space(ctx)
		if err != nil {
			continue // the store is down; whoever follows it will see the commit
		}
		head := r.outgoing.Load()
		sending, cancel := context.WithTimeout(ctx, signalWait)
		err = r.answered(r.slow.XAdd(sending, &redis.XAddArgs{Stream: tag + ":signal", MaxLen: signalsKept, Approx: true,
			Values: []string{"seq", strconv.FormatUint(head.Seq, 10), "chain", shortChain(head.Chain)}}).Err())
		cancel()
		if err == nil {
			r.metrics.signals.WithLabelValues("sent").Inc()
		} else {
			r.metrics.signals.WithLabelValues("lost").Inc()
			pause(ctx, retryFirst) // a Redis that refuses is not asked for every commit; the last is said, none is queued
		}
	}
}

// shortChain is enough of a chain to see that two differ.
func shortChain(c store.Hash) string { return hex.EncodeToString(c[:8]) }

// listen wakes the engine when others may have committed.
func (r *Replica) listen(ctx context.Context) {
	wait := retryFirst
	for ctx.Err() == nil {
		err := r.hear(ctx, func() { wait = retryFirst })
		if ctx.Err() != nil {
			return
		}
		r.log.Debug("listening for signals", "error", err, "again_in", wait)
		pause(ctx, wait)
		wait = min(2*wait, retryLast)
	}
}

// hear reads signals until something fails. It calls heard after every answer.
func (r *Replica) hear(ctx context.Context, heard func()) error {
	tag, err := r.space(ctx)
	if err != nil {
		return err
	}
	stream := tag + ":signal"
	last, err := r.end(ctx, stream)
	if err != nil {
		return err
	}
	heard()
	poke(r.wake) // what was said before is not heard
	for quiet := 0; ; {
		waiting, cancel := context.WithTimeout(ctx, signalWait+time.Second)
		got, err := r.slow.XRead(waiting, &redis.XReadArgs{Streams: []string{stream, last}, Count: signalsKept, Block: signalWait}).Result()
		cancel()
		if err := r.answered(err); err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		heard()
		if len(got) == 0 {
			if quiet++; quiet == quietFor {
				// After a flush, or a restart with another clock, new signals may come before the last one heard.
				quiet = 0
				end, err := r.end(ctx, stream)
				if err != nil {
					return err
				}
				if end != last {
					last = end
					poke(r.wake)
				}
			}
			continue
		}
		quiet = 0
		for _, s := range got {
			for _, m := range s.Messages {
				last = m.ID
				r.heed(m)
			}
		}
	}
}

// end returns the id of the stream's last entry.
func (r *Replica) end(ctx context.Context, stream string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, signalWait)
	defer cancel()
	got, err := r.slow.XRevRangeN(ctx, stream, "+", "-", 1).Result()
	if r.answered(err) != nil || len(got) == 0 {
		return "0-0", err
	}
	return got[0].ID, nil
}

// heed wakes the engine if a signal speaks of what the view has not. It may be a lie; the engine looks.
func (r *Replica) heed(m redis.XMessage) {
	r.metrics.signals.WithLabelValues("heard").Inc()
	text, _ := m.Values["seq"].(string)
	chain, _ := m.Values["chain"].(string)
	seq, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return
	}
	at := r.position.Load()
	if seq > at.Seq || seq == at.Seq && !strings.EqualFold(chain, shortChain(at.Chain)) {
		r.metrics.signals.WithLabelValues("heeded").Inc()
		poke(r.wake)
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
