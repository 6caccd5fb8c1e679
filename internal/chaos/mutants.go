package chaos

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Mutant is a seeded bug of the service.
type Mutant struct {
	Name   string
	Breaks string // what it does, in a sentence
	Edits  []Edit
	Tune   func(*Config) // what makes the bug likely to show; nil: nothing
}

// Edit replaces a text that occurs exactly once in a file.
type Edit struct{ File, Old, New string }

// apply returns the changed files.
func (m *Mutant) apply(root string) (map[string]string, error) {
	out := map[string]string{}
	for _, e := range m.Edits {
		text, ok := out[e.File]
		if !ok {
			b, err := os.ReadFile(filepath.Join(root, e.File))
			if err != nil {
				return nil, fmt.Errorf("mutant %s: %w", m.Name, err)
			}
			text = string(b)
		}
		if n := strings.Count(text, e.Old); n != 1 {
			return nil, fmt.Errorf("mutant %s: %s has %d times:\n%s", m.Name, e.File, n, e.Old)
		}
		out[e.File] = strings.Replace(text, e.Old, e.New, 1)
	}
	return out, nil
}

const (
	committer = "internal/engine/commit.go"
	answering = "internal/engine/engine.go"
	sealing   = "internal/store/seal.go"
	sqliteAdd = "internal/store/sqlite/commit.go"
	sqliteDDL = "internal/store/sqlite/migrations/00001_ledger.sql"
)

