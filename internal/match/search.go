package match

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dibs-deals/dibs/internal/deal"
)

// limits bound the work of one search. All of it is counted on live records, so the same search does the same work
// whatever the layout of the index.
type limits struct {
	open      int // postings read of the words opened in full, rarest first
	first     int // the rarest word is opened up to this length whatever the budget
	scan      int // postings of further, common words read for records another arm knows
	key       int // records of one key; a key that more share tells nothing
	shortlist int // candidates that are judged
}

var standardLimits = limits{open: 24_000, first: 60_000, scan: 80_000, key: 2_000, shortlist: 48}

const (
	maxQueryWords  = 32
	maxNear        = 24  // misspellings followed per word
	maxPrefix      = 128 // words one cut word may stand for; with more it stands for none
	defaultLimit   = 10
	scale          = 64 // units of weight per nat in the integer arithmetic of retrieval
	splitFrequency = 3  // a word that fewer live records have may be two words written together
)

// Options say how to search.
type Options struct {
	Limit         int        // candidates returned; 0 means 10
	Thresholds    Thresholds // zero means DefaultThresholds
	IgnoreDomains []string   // domains that are no evidence, such as the submitting partner's own
	// Repeats says that many records may describe one organisation, as registrations of one customer do. Each is then
	// judged for itself: others that fit as well, or have the same domain, take nothing away from it.
	Repeats bool
}

// Result is what a search found.
type Result struct {
	Candidates []deal.Match // best first; ties by id
	Truncated  bool         // the work budget cut the search short: a candidate may be missing
	Version    uint64       // of the live set the search saw; rises with every change

	memo *memo // how the search came about, for Refresh
}

// term is a word of the live vocabulary that answers a word of the query.
type term struct {
	text   string
	weight uint32 // what a record with it gains, in units of 1/scale nat
	exact  bool   // the word stands in the query
	live   int
	refs   []ref
}

// ref is a word of one part.
type ref struct {
	part int
	word uint32
}

// hit is a record the retrieval touched, with its rank.
type hit struct {
	slot uint32 // number of the record among all parts
	rank uint32
}

// search is the reusable memory of one search.
type search struct {
	limits limits
	parts  []*part
	terms  []term
	byTxt  map[string]int

	slots []uint32 // open addressing: slot+1, 0 empty
	sums  []uint32
	used  []uint32 // positions filled, in order

	hits   []hit
	reader reader
}

// Search returns the records that most probably describe the organisation of q. It is a pure function of the model,
// the live records, q and o.
func (x *Index) Search(q *Query, o Options) Result {
	q = q.without(o.IgnoreDomains)
	s := x.scratch.Get().(*search)
	defer func() {
		s.parts = nil // which would keep merged segments alive
		x.scratch.Put(s)
	}()
	x.mu.RLock()
	defer x.mu.RUnlock()
	s.parts, s.limits = x.parts, x.limits
	r := Result{Version: x.version}
	s.begin()
	memo := s.retrieve(q, &r)
	r.memo = memo
	cands := make([]scored, 0, len(s.hits))
	var e evidence
	owners := s.owners(o)
	for _, h := range s.hits {
		p, rec := s.record(h.slot)
		b := s.reader.read(p.segment, rec)
		x.m.compare(q, b, owners, &e)
		cands = append(cands, scored{h.slot, round(e.logit), strings.Clone(b.id)})
	}
	memo.judged = cands
	r.Candidates = x.m.answer(q, cands, o, owners, func(c scored) *Query {
		p, rec := s.record(c.slot)
		return s.reader.read(p.segment, rec).own()
	})
	return r
}

// scored is a judged candidate.
type scored struct {
	slot  uint32 // meaningful during the search that found it
	logit float64
	id    string
}

// answer orders judged candidates and puts the best in words.
func (m *Model) answer(q *Query, cands []scored, o Options, owners func(string) int, record func(scored) *Query) []deal.Match {
	slices.SortFunc(cands, func(a, b scored) int { return cmp.Or(cmp.Compare(b.logit, a.logit), strings.Compare(a.id, b.id)) })
	limit, t := o.Limit, o.Thresholds
	if limit <= 0 {
		limit = defaultLimit
	}
	if t == (Thresholds{}) {
		t = DefaultThresholds
	}
	out := make([]deal.Match, 0, min(limit, len(cands)))
	var e evidence
	for i, c := range cands[:min(limit, len(cands))] {
		m.compare(q, record(c), owners, &e)
		rivals := 0.0
		if !o.Repeats {
			rivals = rivalry(cands, i)
		}
		out = append(out, m.match(&e, rivals, o.Repeats, t))
	}
	return out
}

