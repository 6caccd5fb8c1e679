// Package hooks does the work beside the ledger: it tells webhooks of events, and tidies up.
//
// Events are written with the entries that cause them. Dispatch makes of each a job for every webhook that asks for it; any
// replica claims jobs for a time, sends, and writes down what came of it. A replica that stops loses its leases, and others
// go on. So every event is sent at least once, under an id that never changes, and a later event of a registration is not
// sent to a webhook before the earlier one was delivered or given up.
//
// A webhook that is limited to partners is told of their registrations only, in the partner's view: the body of such an event
// is what the partner itself reads. Where it may be sent is checked when the connection is made, after the name was looked up.
package hooks

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

const (
	// slots is how many jobs a replica does at once, and atOnce how many it claims at a time. A webhook that has as many
	// running gets no more: one that hangs must not keep the others waiting.
	slots, atOnce = 64, 4
	// leaseFor is how long a job is its claimer's: longer than a delivery may take.
	leaseFor = time.Minute
	// pollEvery is how often what others have enqueued is looked for, and lookEvery whether the ledger has grown.
	pollEvery, lookEvery = time.Second, 50 * time.Millisecond
	// idleAfter is for how long after a delivery more are expected with every entry.
	idleAfter = time.Minute
	// dispatchPage is about how many events become jobs in one transaction.
	dispatchPage = 500
	// Jobs are kept for so long after their end, to be read and sent again.
	keepDone, keepDead = 30 * 24 * time.Hour, 90 * 24 * time.Hour
)

// retries is how long after a failed attempt the next is made, give or take a fifth: about 75 hours in all. After the last the
// job is dead.
var retries = []time.Duration{
	5 * time.Second, 30 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// Config is what Hooks are made of.
type Config struct {
	Store store.Store
	// Position says how far the ledger is known to go, without asking the store. nil: the store is asked every time.
	Position func() uint64
	Source   string           // of the events, in their envelope: the ledger's name
	Allow    []netip.Prefix   // private networks that webhooks may be in; in them plain http is allowed
	Vault    *Vault           // seals their secrets; nil: they are stored as they are
	Clock    func() time.Time // nil: the system clock
	Log      *slog.Logger     // nil: discard

	// Record writes what is about to be done to a webhook, and by whom, into the ledger; what it does not write is not done. nil: nobody asks.
	Record func(ctx context.Context, by deal.Actor, kind string, s deal.Subscription) error

	Limit time.Duration // of one delivery; 0: 15 s

	TLS  *tls.Config              // nil: the system's roots
	Hook func(point string) error // as sqlite.Config.Hook, at: dispatched, claimed, sent, finished. An error there stops the work
}

// Hooks does the work of one replica. All methods are safe for concurrent use.
type Hooks struct {
	cfg    Config
	log    *slog.Logger
	client map[bool]*http.Client // by whether it speaks plain http
	nudge  chan struct{}

	mu    sync.Mutex
	fails map[string]int // of a topic, one after the other

	disabling sync.Mutex // several deliveries may say at once that their webhook is gone: the ledger is told once

	attempts *prometheus.CounterVec
}

// New makes Hooks. They do nothing until Run or Work.
func New(cfg Config) *Hooks {
	h := &Hooks{cfg: cfg, log: cfg.Log, nudge: make(chan struct{}, 1), fails: map[string]int{}}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		h.cfg.Clock = time.Now
	}
	if cfg.Limit == 0 {
		h.cfg.Limit = sendLimit
	}
	h.client = map[bool]*http.Client{false: newClient(cfg, false), true: newClient(cfg, true)}
	h.attempts = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dibs_webhook_attempts_total", Help: "Deliveries to webhooks, by what came of them: delivered, failed, dead, skipped."}, []string{"result"})
	for _, r := range []string{delivered, failed, dead, skipped} {
		h.attempts.WithLabelValues(r)
	}
	return h
}

// record has the ledger told of a webhook as it will be.
func (h *Hooks) record(ctx context.Context, by deal.Actor, kind string, w *store.Webhook) error {
	if h.cfg.Record == nil {
		return nil
	}
	return h.cfg.Record(ctx, by, kind, w.Subscription())
}

func (h *Hooks) now() time.Time { return h.cfg.Clock().UTC().Truncate(time.Microsecond) }

func (h *Hooks) point(name string) error {
	store.Point(name)
	if h.cfg.Hook == nil {
		return nil
	}
	return h.cfg.Hook(name)
}

// Nudge says that there may be work.
func (h *Hooks) Nudge() {
	select {
	case h.nudge <- struct{}{}:
	default:
	}
}

