package chaos

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// found collects violations, by the name of the check.
type found struct {
	list   []violation
	counts map[string]int
}

func (f *found) add(check, format string, args ...any) {
	if f.counts == nil {
		f.counts = map[string]int{}
	}
	f.counts[check]++
	if f.counts[check] <= maxListed {
		f.list = append(f.list, violation{check, fmt.Sprintf(format, args...)})
	}
}

// maxListed is how many violations of one check are described; all are counted.
const maxListed = 5

// checkKept holds what clients were told against the ledger: every acknowledged registration is there once, with the
// bytes that were answered; every acknowledged change of an account, import and policy is there.
func checkKept(f *found, h *history, rec *record) {
	byKey := map[string][]*entry{}
	marks := map[string]int{} // how many after-images bear a mark
	for i := range rec.entries {
		e := &rec.entries[i]
		if e.idem != "" {
			byKey[e.idem] = append(byKey[e.idem], e)
		}
		for _, a := range e.change.Accounts {
			marks[a.ID+" "+a.AnnualRevenue]++
		}
		if e.kind == "document.published" {
			for _, d := range e.change.Documents {
				if m := markOf(d.Body); d.Status == "live" && m != "" {
					marks[m]++
				}
			}
		}
	}
	for _, op := range h.ops {
		switch {
		case op.kind == registering:
			es := byKey[op.key]
			if len(es) > 1 {
				f.add("twice", "%s has %d entries in the ledger: %d and %d", op.key, len(es), es[0].seq, es[1].seq)
			}
			if op.answered == 0 {
				continue
			}
			if len(es) == 0 {
				f.add("lost", "%s was acknowledged and is not in the ledger: %s", op.key, op.answer)
				continue
			}
			told, err := withoutReceipt(op.answer)
			if err != nil || !bytes.Equal(told, es[0].answer) {
				f.add("changed", "%s was told\n%s\nand entry %d has\n%s", op.key, told, es[0].seq, es[0].answer)
			}
			var a struct {
				Sequence  uint64 `json:"sequence"`
				ID        string `json:"id"`
				PartnerID string `json:"partner_id"`
			}
			if err := json.Unmarshal(op.answer, &a); err != nil || a.Sequence != es[0].seq || a.ID != es[0].subject || a.PartnerID != op.partner {
				f.add("changed", "%s by %s was told it is entry %d, %s of %s; its entry is %d, %s", op.key, op.partner, a.Sequence, a.ID, a.PartnerID, es[0].seq, es[0].subject)
			}
		case op.answered == 0:
		case op.kind == putting:
			if marks[op.key+" "+op.mark] == 0 {
				f.add("lost", "the change of account %s to %s was acknowledged and is not in the ledger", op.key, op.mark)
			}
		case op.kind == importing:
			for line := range strings.Lines(string(op.request)) {
				var a struct{ ID string }
				if err := json.Unmarshal([]byte(line), &a); err != nil || marks[a.ID+" "+op.mark] == 0 {
					f.add("lost", "the import of account %s as %s was acknowledged and is not in the ledger", a.ID, op.mark)
				}
			}
		case op.kind == publishing:
			if marks[op.mark] == 0 {
				f.add("lost", "the policy of %q was acknowledged and is not in the ledger", op.mark)
			}
		}
	}
}

// markOf returns the mark in a policy's text.
func markOf(text string) string {
	_, rest, ok := strings.Cut(text, "change: change ")
	if !ok {
		return ""
	}
	n, _, _ := strings.Cut(rest, "\n")
	return "change " + n
}

// withoutReceipt takes the receipt, the last member, off an answer.
func withoutReceipt(answer []byte) ([]byte, error) {
	i := bytes.LastIndex(answer, []byte(`,"receipt":`))
	if i < 0 {
		return nil, fmt.Errorf("no receipt")
	}
	return append(bytes.Clone(answer[:i]), '}'), nil
}