// rivalry returns ln(1 + the odds of the other candidates relative to candidate i).
func rivalry(cands []scored, i int) float64 {
	sum := 0.0
	for j := range cands {
		if j != i {
			sum += math.Exp(min(30, cands[j].logit-cands[i].logit))
		}
	}
	return round(math.Log(1 + sum))
}

// without returns q without domains that are no evidence.
func (q *Query) without(ignore []string) *Query {
	if len(ignore) == 0 || len(q.domains) == 0 {
		return q
	}
	c := *q
	c.domains = slices.DeleteFunc(slices.Clone(q.domains), func(d string) bool {
		return slices.ContainsFunc(ignore, func(i string) bool { return siteDomain(i) == d })
	})
	return &c
}

func (s *search) begin() {
	if s.slots == nil {
		s.slots, s.sums = make([]uint32, 1<<12), make([]uint32, 1<<12)
		s.byTxt = map[string]int{}
	}
	for _, i := range s.used {
		s.slots[i] = 0
	}
	s.used = s.used[:0]
	s.terms = s.terms[:0]
	clear(s.byTxt)
}

// record returns the part and number of a slot.
func (s *search) record(slot uint32) (*part, uint32) {
	for _, p := range s.parts {
		if slot-p.base < uint32(p.records()) {
			return p, slot - p.base
		}
	}
	panic("match: a record outside the index")
}

// owners returns a function that counts the live records with a domain, remembering what it counted; nil when the count
// says nothing.
func (s *search) owners(o Options) func(string) int {
	if o.Repeats {
		return nil
	}
	type count struct {
		domain string
		n      int
	}
	var known []count
	return func(d string) int {
		for _, k := range known {
			if k.domain == d {
				return k.n
			}
		}
		n, _ := s.liveWith(hashKey(keyDomain, d), math.MaxInt)
		known = append(known, count{strings.Clone(d), n})
		return n
	}
}

// liveWith counts the live records under a key, and says whether there are more than limit.
func (s *search) liveWith(h uint32, limit int) (n int, over bool) {
	for _, p := range s.parts {
		ids := p.keys.find(h)
		if p.deaths == 0 {
			n += len(ids)
		} else {
			for _, r := range ids {
				if !p.isDead(r) {
					n++
				}
			}
		}
		if n > limit {
			return n, true
		}
	}
	return n, false
}

// touch adds weight to a record.
func (s *search) touch(slot, weight uint32) {
	mask := uint32(len(s.slots) - 1)
	i := (slot * 2654435761) >> 7 & mask
	for s.slots[i] != 0 {
		if s.slots[i] == slot+1 {
			s.sums[i] += weight
			return
		}
		i = (i + 1) & mask
	}
	s.slots[i], s.sums[i] = slot+1, weight
	if s.used = append(s.used, i); 2*len(s.used) > len(s.slots) {
		s.grow()
	}
}

// touched returns where a record's sum is, if it was touched.
func (s *search) touched(slot uint32) (uint32, bool) {
	mask := uint32(len(s.slots) - 1)
	for i := (slot * 2654435761) >> 7 & mask; s.slots[i] != 0; i = (i + 1) & mask {
		if s.slots[i] == slot+1 {
			return i, true
		}
	}
	return 0, false
}

func (s *search) grow() {
	old, sums, used := s.slots, s.sums, s.used
	s.slots, s.sums = make([]uint32, 2*len(old)), make([]uint32, 2*len(old))
	s.used = make([]uint32, 0, len(old)+1)
	for _, i := range used {
		s.touch(old[i]-1, sums[i])
	}
}

// follow adds a word of the live vocabulary to the plan, or raises its weight.
func (s *search) follow(text string, weight float64, exact bool) {
	w := uint32(weight * scale)
	if i, ok := s.byTxt[text]; ok {
		t := &s.terms[i]
		t.weight = max(t.weight, w)
		t.exact = t.exact || exact
		return
	}
	t := term{text: text, weight: w, exact: exact}
	for i, p := range s.parts {
		if n, ok := p.lookup(text); ok {
			if l := p.liveFrequency(n); l > 0 {
				t.live += l
				t.refs = append(t.refs, ref{i, n})
			}
		}
	}
	if t.live == 0 {
		return
	}
	s.byTxt[text] = len(s.terms)
	s.terms = append(s.terms, t)
}

