package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/policy"
)

// attempt is how long a client waits for an answer before it asks another replica.
const attempt = 400 * time.Millisecond

// load is the clients of a round.
type load struct {
	v        *vendor
	h        *history
	replicas []*replica
	portal   string // API key that may file for every partner
	admin    string
	per      int // registrations of one customer

	mu     sync.Mutex
	rng    *rand.Rand
	active []int // customers being registered now
	left   map[int]int
	next   int
	again  []retry // answered operations to be asked again
	marks  int

	failing atomic.Int64 // calls that were not answered
}

// retry is a question to be repeated.
type retry struct {
	op *operation
	at time.Duration
}

func newLoad(v *vendor, h *history, replicas []*replica, portal, admin string, seed uint64, window, per int) *load {
	l := &load{v: v, h: h, replicas: replicas, portal: portal, admin: admin, per: per, rng: rand.New(rand.NewPCG(seed, 2)), left: map[int]int{}}
	for len(l.active) < window && l.next < len(v.customers) {
		l.admit()
	}
	return l
}

// admit takes the next customer into those being registered.
func (l *load) admit() {
	l.active = append(l.active, l.next)
	l.left[l.next] = l.per/2 + l.rng.IntN(l.per+1)
	l.next++
}

// draw makes the next operation, or nil when every customer has been registered often enough.
func (l *load) draw() (*operation, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.again) > 0 && l.again[0].at <= l.h.now() {
		r := l.again[0]
		l.again = l.again[1:]
		return r.op, nil
	}
	l.marks++
	switch n := l.rng.IntN(1000); {
	case n < 30: // one account changes
		a := *l.v.accounts[l.rng.IntN(len(l.v.accounts))]
		op := &operation{kind: putting, mark: fmt.Sprintf("%d", 1_000_000+l.marks)}
		a.AnnualRevenue = op.mark
		var err error
		op.request, err = json.Marshal(a)
		op.key = a.ID // the path
		return op, err
	case n < 37: // twenty do
		op := &operation{kind: importing, mark: fmt.Sprintf("%d", 1_000_000+l.marks)}
		var rows []deal.Account
		for range 20 {
			a := *l.v.accounts[l.rng.IntN(len(l.v.accounts))]
			a.AnnualRevenue = op.mark
			rows = append(rows, a)
		}
		var err error
		op.request, err = ndjson(rows)
		return op, err
	case n < 42:
		op := &operation{kind: publishing, mark: fmt.Sprintf("change %d", l.marks)}
		var err error
		op.request, err = rules(op.mark, 1+l.rng.IntN(2))
		return op, err
	}
	if len(l.active) == 0 {
		return nil, nil
	}
	i := l.rng.IntN(len(l.active))
	who := l.active[i]
	if l.left[who]--; l.left[who] <= 0 {
		l.active[i] = l.active[len(l.active)-1]
		l.active = l.active[:len(l.active)-1]
		if l.next < len(l.v.customers) {
			l.admit()
		}
	}
	op := &operation{kind: registering, customer: who, partner: l.v.partners[l.rng.IntN(len(l.v.partners))].ID, lines: lines(l.rng)}
	var err error
	op.request, err = l.v.filing(l.rng, who, op.partner, op.lines)
	return op, err
}

// rules is the default policy with windows of a few days, and a mark in it. Its tests are of the longer windows, and left out.
func rules(mark string, days int) ([]byte, error) {
	text, _, _ := strings.Cut(string(policy.Default()), "\ntests:")
	for _, r := range [][2]string{
		{"change: first version", "change: " + mark},
		{"protection_days:    {value: 90, min: 30,", fmt.Sprintf("protection_days:    {value: %d, min: 1,", days)},
		{"long_days:          {value: 120, min: 30,", fmt.Sprintf("long_days:          {value: %d, min: 1,", days+1)},
	} {
		if strings.Count(text, r[0]) != 1 {
			return nil, fmt.Errorf("the default policy no longer says %q", r[0])
		}
		text = strings.Replace(text, r[0], r[1], 1)
	}
	return []byte(text), nil
}

// chance reports true p times in a thousand.
func (l *load) chance(p int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rng.IntN(1000) < p
}

// pick draws a replica, not the last one asked if there is another.
func (l *load) pick(last int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := l.rng.IntN(len(l.replicas))
	if i == last {
		i = (i + 1) % len(l.replicas)
	}
	return i
}