// Mutants are the seeded bugs. Each must be caught.
var Mutants = []Mutant{
	{
		Name: "no-catch-up", Breaks: "a replica decides without what the others have added",
		Edits: []Edit{{committer, "\t\terr = e.view.apply(change)\n", "\t\t_ = change\n"}},
	},
	{
		Name: "stale-candidates", Breaks: "candidates found before the lock are not brought up to date under it",
		Edits: []Edit{{answering, "\t\tm = refresh(v, m)\n", "\t\t_ = m\n"}},
	},
	{
		Name: "blind-batch", Breaks: "a request does not see the earlier ones of its batch",
		Edits: []Edit{
			{committer, "\treturn e.view.apply(a.change)\n}\n", "\tunseen = append(unseen, a.change)\n\treturn nil\n}\n\nvar unseen []*deal.Change\n"},
			{committer, "\tstore.Point(\"begin\")\n", "\tunseen = nil\n\tstore.Point(\"begin\")\n"},
			{committer, "\tstore.Point(\"committed\")\n", "\tfor _, c := range unseen {\n\t\t_ = e.view.apply(c)\n\t}\n\tstore.Point(\"committed\")\n"},
		},
	},
	{
		Name: "answer-early", Breaks: "the answer is given before the commit",
		Edits: []Edit{
			{committer, "\t\tstore.Point(\"decided\")\n", `		for _, p := range batch {
			if p.err == nil {
				if p.entry.Size == 0 {
					p.sealed, p.entry.Size = seal, seal.size
				}
				p.answerOnce()
			}
		}
		store.Point("decided")
`},
			{committer, "\tfor i, p := range live {\n\t\tclose(p.done)\n", "\tfor i, p := range live {\n\t\tp.answerOnce()\n"},
			{committer, "func (p *proposal) key() store.IdemKey {", "func (p *proposal) answerOnce() {\n\tselect {\n\tcase <-p.done:\n\tdefault:\n\t\tclose(p.done)\n\t}\n}\n\nfunc (p *proposal) key() store.IdemKey {"},
		},
		Tune: func(c *Config) { c.Odds = 0.02 },
	},
	{
		Name: "no-idempotency", Breaks: "an Idempotency-Key is not looked up, and the database does not insist",
		Edits: []Edit{
			{answering, "\tif q.IdemKey != \"\" {\n", "\tif q.IdemKey == \"?\" {\n"},
			{committer, "; ok && p.request.IdemKey != \"\" {", "; ok && p.request.IdemKey == \"?\" {"},
			{sqliteDDL, "CREATE UNIQUE INDEX entry_idempotency", "CREATE INDEX entry_idempotency"},
		},
	},
	{
		Name: "key-for-another", Breaks: "a key that was used for another request gets that one's answer",
		Edits: []Edit{
			{answering, "case err == nil && subtle.ConstantTimeCompare(prior.RequestHash, q.Hash) != 1:", "case err == nil && len(q.Hash) == 0:"},
			{committer, "if !bytes.Equal(prior.RequestHash, p.request.Hash) {", "if bytes.Equal(prior.RequestHash, nil) {"},
		},
	},
	{
		Name: "answered-anew", Breaks: "a retry is answered from how things stand now, not with what was recorded",
		Edits: []Edit{{answering, "\t\tcase err == nil:\n\t\t\treturn e.registered(ctx, &proposal{entry: prior, replayed: true})\n", `		case err == nil:
			if r, d, k, err := e.Registration(ctx, prior.Subject); err == nil {
				if b, err := canonical(AnswerFor(&r, &d, k, e.now())); err == nil {
					prior.Answer = b
				}
			}
			return e.registered(ctx, &proposal{entry: prior, replayed: true})
`}},
	},
	{
		Name: "answers-swapped", Breaks: "two of one batch get each other's answer",
		Edits: []Edit{{committer, "\tfor _, p := range batch {\n\t\tif p.err == nil && seal != nil", "\tif len(batch) > 1 && batch[0].err == nil && batch[1].err == nil {\n\t\tbatch[0].entry, batch[1].entry = batch[1].entry, batch[0].entry\n\t}\n\tfor _, p := range batch {\n\t\tif p.err == nil && seal != nil"}},
	},
	{
		Name: "other-bytes", Breaks: "what is recorded is not byte for byte what was answered",
		Edits: []Edit{{sealing, "\t\tb.add.Entries[i].Size = b.tree.Size()\n", "\t\tb.add.Entries[i].Size = b.tree.Size()\n\t\tif a := b.add.Entries[i].Answer; a != nil {\n\t\t\tb.add.Entries[i].Answer = append(slices.Clone(a), '\\n')\n\t\t}\n"}},
	},
	{
		Name: "end-unwritten", Breaks: "a window that has ended is freed without an entry that says so",
		Edits: []Edit{{committer, "\t\tif err := e.add(b, a); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\tpromoted := map[string]bool{}\n",
			"\t\t_ = a\n\t\te.view.mu.Lock()\n\t\te.view.putRegistration(lapsed)\n\t\te.view.mu.Unlock()\n\t}\n\tpromoted := map[string]bool{}\n"}},
		Tune: func(c *Config) { c.Faults = map[string]int{"clock jump": 6} },
	},
	{
		Name: "ends-interleaved", Breaks: "the next in line is granted what has ended before the end is written (the harness's own first find)",
		Edits: []Edit{{committer, "\t\tif err := e.add(b, a); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\tpromoted := map[string]bool{}\n",
			"\t\tif err := e.add(b, a); err != nil {\n\t\t\treturn err\n\t\t}\n\t\tif err := e.promote(b, lapsed.CustomerRef.Key(), now); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\tpromoted := map[string]bool{}\n"}},
		Tune: func(c *Config) { c.Faults = map[string]int{"clock jump": 6} },
	},
	{
		Name: "time-back", Breaks: "recorded time follows a clock that is turned back",
		Edits: []Edit{
			{committer, "\t\t\tnow = head.At\n", "\t\t\t_ = head.At\n"},
			{sealing, "\t\te.At = h.At\n", "\t\t_ = h.At\n"},
		},
		Tune: func(c *Config) { c.Faults = map[string]int{"clock skew": 8} },
	},
	{
		Name: "old-rules", Breaks: "a replica does not follow a policy that another published",
		Edits: []Edit{{committer, "\t\tchange, err := store.ChangeOf(&entry)\n", "\t\tchange, err := store.ChangeOf(&entry)\n\t\tif entry.Kind == deal.EntryPublished {\n\t\t\tchange = &deal.Change{}\n\t\t}\n"}},
		Tune:  func(c *Config) { c.Odds, c.Freeze = 0, 0 },
	},
	{
		Name: "gap", Breaks: "sequence numbers come from elsewhere than the head, and leave gaps",
		Edits: []Edit{
			{sealing, "\te.Seq = h.Seq + 1\n", "\te.Seq = h.Seq + 1\n\tif h.Registrations%100 == 99 {\n\t\te.Seq++\n\t}\n"},
			{sqliteAdd, "\t\tif e.Seq != head.Seq+1+uint64(i) {\n", "\t\tif e.Seq <= head.Seq {\n"},
		},
	},
	{
		Name: "event-after", Breaks: "events are written after the commit, not in it",
		Edits: []Edit{
			{sqliteAdd, "\tfor _, ev := range add.Events {\n", "\tfor _, ev := range add.Events[:0] {\n"},
			{sqliteAdd, "\tdone = true\n", `	done = true
	store.Point("committed")
	for _, ev := range add.Events {
		if err := s.conn.exec(tx, "INSERT INTO event (id, seq, type, subject, at, body) VALUES (?, ?, ?, ?, ?, ?)",
			ev.ID, ev.Seq, ev.Type, ev.Subject, ev.At.UnixMicro(), ev.Body); err != nil {
			return errors.Join(store.ErrUnknown, err)
		}
	}
`},
		},
		Tune: func(c *Config) { c.Odds = 0.02 },
	},
}