// liveWord counts the live records with a word.
func (s *search) liveWord(text string) (n int) {
	for _, p := range s.parts {
		if w, ok := p.lookup(text); ok {
			n += p.liveFrequency(w)
		}
	}
	return n
}

// plan fills s.terms with every word of the live vocabulary that answers one of the query's, rarest first.
func (s *search) plan(q *Query) {
	seen := 0
	done := map[string]bool{}
	for i := range q.names {
		n := &q.names[i]
		for j := range n.words {
			w := &n.words[j]
			last := j == len(n.words)-1
			if j+1 < len(n.words) {
				next := &n.words[j+1]
				if w.kind&pairOf == 0 && next.kind&pairOf == 0 {
					s.follow(w.text+next.text, (w.weight+next.weight)/2, true)
					if t := lengthened[w.text+next.text]; t != "" {
						s.follow(t, (w.weight+next.weight)/2, false)
					}
				}
			}
			if done[w.text] || seen == maxQueryWords {
				continue
			}
			done[w.text] = true
			seen++
			s.follow(w.text, w.weight, true)
			if w.kind&(pairOf|number) != 0 {
				continue
			}
			s.misspelt(w)
			for _, t := range []string{shortened[w.text], lengthened[w.text]} {
				if t != "" {
					s.follow(t, 0.9*w.weight, false)
				}
			}
			if len(w.text) >= 5 || last && len(w.text) >= 3 {
				s.longer(w)
			}
			for l := len(w.text) - 1; l >= 4; l-- { // the record has the short form
				if t := w.text[:l]; utf8.ValidString(t) {
					s.follow(t, 0.75*w.weight, false)
				}
			}
		}
	}
	slices.SortFunc(s.terms, func(a, b term) int { return cmp.Or(a.live-b.live, strings.Compare(a.text, b.text)) })
}

// misspelt follows the nearest words within the edit distance.
func (s *search) misspelt(w *word) {
	type near struct {
		text string
		sim  float64
		w    float64
	}
	var found []near
	edited(w.text, func(h uint32) {
		for _, p := range s.parts {
			for _, id := range p.edits.find(h) {
				if p.liveFrequency(id) == 0 {
					continue
				}
				x := word{text: p.wordText(id), weight: float64(p.weight[id]), kind: p.kind[id]}
				if x.text == w.text || slices.ContainsFunc(found, func(f near) bool { return f.text == x.text }) {
					continue
				}
				if sim := similarity(w, &x, false); sim > 0.6 {
					found = append(found, near{x.text, sim, x.weight})
				}
			}
		}
	})
	slices.SortFunc(found, func(a, b near) int { return cmp.Or(cmp.Compare(b.sim, a.sim), strings.Compare(a.text, b.text)) })
	for _, f := range found[:min(len(found), maxNear)] {
		s.follow(f.text, f.sim*(w.weight+f.w)/2, false)
	}
}

// longer follows the words that w begins, if they are not too many to mean anything.
func (s *search) longer(w *word) {
	type found struct {
		text   string
		weight float64
	}
	var all []found
	for _, p := range s.parts {
		for i := p.lowerBound(w.text); i < p.vocabulary(); i++ {
			t := p.wordText(uint32(i))
			if !strings.HasPrefix(t, w.text) {
				break
			}
			if t == w.text || p.liveFrequency(uint32(i)) == 0 || slices.ContainsFunc(all, func(f found) bool { return f.text == t }) {
				continue
			}
			if all = append(all, found{t, float64(p.weight[i])}); len(all) > maxPrefix {
				return
			}
		}
	}
	for _, f := range all {
		s.follow(f.text, 0.8*f.weight, false)
	}
}