// checkOneHolder follows the ledger and asks at each grant who else holds: of one true customer, for overlapping lines,
// nobody may, and whose window has ended must have been written down before.
func checkOneHolder(f *found, h *history, rec *record) (grants, ends, promotions int) {
	type holding struct {
		registration
		w    *window
		seq  uint64
		hold bool // a provisional one: its end is not written down
	}
	customers := map[string]int{} // by registration
	holders := map[int]map[string]holding{}
	ops := map[string]*operation{}
	for _, op := range h.ops {
		if op.kind == registering {
			ops[op.key] = op
		}
	}
	for i := range rec.entries {
		e := &rec.entries[i]
		for _, r := range e.change.Registrations {
			if op := ops[e.idem]; op != nil && e.subject == r.ID {
				customers[r.ID] = op.customer
			}
			who, ok := customers[r.ID]
			if !ok {
				f.add("one holder", "entry %d: nobody filed registration %s", e.seq, r.ID)
				continue
			}
			if holders[who] == nil {
				holders[who] = map[string]holding{}
			}
			before, held := holders[who][r.ID]
			now := holding{registration: r, seq: e.seq}
			switch {
			case (r.Status == "protected" || r.Status == "conditional") && r.Protection != nil:
				now.w = r.Protection
			case r.Status == "escalated" && r.Hold != nil:
				now.w, now.hold = r.Hold, true
			}
			if r.Status == "expired" {
				ends++
				if !held || before.w.EndsAt.After(e.at) {
					f.add("expiry", "entry %d at %s ends registration %s, which had not ended", e.seq, e.at, r.ID)
				}
			}
			if now.w == nil {
				delete(holders[who], r.ID)
				continue
			}
			if !held {
				grants++
				if r.Sequence < e.seq {
					promotions++
				}
			}
			for id, other := range holders[who] {
				if id == r.ID || now.w.Shared || other.w.Shared || setOf(now.w.Scope.Lines)&setOf(other.w.Scope.Lines) == 0 {
					continue
				}
				switch {
				case other.w.EndsAt.After(e.at):
					f.add("one holder", "entry %d at %s protects %q for %s (%v), which %s holds (%v) since entry %d until %s", e.seq, e.at,
						h.customers[who].account.Name, r.ID, now.w.Scope.Lines, id, other.w.Scope.Lines, other.seq, other.w.EndsAt)
				case !other.hold:
					f.add("expiry", "entry %d grants to %s what %s held until %s, before that end is written", e.seq, r.ID, id, other.w.EndsAt)
				}
			}
			holders[who][r.ID] = now
		}
	}
	return grants, ends, promotions
}

// checkChain derives leaf, chain, and Merkle root of every entry from its columns, with an implementation of its own.
func checkChain(f *found, rec *record) {
	var prev [32]byte
	var hashes [][32]byte
	var at time.Time
	for i := range rec.entries {
		e := &rec.entries[i]
		if want := uint64(i + 1); e.seq != want {
			f.add("sequence", "entry %d stands where %d should", e.seq, want)
			return // everything after it is off by one
		}
		if e.at.Before(at) {
			f.add("time", "entry %d is of %s, before entry %d of %s", e.seq, e.at, e.seq-1, at)
		}
		at = e.at
		if d := e.change.Decision; d != nil && (d.Sequence != e.seq || !d.At.Equal(e.at)) {
			f.add("time", "entry %d of %s holds a decision that says it is %d of %s", e.seq, e.at, d.Sequence, d.At)
		}
		if !bytes.Equal(e.leaf, leafOf(e, prev)) {
			f.add("leaf", "entry %d is not what its leaf was made from", e.seq)
		}
		lh := sha256.Sum256(append([]byte{0}, e.leaf...))
		hashes = append(hashes, lh)
		prev = sha256.Sum256(slices.Concat([]byte("dibs/chain/v1"), prev[:], lh[:]))
		if !bytes.Equal(prev[:], e.chain) {
			f.add("chain", "entry %d has chain %x, derived %x", e.seq, e.chain, prev)
			copy(prev[:], e.chain)
		}
	}
	root := merkle(hashes)
	if n := uint64(len(rec.entries)); rec.head.seq != n || !bytes.Equal(rec.head.chain, prev[:]) || !bytes.Equal(rec.head.root, root[:]) {
		f.add("head", "the head is entry %d, chain %x, root %x; the entries lead to %d, %x, %x", rec.head.seq, rec.head.chain, rec.head.root, n, prev, root)
	}
}