// caughtWithin is how long a mutant may stay undetected, its build aside.
const caughtWithin = time.Minute

// Hunt builds each mutant and runs rounds on it until it is caught. It reports whether all were; with no names, all
// there are.
func Hunt(ctx context.Context, folder string, names []string, keep string, out io.Writer) (bool, error) {
	for _, n := range names {
		if !slices.ContainsFunc(Mutants, func(m Mutant) bool { return m.Name == n }) {
			return false, fmt.Errorf("there is no mutant %q", n)
		}
	}
	clean, err := Build(ctx, folder, false, nil)
	if err != nil {
		return false, err
	}
	all := true
	fmt.Fprintf(out, "| mutant | what it does | caught by | after |\n|---|---|---|---|\n")
	for i := range Mutants {
		m := &Mutants[i]
		if len(names) > 0 && !slices.Contains(names, m.Name) {
			continue
		}
		program, err := Build(ctx, folder, true, m)
		if err != nil {
			return false, err
		}
		cfg := Quick("sqlite")
		cfg.Program, cfg.Clean, cfg.Load, cfg.Keep = program, clean, 6*time.Second, keep
		if m.Tune != nil {
			m.Tune(&cfg)
		}
		caught, spent := map[string]int{}, time.Duration(0)
		for cfg.Seed = 1; len(caught) == 0 && spent < caughtWithin && ctx.Err() == nil; cfg.Seed++ {
			start := time.Now()
			res, err := Run(ctx, cfg)
			spent += time.Since(start)
			if err != nil {
				return false, fmt.Errorf("mutant %s: %w", m.Name, err)
			}
			caught = res.Counts
			delete(caught, "harness")
		}
		var by []string
		for _, k := range slices.Sorted(maps.Keys(caught)) {
			by = append(by, fmt.Sprintf("%s (%d)", k, caught[k]))
		}
		if len(by) == 0 {
			all, by = false, []string{"**NOT CAUGHT**"}
		}
		fmt.Fprintf(out, "| %s | %s | %s | %.0f s |\n", m.Name, m.Breaks, strings.Join(by, ", "), spent.Seconds())
		if err := os.Remove(program); err != nil {
			return false, err
		}
	}
	return all, nil
}