// retrieve fills s.hits with the records worth judging.
func (s *search) retrieve(q *Query, r *Result) *memo {
	me := &memo{tag: cityTag(q.city), queryMass: uint32(q.massTag())}
	s.plan(q)

	// Words, rarest first, as long as the budget lasts.
	me.open, me.scanned = s.limits.budgeted(s.terms)
	for i := range s.terms[:me.open] {
		t := &s.terms[i]
		for _, f := range t.refs {
			p := s.parts[f.part]
			for _, rec := range p.postings(f.word) {
				if p.deaths == 0 || !p.isDead(rec) {
					s.touch(p.base+rec, t.weight)
				}
			}
		}
	}

	// Keys.
	key := func(h uint32, weight float64) {
		me.keys = append(me.keys, h)
		if _, over := s.liveWith(h, s.limits.key); over {
			return
		}
		for _, p := range s.parts {
			for _, rec := range p.keys.find(h) {
				if !p.isDead(rec) {
					s.touch(p.base+rec, uint32(weight*scale))
				}
			}
		}
	}
	full := float64(me.queryMass) / scale
	for i := range q.names {
		n := &q.names[i]
		key(hashKey(keySquash, n.squash), n.mass)
		if n.plain != n.squash {
			key(hashKey(keySquash, n.plain), n.mass)
		}
		if len(n.squash) >= prefixLength {
			key(hashKey(keyPrefix, n.squash[:prefixLength]), n.mass/2)
		}
		if a := n.acronym(); a != "" {
			key(hashKey(keySquash, a), n.mass*0.4)
			s.initialsAsWord(a, n.mass*0.4)
			me.initials = append(me.initials, a)
		}
		if len(n.words) == 1 && len(n.squash) >= 3 && len(n.squash) <= 8 {
			key(hashKey(keyAcronym, n.squash), n.mass)
		}
	}
	for _, d := range q.domains {
		key(hashKey(keyDomain, d), max(full, 10))
	}
	for _, f := range []struct {
		kind byte
		text string
	}{{keyPhone, q.phone}, {keyTax, q.tax}, {keyDUNS, q.duns}, {keyLEI, q.lei}} {
		if f.text != "" {
			key(hashKey(f.kind, f.text), max(full, 10))
		}
	}

	s.split(q, me)
	s.scan(me)
	for i := range s.terms[me.scanned:] {
		r.Truncated = r.Truncated || s.terms[me.scanned+i].exact
	}
	s.choose(me)
	me.terms = slices.Clone(s.terms)
	for i := range me.terms {
		me.terms[i].refs = nil // they would keep old segments alive
		me.terms[i].text = strings.Clone(me.terms[i].text)
	}
	return me
}

// initialsAsWord touches records one of whose words is the query's initials.
func (s *search) initialsAsWord(a string, weight float64) {
	for _, p := range s.parts {
		if w, ok := p.lookup(a); ok && s.liveWord(a) <= s.limits.key {
			for _, rec := range p.postings(w) {
				if !p.isDead(rec) {
					s.touch(p.base+rec, uint32(weight*scale))
				}
			}
		}
	}
}

// budgeted says how many of the terms, which are in order of rising frequency, are opened in full, and up to which the
// others are read for records another arm knows.
func (l limits) budgeted(terms []term) (open, scanned int) {
	spent := 0
	for ; open < len(terms); open++ {
		if n := terms[open].live; spent+n <= l.open || open == 0 && n <= l.first {
			spent += n
			continue
		}
		break
	}
	spent = 0
	for scanned = open; scanned < len(terms); scanned++ {
		if !terms[scanned].exact {
			continue
		}
		if spent += terms[scanned].live; spent > l.scan {
			break
		}
	}
	return open, scanned
}

// partners is how many of the common words after one are looked at for a record that has nothing else.
const partners = 4

// scan reads the common words that were not opened, for the records another arm knows: touched already, in the
// query's city, or with another of the common words.
func (s *search) scan(me *memo) {
	for i := me.open; i < me.scanned; i++ {
		t := &s.terms[i]
		if !t.exact {
			continue
		}
		for _, f := range t.refs {
			p := s.parts[f.part]
			others := s.otherLists(i, f.part)
			for _, rec := range p.postings(f.word) {
				if p.deaths > 0 && p.isDead(rec) {
					continue
				}
				slot := p.base + rec
				if at, ok := s.touched(slot); ok {
					s.sums[at] += t.weight
					continue
				}
				if me.tag != 0 && p.city[rec] == me.tag {
					s.touch(slot, t.weight)
					continue
				}
				for k := range others {
					if advance(&others[k], rec) {
						s.touch(slot, t.weight)
						break
					}
				}
			}
		}
	}
}