// leafOf writes the canonical leaf as its documentation says (internal/ledger, Leaf.Bytes).
func leafOf(e *entry, prev [32]byte) []byte {
	b := []byte("dibs/leaf/v1")
	text := func(b []byte, s string) []byte { return append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	b = binary.BigEndian.AppendUint64(b, e.seq)
	b = binary.BigEndian.AppendUint64(b, uint64(e.at.UnixMicro()))
	actor := e.keyID + "/" + e.role
	if e.personID != "" {
		actor += "/" + e.personID
	}
	for _, s := range []string{e.kind, e.subject, actor} {
		b = text(b, s)
	}
	request := sha256.Sum256(append(text(nil, e.idem), e.requestHash...))
	answer, body := sha256.Sum256(e.answer), sha256.Sum256(e.body)
	b = slices.Concat(b, request[:], prev[:], answer[:], body[:])
	b = binary.AppendUvarint(b, uint64(len(e.personal)))
	for _, p := range e.personal {
		b = text(b, p.Field)
		salt, _ := hex.DecodeString(p.Salt) // what is no salt makes another leaf
		mac := hmac.New(sha256.New, salt)
		mac.Write(append(text(nil, p.Field), p.Value...))
		b = mac.Sum(b)
	}
	return b
}

// merkle is the tree hash of RFC 6962 §2.1.
func merkle(leaves [][32]byte) [32]byte {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	l, r := merkle(leaves[:k]), merkle(leaves[k:])
	return sha256.Sum256(slices.Concat([]byte{1}, l[:], r[:]))
}

// checkEvents: every event is of an entry, every decision and every end has its event.
func checkEvents(f *found, rec *record) {
	told := map[uint64]string{}
	ids := map[string]bool{}
	for _, ev := range rec.events {
		if ev.seq == 0 || ev.seq > uint64(len(rec.entries)) {
			f.add("event", "event %s is of entry %d, which is not there", ev.id, ev.seq)
			continue
		}
		if ids[ev.id] {
			f.add("event", "event %s is there twice", ev.id)
		}
		ids[ev.id] = true
		if strings.HasPrefix(ev.kind, "dibs.registration.") {
			told[ev.seq] = ev.kind
		}
	}
	for i := range rec.entries {
		e := &rec.entries[i]
		if e.kind != "registration.decided" && e.kind != "registration.expired" || len(e.change.Registrations) == 0 {
			continue
		}
		if want := "dibs.registration." + e.change.Registrations[0].Status + ".v1"; told[e.seq] != want {
			f.add("event", "entry %d should have event %s, and has %q", e.seq, want, told[e.seq])
		}
	}
}

// placed is an operation with its place in the ledger.
type placed struct {
	op   *operation
	seq  uint64
	last time.Duration // when it was answered; after everything when it was not
}

// place finds the first entry of each operation.
func place(h *history, rec *record) []placed {
	keys, marks := map[string]uint64{}, map[string]uint64{}
	first := func(m map[string]uint64, k string, seq uint64) {
		if _, ok := m[k]; !ok {
			m[k] = seq
		}
	}
	for i := range rec.entries {
		e := &rec.entries[i]
		if e.idem != "" {
			first(keys, e.idem, e.seq)
		}
		for _, a := range e.change.Accounts {
			first(marks, a.AnnualRevenue, e.seq)
		}
		if e.kind == "document.published" {
			for _, d := range e.change.Documents {
				if d.Status == "live" {
					first(marks, markOf(d.Body), e.seq)
				}
			}
		}
	}
	const never = time.Duration(1<<63 - 1)
	var out []placed
	for _, op := range h.ops {
		seq, ok := marks[op.mark]
		if op.kind == registering {
			seq, ok = keys[op.key]
		}
		if !ok {
			continue // it did not happen, or was lost, which is another's finding
		}
		out = append(out, placed{op, seq, cmp.Or(op.answered, never)})
	}
	return out
}

// checkOrder: what was answered before another was asked stands before it in the ledger.
func checkOrder(f *found, ops []placed) {
	asked, answered := slices.Clone(ops), slices.Clone(ops)
	slices.SortFunc(asked, func(a, b placed) int { return cmp.Compare(a.op.invoked, b.op.invoked) })
	slices.SortFunc(answered, func(a, b placed) int { return cmp.Compare(a.last, b.last) })
	var latest placed
	i := 0
	for _, b := range asked {
		for ; i < len(answered) && answered[i].last < b.op.invoked; i++ {
			if answered[i].seq > latest.seq {
				latest = answered[i]
			}
		}
		if b.seq < latest.seq {
			f.add("order", "operation %d is entry %d, and was asked at %s; operation %d, answered at %s, is entry %d", b.op.id, b.seq, b.op.invoked,
				latest.op.id, latest.last, latest.seq)
		}
	}
}