// The kinds of job.
const (
	kindWebhook = "webhook"
	kindTidy    = "tidy"
)

var kinds = []string{kindWebhook, kindTidy}

// Run works until ctx is done, and returns when what it had begun has ended.
func (h *Hooks) Run(ctx context.Context) {
	// What was begun is finished: it takes no longer than a delivery may.
	work := context.WithoutCancel(ctx)
	results := make(chan store.Job, slots)
	running := map[string]int{} // by topic
	var ended []store.Job       // not written down yet
	busy := 0
	seen, tidied := uint64(0), false
	var polled, worked time.Time
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	took := func(j store.Job) {
		busy--
		if running[j.Topic]--; running[j.Topic] == 0 {
			delete(running, j.Topic)
		}
		ended = append(ended, j)
	}
	var quiet time.Time // until then the store is left alone: it did not answer
	failed := func(what string, err error) {
		h.log.Error("work beside the ledger failed; it is tried again", "step", what, "error", err)
		quiet = time.Now().Add(pollEvery)
	}
	for stopping := false; !stopping || busy > 0 || len(ended) > 0; {
		claim := false
		select {
		case j := <-results:
			took(j)
			claim = true
		case <-h.nudge:
			claim = true
		case <-look.C:
		case <-done(ctx, stopping):
			stopping = true
		}
		for drained := false; !drained; {
			select {
			case j := <-results:
				took(j)
			default:
				drained = true
			}
		}
		if time.Now().Before(quiet) {
			if stopping && busy == 0 {
				return // the leases run out, and others do it again
			}
			continue
		}
		if len(ended) > 0 {
			if err := h.finish(work, ended); err != nil {
				failed("finish", err)
				continue
			}
			ended = nil
		}
		if stopping {
			continue
		}
		if !tidied {
			if err := h.cfg.Store.Enqueue(work, store.Job{ID: deal.NewID(deal.JobID), Kind: kindTidy, Key: kindTidy, Topic: kindTidy, Payload: []byte("{}"), RunAt: h.now(), CreatedAt: h.now()}); err != nil {
				failed("enqueue", err)
				continue
			}
			tidied = true
		}
		if at := h.position(); at > seen || at == 0 && time.Since(polled) >= pollEvery {
			n, err := h.dispatch(work)
			if err != nil {
				failed("dispatch", err)
				continue
			}
			// Others may have made the jobs. Where nothing has been done for a while there are hardly any, and a look now and then will do.
			seen, claim = at, claim || n > 0 || time.Since(worked) < idleAfter
		}
		for claim = claim || time.Since(polled) >= pollEvery; claim && busy < slots; {
			polled = time.Now()
			var full []string
			for topic, n := range running {
				if n >= atOnce {
					full = append(full, topic)
				}
			}
			jobs, err := h.claim(work, full)
			if err != nil {
				failed("claim", err)
				break
			}
			for _, j := range jobs {
				if busy++; j.Kind == kindWebhook {
					worked = polled
				}
				running[j.Topic]++
				go func() { results <- h.do(work, j) }()
			}
			claim = len(jobs) == atOnce
		}
	}
}

// done is ctx's end, once.
func done(ctx context.Context, already bool) <-chan struct{} {
	if already {
		return nil
	}
	return ctx.Done()
}

// position is how far the ledger is known to go; 0 when nobody says.
func (h *Hooks) position() uint64 {
	if h.cfg.Position == nil {
		return 0
	}
	return h.cfg.Position()
}

// Work does what there is to do now, and returns how many jobs that was. It is Run for who has a clock of their own.
func (h *Hooks) Work(ctx context.Context) (n int, err error) {
	if _, err := h.dispatch(ctx); err != nil {
		return 0, err
	}
	for {
		jobs, err := h.claim(ctx, nil)
		if err != nil || len(jobs) == 0 {
			return n, err
		}
		var wg sync.WaitGroup
		for i := range jobs {
			wg.Go(func() { jobs[i] = h.do(ctx, jobs[i]) })
		}
		wg.Wait()
		if err := h.point("sent"); err != nil {
			return n, err
		}
		if err := h.finish(ctx, jobs); err != nil {
			return n, err
		}
		n += len(jobs)
	}
}

// dispatch makes jobs of all events there are, and returns how many those were.
func (h *Hooks) dispatch(ctx context.Context) (events int, err error) {
	for {
		n, err := h.cfg.Store.Dispatch(ctx, dispatchPage, h.fan)
		if err != nil || n == 0 {
			return events, err
		}
		events += n
		if err := h.point("dispatched"); err != nil {
			return events, err
		}
	}
}