// client does one operation after another until ctx ends, and carries the last one through while patience lasts.
func (l *load) client(ctx, patience context.Context) {
	for ctx.Err() == nil {
		op, err := l.draw()
		if err != nil {
			l.h.violate("harness", "making a request: %v", err)
			return
		}
		if op == nil {
			select { // the world is used up
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
			continue
		}
		l.do(patience, op)
	}
}

// do asks until there is an answer.
func (l *load) do(patience context.Context, op *operation) {
	replay := op.answer != nil
	if !replay {
		l.h.begin(op)
	}
	last := -1
	for wait := 5 * time.Millisecond; patience.Err() == nil; wait = min(2*wait, 200*time.Millisecond) {
		last = l.pick(last)
		if !replay && op.kind == registering && l.chance(20) { // an impatient portal sends it twice at once
			other := l.pick(last)
			var twin sync.WaitGroup
			twin.Go(func() { l.ask(patience, op, other, false) })
			done := l.ask(patience, op, last, false)
			twin.Wait()
			if done {
				break
			}
		} else if l.ask(patience, op, last, replay) {
			break
		}
		select {
		case <-patience.Done():
		case <-time.After(wait):
		}
	}
	if op.kind != registering || replay || op.answer == nil {
		return
	}
	if l.chance(100) {
		l.mu.Lock()
		l.again = append(l.again, retry{op, l.h.now() + time.Duration(l.rng.IntN(2000))*time.Millisecond})
		l.mu.Unlock()
	}
	if l.chance(10) {
		l.misuse(patience, op)
	}
	if l.chance(30) {
		l.read(patience, op)
	}
}

// ask makes one attempt, and reports whether it was answered.
func (l *load) ask(ctx context.Context, op *operation, at int, replay bool) bool {
	c := call{op: op.id, replica: at, replay: replay, invoked: l.h.now()}
	var body []byte
	switch op.kind {
	case registering:
		c.status, body = l.send(ctx, at, http.MethodPost, "/v1/registrations", l.portal, op.key, "application/json", op.request)
	case putting:
		c.status, body = l.send(ctx, at, http.MethodPut, "/v1/accounts/"+op.key, l.admin, "", "application/json", op.request)
	case importing:
		c.status, body = l.send(ctx, at, http.MethodPost, "/v1/accounts/import", l.admin, "", "application/x-ndjson", op.request)
	case publishing:
		c.status, body = l.publish(ctx, at, op.request)
	}
	c.returned = l.h.now()
	if c.status/100 == 4 && ctx.Err() == nil {
		l.h.violate("refused", "replica %d answered a good request (%s) with %d: %s", at, op.kind, c.status, body)
		body = nil
	}
	l.h.add(c, body)
	return c.status/100 == 2 || c.status/100 == 4
}

// publish saves a policy and makes it live.
func (l *load) publish(ctx context.Context, at int, text []byte) (int, []byte) {
	status, body := l.send(ctx, at, http.MethodPost, "/v1/policies", l.admin, "", "application/yaml", text)
	if status != http.StatusCreated {
		return status, body
	}
	var d struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(body, &d); err != nil {
		return 0, nil
	}
	return l.send(ctx, at, http.MethodPost, fmt.Sprintf("/v1/policies/%d/publish", d.Version), l.admin, "", "application/json", nil)
}

// misuse sends another request under a key that was used: it must be refused, and the answer must stay.
func (l *load) misuse(ctx context.Context, op *operation) {
	l.mu.Lock()
	other, err := l.v.filing(l.rng, (op.customer+1)%len(l.v.customers), op.partner, everything)
	l.mu.Unlock()
	if err != nil {
		return
	}
	at := l.pick(-1)
	status, body := l.send(ctx, at, http.MethodPost, "/v1/registrations", l.portal, op.key, "application/json", other)
	if status/100 == 2 {
		l.h.violate("key reused", "%s was used for another request, and replica %d answered %s", op.key, at, body)
	}
}

// read asks a replica for a registration that another acknowledged.
func (l *load) read(ctx context.Context, op *operation) {
	var a struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(op.answer, &a); err != nil {
		l.h.violate("answer", "%s: %v", op.key, err)
		return
	}
	at := l.pick(-1)
	if status, body := l.send(ctx, at, http.MethodGet, "/v1/registrations/"+a.ID, l.portal, "", "", nil); status == http.StatusNotFound {
		l.h.violate("lost", "%s was acknowledged as %s and replica %d does not know it: %s", op.key, a.ID, at, body)
	}
}

// send makes one HTTP request; status 0 is no answer, whatever the reason.
func (l *load) send(ctx context.Context, at int, method, path, key, idem, media string, body []byte) (int, []byte) {
	limit := attempt
	if idem == "" {
		limit = 5 * attempt // a portal's patience is for registrations
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r := l.replicas[at]
	status, out := r.send(ctx, method, path, key, idem, media, body)
	if status == 0 || status >= 500 {
		l.failing.Add(1)
	}
	if status == 503 || status == 504 {
		return status, nil
	}
	if status == 500 {
		l.h.violate("internal error", "replica %d, %s %s: %s", at, method, path, out)
	}
	return status, out
}

func (r *replica) send(ctx context.Context, method, path, key, idem, media string, body []byte) (int, []byte) {
	q, err := http.NewRequestWithContext(ctx, method, "http://"+r.address+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil
	}
	q.Header.Set("Authorization", "Bearer "+key)
	if media != "" {
		q.Header.Set("Content-Type", media)
	}
	if idem != "" {
		q.Header.Set("Idempotency-Key", idem)
	}
	res, err := r.client.Do(q)
	if err != nil {
		return 0, nil
	}
	out, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		return 0, nil // half an answer is none
	}
	return res.StatusCode, out
}
