package chaos

import (
	"fmt"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// input and output of the sequential specification of one true customer.
type (
	input struct {
		what  string // register, end, promote
		lines uint8
	}
	output struct {
		protected bool
		claims    bool // it stands in line, or is being reviewed
		blames    bool // it was refused because of a claim there is
	}
	// held is the state: the lines that are held, and those somebody ever claimed.
	held struct{ held, claimed uint8 }
)

// oneClerk is what a single clerk does with the registrations of one customer: the first claim to a line holds it until
// its end, later ones are not protected, and nobody is refused for a claim that nobody has made.
var oneClerk = porcupine.Model{
	Init: func() any { return held{} },
	Step: func(state, in, out any) (bool, any) {
		s, i, o := state.(held), in.(input), out.(output)
		switch {
		case i.what == "end":
			ok := s.held&i.lines == i.lines
			s.held &^= i.lines
			return ok, s
		case o.protected:
			ok := s.held&i.lines == 0
			s.held |= i.lines
			s.claimed |= i.lines
			return ok, s
		}
		ok := !o.blames || s.claimed&i.lines != 0
		if o.claims {
			s.claimed |= i.lines
		}
		return ok, s
	},
	Hash: func(state any) uint64 { s := state.(held); return uint64(s.held)<<8 | uint64(s.claimed) },
}

// blaming are the reasons that name a claim somebody has, for certain.
var blaming = map[string]bool{"ALREADY_REGISTERED": true, "PENDING_OTHER": true, "ALREADY_YOURS": true}

// checkLinear asks porcupine, customer by customer and without the sequence numbers, whether the answers could have
// been given one at a time. What was not answered took effect if the ledger has it, at some time after it was asked.
func checkLinear(f *found, ops []placed, rec *record, budget time.Duration) (partitions, unknown int) {
	bySeq := map[uint64]placed{}
	for _, p := range ops {
		bySeq[p.seq] = p
	}
	asked := map[string]placed{} // by registration
	history := map[int][]porcupine.Operation{}
	told := map[int][]string{} // what a person reads of it
	const forever = int64(1<<63 - 1)
	for i := range rec.entries {
		e := &rec.entries[i]
		for _, r := range e.change.Registrations {
			p, direct := bySeq[e.seq]
			if direct = direct && p.op.kind == registering && e.subject == r.ID; direct {
				asked[r.ID] = p
			} else if p, direct = asked[r.ID]; !direct {
				continue
			}
			in, out := input{what: "register", lines: p.op.lines}, output{protected: r.Status == "protected" || r.Status == "conditional"}
			until := int64(p.last)
			switch {
			case r.Status == "expired":
				in.what, until = "end", forever
			case e.seq != p.seq:
				if !out.protected {
					continue
				}
				in.what, until = "promote", forever
			default:
				out.claims = r.Status == "waitlisted" || r.Status == "escalated"
				if d := e.change.Decision; d != nil && len(d.ReasonCodes) > 0 {
					out.blames = blaming[d.ReasonCodes[0]]
				}
			}
			history[p.op.customer] = append(history[p.op.customer], porcupine.Operation{Input: in, Output: out, Call: int64(p.op.invoked), Return: until})
			why := ""
			if d := e.change.Decision; d != nil {
				why = strings.Join(d.ReasonCodes, " ")
			}
			told[p.op.customer] = append(told[p.op.customer], fmt.Sprintf("entry %d: %s lines %b of %s, asked at %s: %s %s: %s", e.seq, in.what, in.lines, r.ID, p.op.invoked, r.Status, why, p.op.request))
		}
	}
	end := time.Now().Add(budget)
	for who, ops := range history {
		partitions++
		left := time.Until(end)
		if left <= 0 {
			unknown++
			continue
		}
		switch porcupine.CheckOperationsTimeout(oneClerk, ops, min(left, 5*time.Second)) {
		case porcupine.Illegal:
			f.add("linearizable", "no order of the %d operations on customer %d explains their answers:\n\t%s", len(ops), who, strings.Join(told[who], "\n\t"))
		case porcupine.Unknown:
			unknown++
		}
	}
	return partitions, unknown
}
