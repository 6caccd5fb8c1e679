package chaos

import (
	"cmp"
	"context"
	"errors"
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
	Name     string
	Breaks   string // what it does, in a sentence
	Edits    []Edit
	Database string        // what the replicas stand on; empty: sqlite
	Tune     func(*Config) // what makes the bug likely to show; nil: nothing
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
	writing   = "internal/store/tables/write.go"
	reading   = "internal/store/tables/read.go"
	pgAdd     = "internal/store/postgres/commit.go"
	fetching  = "internal/replica/snapshot.go"
	pgOpen    = "internal/store/postgres/postgres.go"
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
			{committer, "\treturn e.view.apply(a.change)\n}\n", "\tif a.entry.Kind != deal.EntryDecided {\n\t\treturn e.view.apply(a.change)\n\t}\n\tunseen = append(unseen, a.change)\n\treturn nil\n}\n\nvar unseen []*deal.Change\n"},
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
			{answering, "if err == nil || q.IdemKey == \"\" ||", "if err == nil || q.IdemKey != \"?\" ||"},
			{committer, "; ok && p.request.IdemKey != \"\" {", "; ok && p.request.IdemKey == \"?\" {"},
			{sqliteDDL, "CREATE UNIQUE INDEX entry_idempotency", "CREATE INDEX entry_idempotency"},
		},
	},
	{
		Name: "key-for-another", Breaks: "a key that was used for another request gets that one's answer",
		Edits: []Edit{
			{answering, "case lerr == nil && subtle.ConstantTimeCompare(prior.RequestHash, q.Hash) != 1:", "case lerr == nil && len(q.Hash) == 0:"},
			{committer, "if !bytes.Equal(prior.RequestHash, p.request.Hash) {", "if bytes.Equal(prior.RequestHash, nil) {"},
		},
	},
	{
		Name: "answered-anew", Breaks: "a retry is answered from how things stand now, not with what was recorded",
		Edits: []Edit{{answering, "\tout := Registered{Body: p.entry.Answer, ID: p.entry.Subject, Replayed: p.replayed}\n", `	out := Registered{Body: p.entry.Answer, ID: p.entry.Subject, Replayed: p.replayed}
	if r, d, k, err := e.Registration(ctx, p.entry.Subject); p.replayed && err == nil {
		if b, err := canonical(AnswerFor(&r, &d, k, e.now())); err == nil {
			out.Body = b
		}
	}
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
			"\t\t_ = a\n\t\te.view.mu.Lock()\n\t\te.view.putRegistration(&gone[i])\n\t\te.view.mu.Unlock()\n\t}\n\tpromoted := map[string]bool{}\n"}},
		Tune: func(c *Config) { c.Faults = map[string]int{"clock jump": 6} },
	},
	{
		Name: "ends-interleaved", Breaks: "the next in line is granted what has ended before the end is written (the harness's own first find)",
		Edits: []Edit{{committer, "\t\tif err := e.add(b, a); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\tpromoted := map[string]bool{}\n",
			"\t\tif err := e.add(b, a); err != nil {\n\t\t\treturn err\n\t\t}\n\t\tif err := e.promote(b, gone[i].CustomerRef.Key(), now); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\tpromoted := map[string]bool{}\n"}},
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
		Edits: []Edit{{committer, "\t\tchange, err := store.StateOf(&entry)\n", "\t\tchange, err := store.StateOf(&entry)\n\t\tif entry.Kind == deal.EntryPublished {\n\t\t\tchange = &deal.Change{}\n\t\t}\n"}},
		Tune:  func(c *Config) { c.Odds, c.Freeze = 0, 0 },
	},
	{
		Name: "gap", Breaks: "sequence numbers come from elsewhere than the head, and leave gaps",
		Edits: []Edit{
			{sealing, "\te.Seq = h.Seq + 1\n", "\te.Seq = h.Seq + 1\n\tif h.Registrations%100 == 99 {\n\t\te.Seq++\n\t}\n"},
			{writing, "\t\tif e.Seq != head.Seq+1+uint64(i) {\n", "\t\tif e.Seq <= head.Seq {\n"},
		},
	},
	{
		Name: "event-after", Breaks: "events are written after the commit, not in it",
		Edits: []Edit{
			{writing, "\tfor _, ev := range add.Events {\n", "\tfor _, ev := range add.Events[:0] {\n"},
			{sqliteAdd, "\tdone = true\n", `	done = true
	store.Point("committed")
	for _, ev := range add.Events {
		if err := (rowWriter{tx, s.conn}).Put(tables.Event, ev.ID, ev.Seq, ev.Type, ev.Subject, ev.At, ev.Body, ev.RegistrationID, ev.PartnerID, ev.DistributorID); err != nil {
			return errors.Join(store.ErrUnknown, err)
		}
	}
`},
		},
		Tune: func(c *Config) { c.Odds = 0.02 },
	},
	{
		Name: "unknown-is-yes", Breaks: "a COMMIT without a clear answer is taken for done",
		Database: "postgres",
		Edits:    []Edit{{pgAdd, "\tt.done = true\n\treturn errors.Join(store.ErrUnknown, err)\n", "\tt.done = true\n\t_ = store.ErrUnknown\n\treturn nil\n"}},
		Tune: func(c *Config) {
			c.Odds, c.Freeze = 0, 0
			c.Faults = map[string]int{"postgres crash": 4, "sessions terminated": 10, "postgres dead": 6, "postgres cut": 6, "failover": 0, "kill": 0}
		},
	},
	{
		Name: "phantom-view", Breaks: "after a COMMIT without a clear answer the view is kept, and the chain is not compared",
		Database: "postgres",
		Edits: []Edit{
			{committer, "\tif err != nil {\n\t\treturn err\n\t}\n\tstore.Point(\"committed\")\n", "\tif err != nil {\n\t\tif seal != nil && errors.Is(err, store.ErrUnknown) {\n\t\t\te.view.mu.Lock()\n\t\t\te.view.head, e.view.tree = next, after\n\t\t\te.view.mu.Unlock()\n\t\t}\n\t\treturn err\n\t}\n\tstore.Point(\"committed\")\n"},
			{committer, "reading the ledger again\", \"error\", err, \"requests\", len(live))\n\t\te.reload(err)\n", "reading the ledger again\", \"error\", err, \"requests\", len(live))\n"},
			{committer, "\tif head.Seq < e.view.head.Seq {\n", "\tif head.Seq == 0 && e.view.head.Seq > 0 {\n"},
			{committer, "entry.Seq != at.Seq+1 || entry.Chain != ledger.Chain(at.Chain, entry.Leaf)", "entry.Seq != at.Seq+1"},
			{committer, "\tif at.Seq != head.Seq || at.Chain != head.Chain {\n", "\tif head.Seq == 0 {\n"},
		},
		Tune: func(c *Config) {
			c.Odds, c.Freeze, c.Every = 0, 0, 40*time.Millisecond
			c.Faults = map[string]int{"sessions terminated": 10, "postgres dead": 6, "postgres cut": 6, "failover": 0, "kill": 0, "freeze": 0}
		},
	},
	{
		Name: "stale-reads", Breaks: "reads come from a standby, which is behind",
		Database: "postgres",
		Edits: []Edit{
			{pgOpen, "pgconn.ValidateConnectTargetSessionAttrsPrimary", "pgconn.ValidateConnectTargetSessionAttrsPreferStandby"},
			{pgAdd, "conn, err := s.read.Acquire(ctx)", "conn, err := s.write.Acquire(ctx)"},
		},
		Tune: func(c *Config) {
			c.Odds, c.Freeze, c.Delay = 0, 0, 300*time.Millisecond
			c.Faults = map[string]int{"failover": 0, "postgres crash": 0, "standby crash": 0, "kill": 0, "freeze": 0}
		},
	},
	{
		Name: "snapshot-believed", Breaks: "a snapshot from Redis is used without comparing its digest with the store's",
		Database: "postgres",
		Edits:    []Edit{{fetching, "got := digest(rec.Format, rec.Base, m.Sizes, hashes); got != rec.Digest {", "got := digest(rec.Format, rec.Base, m.Sizes, hashes); got == rec.Digest && rec.Bytes < 0 {"}},
		Tune: func(c *Config) {
			c.Odds, c.Freeze, c.Every = 0.002, 0, 100*time.Millisecond
			c.Faults = map[string]int{"failover": 0, "postgres crash": 0, "standby crash": 0, "kill": 10, "freeze": 0, "redis misled": 30, "redis forged": 0, "redis crash": 0, "redis flush": 0, "redis stale": 0, "redis cut": 0, "redis dead": 0}
		},
	},
	{
		Name: "promised-early", Breaks: "a retry is answered from an entry that a failover can still lose (the harness's own second find)",
		Database: "postgres",
		Edits:    []Edit{{answering, "\tif seq <= e.settled.Load() {\n", "\tif seq > 0 {\n"}},
		Tune: func(c *Config) {
			c.Odds, c.Freeze = 0, 0
			c.Faults = map[string]int{"failover": 0, "failover behind": 8, "kill": 0, "freeze": 0}
		},
	},
	{
		Name: "warning-ignored", Breaks: "a COMMIT that did not wait for the standby, and says so, is taken for done",
		Database: "postgres",
		Edits:    []Edit{{pgAdd, "\tcase warned:\n", "\tcase warned && said == \"\":\n"}},
		Tune: func(c *Config) {
			c.Odds, c.Freeze = 0, 0
			c.Faults = map[string]int{"failover": 0, "failover behind": 8, "kill": 0, "freeze": 0}
		},
	},
}

// Absorbed are bugs that another wall makes harmless: nothing may be found.
var Absorbed = []Mutant{
	{
		Name: "no-head-lock", Breaks: "the head is read without a lock: the primary key of the sequence refuses the second of two",
		Database: "postgres",
		Edits:    []Edit{{reading, "const ForUpdate = queryHead + ` FOR UPDATE`", "const ForUpdate = queryHead"}},
	},
	{
		Name: "unknown-is-no", Breaks: "a COMMIT without a clear answer is taken for not done and tried again: the key is found",
		Database: "postgres",
		Edits:    []Edit{{pgAdd, "\treturn errors.Join(store.ErrUnknown, err)\n}\n\n// answered", "\treturn errors.Join(store.ErrRetry, err)\n}\n\n// answered"}},
	},
}

// caughtWithin is how long a mutant may stay undetected, its build aside.
const caughtWithin = time.Minute

// Hunt builds each mutant and runs rounds on it until it is caught. It reports whether all were; with no names, all
// there are.
func Hunt(ctx context.Context, folder string, names []string, keep string, out io.Writer) (bool, error) {
	for _, n := range names {
		if !slices.ContainsFunc(slices.Concat(Mutants, Absorbed), func(m Mutant) bool { return m.Name == n }) {
			return false, fmt.Errorf("there is no mutant %q", n)
		}
	}
	clean, err := Build(ctx, folder, false, nil)
	if err != nil {
		return false, err
	}
	all := true
	fmt.Fprintf(out, "| mutant | what it does | caught by | after |\n|---|---|---|---|\n")
	for i, m := range slices.Concat(Mutants, Absorbed) {
		if len(names) > 0 && !slices.Contains(names, m.Name) {
			continue
		}
		caught, spent, err := hunt(ctx, folder, clean, &m, keep, i >= len(Mutants))
		if err != nil {
			return false, err
		}
		var by []string
		for _, k := range slices.Sorted(maps.Keys(caught)) {
			by = append(by, fmt.Sprintf("%s (%d)", k, caught[k]))
		}
		verdict := strings.Join(by, ", ")
		switch harmless := i >= len(Mutants); {
		case harmless && len(by) == 0:
			verdict = "nothing, rightly"
		case harmless:
			all, verdict = false, "**not harmless**: "+verdict
		case len(by) == 0:
			all, verdict = false, "**NOT CAUGHT**"
		}
		fmt.Fprintf(out, "| %s | %s | %s | %.0f s |\n", m.Name, m.Breaks, verdict, spent.Seconds())
	}
	return all, nil
}

// hunt runs rounds on one mutant until it is caught, or, on a harmless one, a single long round.
func hunt(ctx context.Context, folder, clean string, m *Mutant, keep string, harmless bool) (caught map[string]int, spent time.Duration, err error) {
	program, err := Build(ctx, folder, true, m)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, os.Remove(program)) }()
	cfg := Quick(cmp.Or(m.Database, "sqlite"))
	cfg.Program, cfg.Clean, cfg.Load, cfg.Calm, cfg.Keep = program, clean, 6*time.Second, 15*time.Second, keep
	if slices.ContainsFunc(m.Edits, func(e Edit) bool { return strings.Contains(e.File, "/migrations/") }) {
		cfg.Maker = program
	}
	if harmless {
		cfg.Load = 20 * time.Second
	}
	if m.Tune != nil {
		m.Tune(&cfg)
	}
	for cfg.Seed = 1; len(caught) == 0 && spent < caughtWithin && ctx.Err() == nil; cfg.Seed++ {
		start := time.Now()
		res, err := Run(ctx, cfg)
		spent += time.Since(start)
		if err != nil {
			return nil, spent, fmt.Errorf("mutant %s: %w", m.Name, err)
		}
		caught = res.Counts
		delete(caught, "harness")
		if harmless {
			break
		}
	}
	return caught, spent, nil
}
