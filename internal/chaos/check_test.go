package chaos

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
)

var noon = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)

// story is a history and the ledger it led to, to be broken.
type story struct {
	*history
	*record
}

// filed adds the registration of one customer, asked and answered at the times, with its entry.
func (s *story) filed(customer int, lines []string, status, reason string, asked, answered int) *entry {
	n := len(s.ops)
	op := &operation{id: n, kind: registering, key: fmt.Sprintf("op-%d", n), customer: customer, partner: fmt.Sprintf("P-%d", n), lines: setOf(lines),
		invoked: time.Duration(asked), answered: time.Duration(answered)}
	s.ops = append(s.ops, op)
	seq := uint64(len(s.entries) + 1)
	id := fmt.Sprintf("reg_%d", n)
	answer := fmt.Sprintf(`{"id":%q,"partner_id":%q,"sequence":%d}`, id, op.partner, seq)
	op.answer = []byte(answer[:len(answer)-1] + `,"receipt":{}}`)
	r := registration{ID: id, Sequence: seq, Status: status}
	if status == "protected" {
		r.Protection = &window{StartsAt: noon, EndsAt: noon.Add(24 * time.Hour)}
		r.Protection.Scope.Lines = lines
	}
	e := s.wrote("registration.decided", id, op.key, []byte(answer), r)
	e.change.Decision.ReasonCodes = []string{reason}
	s.events = append(s.events, event{id: fmt.Sprintf("evt_%d", seq), seq: seq, kind: "dibs.registration." + status + ".v1"})
	return e
}

// ended adds the end of a registration's window.
func (s *story) ended(e *entry) *entry {
	r := e.change.Registrations[0]
	r.Status, r.Protection = "expired", nil
	x := s.wrote("registration.expired", r.ID, "", nil, r)
	x.at = noon.Add(24 * time.Hour)
	s.events = append(s.events, event{id: fmt.Sprintf("evt_%d", x.seq), seq: x.seq, kind: "dibs.registration.expired.v1"})
	return x
}

func (s *story) wrote(kind, subject, idem string, answer []byte, r registration) *entry {
	at := noon
	if n := len(s.entries); n > 0 {
		at = s.entries[n-1].at
	}
	e := entry{seq: uint64(len(s.entries) + 1), at: at, kind: kind, subject: subject, keyID: "key_1", role: "portal", idem: idem, requestHash: []byte("hash"), answer: answer}
	e.change.Registrations = []registration{r}
	body := fmt.Sprintf(`{"decision":{"sequence":%d,"at":%q}}`, e.seq, at.Format(time.RFC3339Nano))
	if kind == "registration.decided" {
		if err := json.Unmarshal([]byte(body), &e.change); err != nil {
			panic(err)
		}
	}
	e.body = []byte(body)
	s.entries = append(s.entries, e)
	return &s.entries[len(s.entries)-1]
}

// seal derives leaves, chain and head.
func (s *story) seal() {
	var prev [32]byte
	var leaves [][32]byte
	for i := range s.entries {
		e := &s.entries[i]
		e.leaf = leafOf(e, prev)
		lh := sha256.Sum256(append([]byte{0}, e.leaf...))
		leaves = append(leaves, lh)
		prev = sha256.Sum256(slices.Concat([]byte("dibs/chain/v1"), prev[:], lh[:]))
		e.chain = slices.Clone(prev[:])
	}
	root := merkle(leaves)
	s.head.seq, s.head.chain, s.head.root = uint64(len(s.entries)), slices.Clone(prev[:]), root[:]
}

func (s *story) check() map[string]int {
	var f found
	checkKept(&f, s.history, s.record)
	checkChain(&f, s.record)
	checkEvents(&f, s.record)
	checkOneHolder(&f, s.history, s.record)
	ops := place(s.history, s.record)
	checkOrder(&f, ops)
	checkLinear(&f, ops, s.record, time.Minute)
	return f.counts
}

// tell makes a story in which nothing is wrong: two lines of one customer held by two, a third refused, a window that
// ends and is granted again, and another customer.
func tell() *story {
	a := &deal.Account{Name: "Zanzibar Orchestra"}
	s := &story{&history{customers: []customer{{account: a}, {account: a}}}, &record{}}
	first := s.filed(0, []string{"network"}, "protected", "PROTECTED", 1, 5)
	s.filed(0, []string{"network"}, "waitlisted", "ALREADY_REGISTERED", 2, 6)
	s.filed(0, []string{"security"}, "protected", "PROTECTED", 7, 9)
	s.filed(1, nil, "protected", "PROTECTED", 3, 8)
	s.ended(&s.entries[first.seq-1])
	s.filed(0, []string{"network"}, "protected", "PROTECTED", 20, 25)
	return s
}