func (h *Hooks) claim(ctx context.Context, except []string) ([]store.Job, error) {
	now := h.now()
	jobs, err := h.cfg.Store.Claim(ctx, store.Claim{Kinds: kinds, Except: except, Lease: deal.NewID("lease_"), Now: now, Until: now.Add(leaseFor), Limit: atOnce})
	if err != nil || len(jobs) == 0 {
		return nil, err
	}
	return jobs, h.point("claimed")
}

// finish writes down what came of jobs.
func (h *Hooks) finish(ctx context.Context, jobs []store.Job) error {
	lost, err := h.cfg.Store.Finish(ctx, jobs...)
	if err != nil {
		return err
	}
	for _, id := range lost {
		h.log.Warn("a job took longer than its lease and may be done twice", "job", id)
	}
	return h.point("finished")
}

// do does one job and says what came of it. It never fails: what goes wrong is tried again, and given up at last.
func (h *Hooks) do(ctx context.Context, j store.Job) (out store.Job) {
	defer func() {
		if r := recover(); r != nil {
			h.log.Error("a job could not be done", "job", j.ID, "kind", j.Kind, "panic", r, "stack", string(debug.Stack()))
			out = h.again(j, fmt.Sprintf("internal error: %v", r), 0)
		}
	}()
	switch j.Kind {
	case kindWebhook:
		return h.deliver(ctx, j)
	default: // tidy, which is never done: it is due again tomorrow
		now := h.now()
		j.RunAt, j.Error = now.Add(24*time.Hour), ""
		if err := h.cfg.Store.DropJobs(ctx, now.Add(-keepDone), now.Add(-keepDead)); err != nil {
			j.RunAt, j.Error = now.Add(time.Hour), err.Error()
		}
		return j
	}
}

// again puts a job off for its next attempt, after at least the time given; after the last it is dead.
func (h *Hooks) again(j store.Job, why string, atLeast time.Duration) store.Job {
	j.Error = why
	if j.Attempts > len(retries) {
		return h.end(j, store.JobDead)
	}
	wait := retries[max(j.Attempts, 1)-1]
	wait = max(wait*4/5+time.Duration(rand.Int64N(int64(wait)*2/5)), atLeast)
	j.RunAt = h.now().Add(wait).Truncate(time.Microsecond)
	return j
}

func (h *Hooks) end(j store.Job, s store.JobState) store.Job {
	j.State, j.DoneAt = s, h.now()
	return j
}

// Attempt is a line of a delivery's log.
type Attempt struct {
	At     time.Time `json:"at"`
	Status int       `json:"status,omitempty"` // of the answer; 0 when there was none
	Millis int64     `json:"ms"`
	Error  string    `json:"error,omitempty"`
}

// keptAttempts is how many lines of its log a delivery keeps: those of a life, and of some retries by hand.
const keptAttempts = 24

// noted adds an attempt to the job's log.
func noted(j store.Job, a Attempt) store.Job {
	var log []Attempt
	_ = json.Unmarshal(j.Log, &log) // what is not a log is begun anew
	if log = append(log, a); len(log) > keptAttempts {
		log = log[len(log)-keptAttempts:]
	}
	j.Log, _ = json.Marshal(log) // such values always have a form
	return j
}

// Describe implements prometheus.Collector.
func (h *Hooks) Describe(to chan<- *prometheus.Desc) {
	h.attempts.Describe(to)
	to <- backlogDesc
	to <- ageDesc
}

var (
	backlogDesc = prometheus.NewDesc("dibs_webhook_deliveries", "Deliveries to webhooks that wait, and that were given up (dead).", []string{"state"}, nil)
	ageDesc     = prometheus.NewDesc("dibs_webhook_age_seconds", "Since the event of the oldest delivery that waits.", nil, nil)
)

// Collect implements prometheus.Collector. When the store does not answer, what it would have said is left out.
func (h *Hooks) Collect(to chan<- prometheus.Metric) {
	h.attempts.Collect(to)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	b, err := h.cfg.Store.Backlog(ctx, kindWebhook)
	if err != nil {
		return
	}
	age := 0.0
	if !b.Since.IsZero() {
		age = max(0, h.now().Sub(b.Since).Seconds())
	}
	to <- prometheus.MustNewConstMetric(backlogDesc, prometheus.GaugeValue, float64(b.Waiting), string(store.JobWaiting))
	to <- prometheus.MustNewConstMetric(backlogDesc, prometheus.GaugeValue, float64(b.Dead), string(store.JobDead))
	to <- prometheus.MustNewConstMetric(ageDesc, prometheus.GaugeValue, age)
}
