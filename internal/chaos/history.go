package chaos

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"time"
)

// The kinds of operation.
const (
	registering = "register"
	putting     = "put account"
	importing   = "import"
	publishing  = "publish"
)

// operation is one thing a client wants done, over all its attempts.
type operation struct {
	id       int
	kind     string
	key      string // Idempotency-Key, of registrations
	customer int
	partner  string
	lines    uint8
	request  []byte
	mark     string // what a put or an import leaves in the ledger, unique

	invoked time.Duration // since the start of the round: when the first attempt began
	// Set once, by the first attempt that was answered.
	answered time.Duration // 0: never
	answer   []byte
}

// call is one attempt: one HTTP request.
type call struct {
	op       int
	replica  int
	replay   bool // of an operation answered before
	invoked  time.Duration
	returned time.Duration
	status   int // 0: no answer
}

// violation is something that must not be.
type violation struct {
	Check  string `json:"check"` // which checker found it
	Detail string `json:"detail"`
}

// history is what the clients saw.
type history struct {
	began     time.Time
	customers []customer

	mu    sync.Mutex
	ops   []*operation
	calls []call
	wrong []violation
}

func newHistory(v *vendor) *history { return &history{began: time.Now(), customers: v.customers} }

// now is the one clock all calls are measured by.
func (h *history) now() time.Duration { return time.Since(h.began) }

// begin adds an operation.
func (h *history) begin(op *operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	op.id, op.invoked = len(h.ops), h.now()
	if op.kind == registering {
		op.key = fmt.Sprintf("op-%d", op.id)
	}
	h.ops = append(h.ops, op)
}

// add records an attempt. An answer that differs from an earlier one to the same key is a violation at once.
func (h *history) add(c call, body []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, c)
	op := h.ops[c.op]
	if c.status/100 != 2 {
		return
	}
	switch {
	case op.answered == 0:
		op.answered, op.answer = c.returned, body
	case op.kind == registering && !bytes.Equal(op.answer, body):
		h.wrong = append(h.wrong, violation{"changed", fmt.Sprintf("%s was answered differently on replica %d:\n%s\n%s", op.key, c.replica, op.answer, body)})
	}
}

func (h *history) violate(check, format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wrong = append(h.wrong, violation{check, fmt.Sprintf(format, args...)})
}

// acknowledged returns the registrations that were answered.
func (h *history) acknowledged() []*operation {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []*operation
	for _, op := range h.ops {
		if op.kind == registering && op.answered > 0 {
			out = append(out, op)
		}
	}
	return out
}

// silence returns the longest time without an answer, in the time the storm lasted.
func (h *history) silence(storm time.Duration) (longest time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var at []time.Duration
	for _, c := range h.calls {
		if c.status/100 == 2 && c.invoked < storm {
			at = append(at, c.returned)
		}
	}
	slices.Sort(at)
	for i := 1; i < len(at); i++ {
		longest = max(longest, at[i]-at[i-1])
	}
	return longest
}