// TestCheckers tells the checkers a story in which nothing is wrong, and then one thing: each must be seen.
func TestCheckers(t *testing.T) {
	whole := tell()
	whole.seal()
	if got := whole.check(); len(got) > 0 {
		t.Fatalf("nothing is wrong, and they find %v", got)
	}
	for _, c := range []struct {
		name, want string
		before     func(*story) // sealing
		after      func(*story)
	}{
		{"an acknowledged answer is not there", "lost", func(s *story) { s.entries[3].idem = "" }, nil},
		{"another answer is there", "changed", func(s *story) { s.entries[3].answer = []byte(`{"id":"reg_9"}`) }, nil},
		{"one got another's answer", "changed", func(s *story) { s.ops[0].answer, s.ops[1].answer = s.ops[1].answer, s.ops[0].answer }, nil},
		{"one key has two entries", "twice", func(s *story) { s.entries[5].idem = "op-3" }, nil},
		{"a change of an account is not there", "lost", func(s *story) {
			s.ops = append(s.ops, &operation{kind: putting, key: "ACC-1", mark: "1000001", invoked: 30, answered: 31})
		}, nil},
		{"an import is not there", "lost", func(s *story) {
			s.ops = append(s.ops, &operation{kind: importing, mark: "1000001", request: []byte(`{"id":"ACC-1"}` + "\n"), invoked: 30, answered: 31})
		}, nil},
		{"a policy is not there", "lost", func(s *story) {
			s.ops = append(s.ops, &operation{kind: publishing, mark: "change 1", invoked: 30, answered: 31})
		}, nil},
		{"two hold one line", "one holder", func(s *story) { s.entries[2].change.Registrations[0].Protection.Scope.Lines = []string{"network"} }, nil},
		{"one holds all lines beside another", "one holder", func(s *story) { s.entries[2].change.Registrations[0].Protection.Scope.Lines = nil }, nil},
		{"a window ends early", "expiry", func(s *story) { s.entries[4].at = noon.Add(time.Hour) }, nil},
		{"the end is not written", "expiry", func(s *story) { s.entries[4].change.Registrations = nil }, nil},
		{"the answers fit no order", "linearizable", func(s *story) { s.entries[4].change.Registrations = nil }, nil},
		{"refused for a claim nobody has", "linearizable", func(s *story) {
			r := &s.entries[3].change
			r.Registrations[0].Status, r.Registrations[0].Protection, r.Decision.ReasonCodes = "waitlisted", nil, []string{"ALREADY_REGISTERED"}
		}, nil},
		{"asked after it was answered", "order", func(s *story) { s.ops[0].invoked, s.ops[0].answered = 10, 12 }, nil},
		{"an event is missing", "event", func(s *story) { s.events = s.events[1:] }, nil},
		{"an event of nothing", "event", func(s *story) { s.events[0].seq = 99 }, nil},
		{"an event twice", "event", func(s *story) { s.events[1].id = s.events[0].id }, nil},
		{"time goes back", "time", func(s *story) { s.entries[3].at = noon.Add(-time.Second) }, nil},
		{"a decision of another time", "time", func(s *story) { s.entries[3].change.Decision.At = noon.Add(time.Second) }, nil},
		{"a gap", "sequence", nil, func(s *story) { s.entries = slices.Delete(s.entries, 3, 4) }},
		{"an entry was changed", "leaf", nil, func(s *story) { s.entries[3].subject = "reg_9" }},
		{"a body was changed", "leaf", nil, func(s *story) { s.entries[3].body = []byte("{}") }},
		{"a leaf was changed", "chain", nil, func(s *story) { s.entries[3].leaf[20] ^= 1 }},
		{"the chain was changed", "chain", nil, func(s *story) { s.entries[3].chain[0] ^= 1 }},
		{"the head is behind", "head", nil, func(s *story) { s.head.seq-- }},
		{"the root is another", "head", nil, func(s *story) { s.head.root[0] ^= 1 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := tell()
			if c.before != nil {
				c.before(s)
			}
			s.seal()
			if c.after != nil {
				c.after(s)
			}
			if got := s.check(); got[c.want] == 0 {
				t.Errorf("%s should be found, and %v is", c.want, got)
			}
		})
	}
}

// TestUnanswered: an operation nobody heard the end of may have happened, or not.
func TestUnanswered(t *testing.T) {
	s := tell()
	s.ops[1].answered, s.ops[1].answer = 0, nil                                                         // it did
	s.ops = append(s.ops, &operation{id: 5, kind: registering, key: "op-5", invoked: 30, request: nil}) // it did not
	s.seal()
	if got := s.check(); len(got) > 0 {
		t.Errorf("nothing is wrong, and they find %v", got)
	}
}

// TestTotal adds up what Soak writes.
func TestTotal(t *testing.T) {
	var total Total
	total.add(&Result{Seed: 1, Acknowledged: 10, Deaths: 2, Faults: map[string]int{"postgres crash": 1, "redis flush": 2}})
	if !total.Clean() {
		t.Error("nothing was wrong")
	}
	total.add(&Result{Seed: 2, Acknowledged: 5, Faults: map[string]int{"redis forged": 1}, Counts: map[string]int{"leaf": 1}})
	if total.Rounds != 2 || total.Acknowledged != 15 || total.Redis() != 3 || total.Clean() {
		t.Errorf("%+v", total)
	}
}