// otherLists returns the postings in one part of the common words after the i-th.
func (s *search) otherLists(i, part int) (out [][]uint32) {
	for j, n := i+1, 0; j < len(s.terms) && n < partners; j++ {
		if !s.terms[j].exact {
			continue
		}
		n++
		for _, f := range s.terms[j].refs {
			if f.part == part {
				out = append(out, s.parts[part].postings(f.word))
			}
		}
	}
	return out
}

// advance moves a rising list to rec by doubling steps and reports whether it is there.
func advance(list *[]uint32, rec uint32) bool {
	l := *list
	step := 1
	for step < len(l) && l[step] < rec {
		step *= 2
	}
	lo := step / 2
	i, ok := slices.BinarySearch(l[lo:min(step+1, len(l))], rec)
	*list = l[lo+i:]
	return ok
}

// mayBeTwo reports whether a word of a query is long enough to be two written together.
func mayBeTwo(w *word) bool { return len(w.text) >= 6 && w.kind == 0 }

// split finds records that write as two words what the query writes as one.
func (s *search) split(q *Query, me *memo) {
	for i := range q.names {
		for j := range q.names[i].words {
			w := &q.names[i].words[j]
			if !mayBeTwo(w) || s.liveWord(w.text) >= splitFrequency {
				continue
			}
			me.splits = append(me.splits, w.text)
			for c := 2; c <= len(w.text)-2; c++ {
				x, y := w.text[:c], w.text[c:]
				if nx, ny := s.liveWord(x), s.liveWord(y); nx == 0 || ny == 0 || min(nx, ny) > s.limits.key {
					continue
				}
				for _, p := range s.parts {
					a, okA := p.lookup(x)
					b, okB := p.lookup(y)
					if !okA || !okB {
						continue
					}
					short, long := p.postings(a), p.postings(b)
					if len(short) > len(long) {
						short, long = long, short
					}
					for _, rec := range short {
						if advance(&long, rec) && !p.isDead(rec) {
							s.touch(p.base+rec, uint32(w.weight*scale))
						}
					}
				}
			}
		}
	}
}

// choose ranks what was touched and keeps the best: by the share of weight in common, with an eighth of the query's
// weight on top for the same city; ties by id.
func (s *search) choose(me *memo) {
	s.hits = s.hits[:0]
	for _, i := range s.used {
		h := hit{slot: s.slots[i] - 1}
		p, rec := s.record(h.slot)
		h.rank = rank(s.sums[i], me, p.mass[rec], p.city[rec])
		s.hits = append(s.hits, h)
	}
	if me.cut = len(s.hits) > s.limits.shortlist; me.cut {
		less := func(a, b hit) int {
			if a.rank != b.rank {
				return cmp.Compare(b.rank, a.rank)
			}
			return strings.Compare(s.idOf(a), s.idOf(b))
		}
		s.hits = best(s.hits, s.limits.shortlist, less)
		me.last = slices.MaxFunc(s.hits, less)
		me.lastID = strings.Clone(s.idOf(me.last))
	}
}

func (s *search) idOf(h hit) string {
	p, r := s.record(h.slot)
	return p.id(r)
}

// rank orders records for the shortlist, in millionths.
func rank(sum uint32, me *memo, mass, city uint16) uint32 {
	if me.tag != 0 && city == me.tag {
		sum += me.queryMass / 8
	}
	return uint32(uint64(sum) * 1_000_000 / (uint64(me.queryMass) + uint64(mass) + 1))
}

// best returns the k first of h in the order of less, in no order, rearranging h.
func best(h []hit, k int, less func(a, b hit) int) []hit {
	lo, hi := 0, len(h)
	for hi-lo > 1 {
		// Three-way partition around the median of three.
		a, b, c := h[lo], h[(lo+hi)/2], h[hi-1]
		if less(b, a) < 0 {
			a, b = b, a
		}
		if less(c, b) < 0 {
			if b = c; less(b, a) < 0 {
				b = a
			}
		}
		i, j, at := lo, hi, lo
		for at < j {
			switch d := less(h[at], b); {
			case d < 0:
				h[i], h[at] = h[at], h[i]
				i++
				at++
			case d > 0:
				j--
				h[j], h[at] = h[at], h[j]
			default:
				at++
			}
		}
		switch {
		case k <= i:
			hi = i
		case k >= j:
			lo = j
		default:
			return h[:k]
		}
	}
	return h[:k]
}
