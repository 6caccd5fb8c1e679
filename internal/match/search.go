package match

import (
	"cmp"
	"math"
	"math/bits"
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
	join      int // postings of the next, common words read for records that have two of them, or are in the query's city
	scan      int // postings of these and further words read for records already known
	key       int // records of one key; a key that more share tells nothing
	shortlist int // candidates that are judged
	beside    int // records next door that are judged besides
	here      int // a record in the query's city or postal code has a part of the query's weight on top, one in so many
	near      int // and one in its region

	// What follows decides on work and not on answers. From closing postings on it pays to ask whether they must be read, and
	// before a word with 1/pass as many as there is room for touched records. Up to few records are looked up one by one.
	closing, pass, few int
}

var (
	standardLimits = limits{open: 4_000, first: 60_000, join: 10_000, scan: 98_000, key: 2_000, shortlist: 48, beside: 8, here: 4, near: 16, closing: 1_000, pass: 8, few: 256}
	// Among several millions each word has more bearers, and so has each name.
	largeLimits = limits{open: 24_000, first: 60_000, join: 6_000, scan: 98_000, key: 2_000, shortlist: 80, beside: 8, here: 3, near: 12, closing: 1_000, pass: 8, few: 256}
)

// largeFrom is the number of live records from which the large limits hold.
const largeFrom = 4_000_000

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
	Limit      int        // candidates returned; 0 means 10
	Thresholds Thresholds // zero means DefaultThresholds
	// Repeats says that many records may describe one organisation, as registrations of one customer do. Each is then
	// judged for itself: others that fit as well, or have the same domain, take nothing away from it. Words that nobody has are looked
	// for with two slips even where another is one slip away: one overlooked is a second holder.
	Repeats bool
	// Identified says that records that share an identifier (deal.Match) are returned beyond Limit too.
	Identified bool
	// Explained is the probability below which candidates have no evidence, unless they are among the first two, share an identifier or are
	// relatives. Most of a search's answer are namesakes far off, of whom nobody reads what they have in common.
	Explained float64
}

// alwaysExplained are the best candidates, however far off: they show what was nearest.
const alwaysExplained = 2

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

// in tells the number in each part of a text that is r's word.
func (r ref) in(text string) func(i int, p *part) (uint32, bool) {
	return func(i int, p *part) (uint32, bool) {
		if i == r.part {
			return r.word, true
		}
		return p.lookup(text)
	}
}

// hit is a record the retrieval touched, with its rank.
type hit struct {
	slot   uint32 // number of the record among all parts
	rank   uint32
	common bool // see onlyCommon
}

// sum is what a touched record has gained so far.
type sum struct {
	slot   uint32
	weight uint32 // and onlyCommon
	sign   uint32 // see signOf; 0: not looked up, or nothing
}

// onlyCommon marks the sum of a record that no key and none of the words opened in full led to.
const onlyCommon = 1 << 31

func (c sum) gain() uint32 { return c.weight &^ onlyCommon }

// rest is what is left to read from one term on.
type rest struct {
	weight   uint32 // the most a record can gain
	postings int
}

// search is the reusable memory of one search.
type search struct {
	limits   limits
	large    bool // they are those of many records
	thorough bool // see twiceMisspelt
	parts    []*part
	terms    []term
	byTxt    map[string]int

	sums  []sum    // of the touched records, but those that cannot reach the shortlist any more
	table []uint32 // where in sums a record is, and one, by open addressing; 0 is nobody
	room  []uint32 // the memory of table
	best  []sum    // scratch of last
	rest  []rest
	least uint32 // a rank that the last of a full shortlist has at least; 0: unknown
	refs  []ref  // of the terms
	hits  []hit
	doors []hit // see nextDoor

	answers []answering // of one part, by word; see meet

	filter   [1 << 10]uint64 // a bit for each known or touched record, by the end of its number; see mark
	in       [1 << 13]uint32 // for each record of a block the common lists it is in
	common   []common
	doubts   []doubt
	seen     [1 << 10]uint32 // words of a part, and one, by open addressing; see first
	block    [64]sum         // see blocks
	fetched  byte            // keeps fetch from being optimised away
	readers  []reader        // of each hit
	found    []near          // see misspelt
	around   []*around       // of one word, by part
	fresh    []around        // room for them
	slips    []uint32        // the hashes of the word; see edited
	halves   []string        // see halfMisspelt
	ids      []uint32
	texts    []string
	evidence []evidence
}

// Search returns the records that most probably describe the organisation of q. It is a pure function of the model,
// the live records, q and o.
func (x *Index) Search(q *Query, o Options) Result {
	s := x.scratch.Get().(*search)
	defer func() {
		s.forget()
		x.scratch.Put(s)
	}()
	x.mu.RLock()
	defer x.mu.RUnlock()
	s.parts, s.thorough = x.parts, o.Repeats
	s.limits, s.large = x.limitsNow()
	r := Result{Version: x.version}
	s.begin()
	memo := s.retrieve(q, &r)
	r.memo = memo
	owners := s.owners(o)
	memo.judged = make([]scored, len(s.hits))
	s.evidence = grown(s.evidence, len(s.hits))
	s.readers = grown(s.readers, len(s.hits))
	size := 0
	s.fetch()
	for i, h := range s.hits {
		p, rec := s.record(h.slot)
		b := s.readers[i].read(p.segment, rec)
		x.m.compare(q, b, owners, &s.evidence[i])
		memo.judged[i] = scored{hit: i, logit: round(s.evidence[i].logit), id: b.id}
		size += len(b.id)
	}
	ids := make([]byte, 0, size) // of our own, in one piece
	for i := range memo.judged {
		ids = append(ids, memo.judged[i].id...)
	}
	all := string(ids)
	for i := range memo.judged {
		c := &memo.judged[i]
		c.id, all = all[:len(c.id)], all[len(c.id):]
	}
	r.Candidates = x.m.answer(memo, o, func(c scored) *evidence { return &s.evidence[c.hit] })
	return r
}

// Owners returns how many live records have the web domain.
func (x *Index) Owners(domain string) int {
	d := siteDomain(domain)
	if !x.m.own(d) {
		return 0
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	n, _ := (&search{parts: x.parts}).liveWith(only(hashKey(keyDomain, d)), math.MaxInt)
	return n
}

// fetch touches the encoded hits, which lie far apart, so that they come side by side.
func (s *search) fetch() {
	n := byte(0)
	for _, h := range s.hits {
		p, rec := s.record(h.slot)
		from, to := p.off[rec], p.off[rec+1]
		n ^= p.blob[from] ^ p.blob[(from+to)/2] ^ p.blob[to-1]
	}
	s.fetched = n
}

// forget drops what would keep merged segments alive.
func (s *search) forget() {
	s.parts = nil
	for i := range s.hits {
		s.readers[i].forget()
		s.evidence[i].a, s.evidence[i].b, s.evidence[i].like = nil, nil, likeness{}
	}
	for i := range s.terms {
		s.terms[i].text = ""
	}
	clear(s.byTxt)
	clear(s.around)
}

// grown returns l with n elements at least.
func grown[T any](l []T, n int) []T {
	if n > len(l) {
		l = append(l, make([]T, n-len(l))...)
	}
	return l
}

// scored is a judged candidate.
type scored struct {
	hit   int // its number among the hits of the search that found it, and in that search only
	logit float64
	alike float64 // see untie
	spelt float64 // see reorder
	id    string
}

// answer orders judged candidates and puts the best in words.
func (m *Model) answer(me *memo, o Options, of func(scored) *evidence) []deal.Match {
	cands := me.judged
	slices.SortFunc(cands, func(a, b scored) int {
		if a.logit != b.logit {
			return cmp.Compare(b.logit, a.logit)
		}
		return strings.Compare(a.id, b.id)
	})
	limit, t := o.Limit, o.Thresholds
	if limit <= 0 {
		limit = defaultLimit
	}
	if o.Repeats {
		untie(cands, limit, of)
	} else {
		reorder(cands, limit, of)
	}
	if t == (Thresholds{}) {
		t = DefaultThresholds
	}
	out := make([]deal.Match, 0, min(limit, len(cands)))
	var names []byte
	for i, c := range cands {
		if i >= limit && (!o.Identified || of(c).identifier() == "") {
			continue
		}
		rivals, in := 0.0, repeated
		if !o.Repeats {
			rivals, in = rivalry(cands, i), ranked
		}
		e := of(c)
		e.spelt = c.spelt
		if w := e.onlyWord(); in == ranked && w != "" {
			e.alike = me.live(w)
		}
		from := o.Explained
		if i < alwaysExplained {
			from = 0
		}
		out = append(out, m.match(e, rivals, in, t, from))
		out[len(out)-1].ID = c.id
		names = append(names, e.b.display...) // what e is about may be another's when the next is asked for
	}
	all := string(names) // of our own, in one piece
	for i := range out {
		n := &out[i].Name
		*n, all = all[:len(*n)], all[len(*n):]
	}
	return out
}

const (
	speltWeight = 2.0 // what it takes from a candidate that another of the first is written all alike, and itself not at all
	speltWindow = 1.2 // of log-odds, below the best: whoever has less is seldom written so much more alike
)

// reorder takes from the first candidates, by their evidence, as much as they are written less alike than that one of them that is written
// most alike, and orders them by what is left; then by how alike they are written, then by id. Words that count for little, legal forms
// and letters that are folded are in what is written, so this tells which of several that fit is meant.
func reorder(cands []scored, limit int, of func(scored) *evidence) {
	n := 0
	for n < min(limit, len(cands)) && cands[n].logit >= cands[0].logit-speltWindow {
		n++
	}
	for i := range cands {
		cands[i].spelt, cands[i].alike = 0, 0
	}
	if n < 2 {
		return
	}
	first := cands[:n]
	var asked *letterRuns
	most := 0.0
	for i := range first {
		e := of(first[i])
		if i == 0 {
			asked = runsOf(e.a.display)
		}
		if e.like.a != nil && max(e.like.a.role, e.like.b.role) >= aliasName { // what was compared is not the main name
			first[i].alike = -1
			continue
		}
		first[i].alike = asked.alike(e.b.display)
		most = max(most, first[i].alike)
	}
	for i := range first {
		if first[i].alike < 0 {
			first[i].alike = most
		}
		first[i].spelt = round(speltWeight * (first[i].alike - most))
	}
	slices.SortFunc(cands, func(a, b scored) int {
		return cmp.Or(cmp.Compare(b.weighed(), a.weighed()), cmp.Compare(b.alike, a.alike), strings.Compare(a.id, b.id))
	})
}

// weighed returns the log-odds with what reorder takes.
func (c scored) weighed() float64 { return c.logit + c.spelt }

// untie orders candidates of equal evidence, which are in the order of their ids, by how alike the main names are as written: most are
// one name with one legal form or another, or in other letters. Those behind the first limit stay as they are.
func untie(cands []scored, limit int, of func(scored) *evidence) {
	for from := 0; from < min(limit, len(cands)); {
		to := from + 1
		for to < len(cands) && cands[to].logit == cands[from].logit {
			to++
		}
		if tied := cands[from:to]; len(tied) > 1 {
			var asked *letterRuns
			for i := range tied {
				e := of(tied[i])
				if i == 0 {
					asked = runsOf(e.a.display)
				}
				tied[i].alike = asked.alike(e.b.display)
			}
			slices.SortFunc(tied, func(a, b scored) int { return cmp.Or(cmp.Compare(b.alike, a.alike), strings.Compare(a.id, b.id)) })
		}
		from = to
	}
}

// rivalry returns ln(1 + the odds of the other candidates relative to candidate i).
func rivalry(cands []scored, i int) float64 {
	sum := 0.0
	for j := range cands {
		if j != i {
			sum += math.Exp(min(30, cands[j].weighed()-cands[i].weighed()))
		}
	}
	return round(math.Log(1 + sum))
}

func (s *search) begin() {
	if s.room == nil {
		s.room, s.byTxt = make([]uint32, 1<<13), map[string]int{}
	}
	s.table, s.sums = s.room[:1<<11], s.sums[:0]
	clear(s.table)
	s.terms, s.refs, s.halves = s.terms[:0], s.refs[:0], nil
	clear(s.byTxt)
}

// record returns the part and number of a slot.
func (s *search) record(slot uint32) (*part, uint32) {
	if p := s.parts[0]; slot < uint32(p.records()) { // most records, as a rule
		return p, slot
	}
	for _, p := range s.parts[1:] {
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
		n, _ := s.liveWith(only(hashKey(keyDomain, d)), math.MaxInt)
		known = append(known, count{strings.Clone(d), n})
		return n
	}
}

// liveWith counts the live records under keys, and says whether there are more than limit.
func (s *search) liveWith(h span, limit int) (n int, over bool) {
	for _, p := range s.parts {
		ids := p.keys.between(h)
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
	mask := uint32(len(s.table) - 1)
	for i := spread(slot) & mask; ; i = (i + 1) & mask {
		at := s.table[i]
		if at == 0 {
			s.sums = append(s.sums, sum{slot: slot, weight: weight})
			s.table[i] = uint32(len(s.sums))
			if 2*len(s.sums) > len(s.table) {
				s.resize(4 * len(s.table))
			}
			return
		}
		if c := &s.sums[at-1]; c.slot == slot {
			c.weight += weight
			return
		}
	}
}

// touched adds weight to a record that was touched before, and reports whether it was.
func (s *search) touched(slot, weight uint32) bool {
	mask := uint32(len(s.table) - 1)
	for i := spread(slot) & mask; s.table[i] != 0; i = (i + 1) & mask {
		if c := &s.sums[s.table[i]-1]; c.slot == slot {
			c.weight += weight
			return true
		}
	}
	return false
}

// mark notes the touched records in the filter, so that most of the others are told from them by a bit.
func (s *search) mark() {
	clear(s.filter[:])
	for i := range s.sums {
		s.note(s.sums[i].slot)
	}
}

func (s *search) note(slot uint32) { s.filter[slot>>6%uint32(len(s.filter))] |= 1 << (slot & 63) }

// noted reports whether a record may have been touched.
func (s *search) noted(slot uint32) bool {
	return s.filter[slot>>6%uint32(len(s.filter))]&(1<<(slot&63)) != 0
}

// spread hashes the number of a record for the table of touched records.
func spread(slot uint32) uint32 { return slot * 2654435761 >> 7 }

// reserve makes the table large enough for the records of the words that are opened.
func (s *search) reserve(me *memo) {
	n := 0
	for i := range s.terms[:me.open] {
		n += s.terms[i].live
	}
	size := len(s.table)
	for size < 2*n {
		size *= 2
	}
	s.resize(size)
}

// resize makes the table anew, of a size.
func (s *search) resize(size int) {
	if size > len(s.room) {
		s.room = make([]uint32, size)
	}
	s.table = s.room[:size]
	clear(s.table)
	mask := uint32(size - 1)
	for k := range s.sums {
		i := spread(s.sums[k].slot) & mask
		for s.table[i] != 0 {
			i = (i + 1) & mask
		}
		s.table[i] = uint32(k + 1)
	}
}

// follow adds a word of the live vocabulary to the plan, or raises its weight.
func (s *search) follow(text string, weight float64, exact bool) {
	s.followAt(text, weight, exact, func(_ int, p *part) (uint32, bool) { return p.lookup(text) })
}

// followAt is follow for a word whose number in each part at tells.
func (s *search) followAt(text string, weight float64, exact bool, at func(i int, p *part) (uint32, bool)) {
	w := uint32(weight * scale)
	if i, ok := s.byTxt[text]; ok {
		t := &s.terms[i]
		t.weight = max(t.weight, w)
		t.exact = t.exact || exact
		return
	}
	t := term{text: text, weight: w, exact: exact}
	from := len(s.refs)
	for i, p := range s.parts {
		if n, ok := at(i, p); ok {
			if l := p.liveFrequency(n); l > 0 {
				t.live += l
				s.refs = append(s.refs, ref{i, n})
			}
		}
	}
	t.refs = s.refs[from:len(s.refs):len(s.refs)]
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
					s.follow(w.text+next.text, w.weight+next.weight, true)
					if t := lengthened[w.text+next.text]; t != "" {
						s.follow(t, w.weight+next.weight, false)
					}
				}
			}
			if done[w.text] || seen == maxQueryWords {
				continue
			}
			done[w.text] = true
			seen++
			if w.kind&(pairOf|number) != 0 {
				s.follow(w.text, w.weight, true)
				continue
			}
			s.askAround(w)
			s.followAt(w.text, w.weight, true, func(i int, p *part) (uint32, bool) { return p.is(s.around[i].from, w.text) })
			for _, t := range []string{shortened[w.text], lengthened[w.text], townNames[w.text]} {
				if t != "" {
					s.follow(t, 0.9*w.weight, false)
				}
			}
			for _, t := range townsOf[localTown(w.text)] {
				if t != w.text {
					s.follow(t, 0.9*w.weight, false)
				}
			}
			if len(w.text) >= 5 || last && len(w.text) >= 3 {
				s.longer(w)
			}
			for l := len(w.text) - 1; l >= shortest; l-- {
				if t := w.text[:l]; utf8.ValidString(t) {
					s.followAt(t, 0.75*w.weight, false, func(i int, p *part) (uint32, bool) { return s.around[i].begins(p, w.text, l) })
				}
			}
			if !s.misspelt(w, true) {
				s.halfMisspelt(w)
			}
		}
	}
	slices.SortFunc(s.terms, rarer)
}

// rarer orders words by how many have them, and those of as many by their letters.
func rarer(a, b term) int {
	if a.live != b.live {
		return a.live - b.live
	}
	return strings.Compare(a.text, b.text)
}

// near is a word that another may be a misspelling of.
type near struct {
	text string
	sim  float64
	w    float64
	at   ref // where it was found first
}

// halfLetters is how long each of two words written as one is at least for one of them to be looked for with a slip.
const halfLetters = 4

// halfMisspelt follows what a long word that nobody has may be one half of, when its other half is a word that some have: two were written
// as one, and not well. The longest such half at either end is taken.
func (s *search) halfMisspelt(w *word) {
	if !mayBeTwo(w) || len(w.text) < 2*halfLetters+1 || !isASCII(w.text) || s.liveWord(w.text) > 0 {
		return
	}
	try := func(known, rest string) bool {
		if s.liveWord(known) < splitFrequency {
			return false
		}
		s.halves = append(s.halves, rest)
		half := &word{text: rest, weight: w.weight}
		s.askAround(half)
		s.misspelt(half, false)
		return true
	}
	for c := len(w.text) - halfLetters; c >= halfLetters && !try(w.text[:c], w.text[c:]); c-- {
	}
	for c := halfLetters; c <= len(w.text)-halfLetters && !try(w.text[c:], w.text[:c]); c++ {
	}
}

// misspelt follows the nearest words within the edit distance of one that s.around is about, those two slips away too if that is asked for, and
// reports whether there is any that is about as long.
func (s *search) misspelt(w *word, twice bool) (any bool) {
	found := s.found[:0]
	live := 0
	for i, p := range s.parts {
		if n, ok := p.is(s.around[i].from, w.text); ok {
			live += p.liveFrequency(n)
		}
		for _, c := range s.around[i].near {
			if p.liveFrequency(c.id) == 0 {
				continue
			}
			if t := p.wordText(c.id); i == 0 || !slices.ContainsFunc(found, func(f near) bool { return f.text == t }) {
				found = append(found, near{t, c.similarity, float64(c.weight), ref{i, c.id}})
			}
		}
	}
	if twice && (s.thorough || len(found) == 0) && len(w.text) >= twoSlipLetters && live == 0 {
		found = s.twiceMisspelt(w, found)
	}
	slices.SortFunc(found, func(a, b near) int {
		if a.sim != b.sim {
			return cmp.Compare(b.sim, a.sim)
		}
		return strings.Compare(a.text, b.text)
	})
	for _, f := range found[:min(len(found), maxNear)] {
		any = any || len(f.text) >= len(w.text)-2
		s.followAt(f.text, f.sim*min(w.weight, (w.weight+f.w)/2), false, f.at.in(f.text)) // no more than by the word itself
	}
	clear(found)
	s.found = found[:0]
	return any
}

// twoSlipLetters is the length from which two slips in one word are looked for.
const twoSlipLetters = 6

// twiceMisspelt adds the words that begin with the same letter and are two slips away, which the table of single edits does not
// lead to: two people who write one word each make one, and a poor typist makes both. It reads a part of the vocabulary, a few
// bytes of each word, so it is for words that nobody has.
func (s *search) twiceMisspelt(w *word, found []near) []near {
	_, first := utf8.DecodeRuneInString(w.text)
	set := letters(w.text)
	for i, p := range s.parts {
		from := p.lowerBound(w.text[:first])
		for k, l := range p.letters[from:max(from, p.lowerBound(w.text[:first]+"\xff"))] { // in a snapshot that was damaged words may not be in order
			if bits.OnesCount32(l^set) > 4 { // each slip changes the set by two at most
				continue
			}
			id := uint32(from + k)
			if d := int(p.textOff[id+1]-p.textOff[id]) - len(w.text); d < -2 || d > 2 {
				continue
			}
			x := word{text: p.wordText(id)}
			if slices.ContainsFunc(found, func(f near) bool { return f.text == x.text }) {
				continue
			}
			x.weight, x.kind = float64(p.weight[id]), p.kind[id]
			if sim := similarity(w, &x, false); sim > nearly && p.liveFrequency(id) > 0 {
				found = append(found, near{x.text, sim, x.weight, ref{i, id}})
			}
		}
	}
	return found
}

// apart reports words that similarity would call unrelated, by their lengths.
func apart(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	return len(b)-len(a) > 2 && len(a) > 5 && !strings.HasPrefix(b, a)
}

// longer follows the words that w begins, if they are not too many to mean anything.
func (s *search) longer(w *word) {
	defer func() {
		clear(s.found)
		s.found = s.found[:0]
	}()
	for k, p := range s.parts {
		from := int(s.around[k].from)
		if end := from + maxPrefix + 1; p.deaths == 0 && end < p.vocabulary() && strings.HasPrefix(p.wordText(uint32(end)), w.text) {
			return // with w itself there may be one more
		}
		for i := from; i < p.vocabulary(); i++ {
			t := p.wordText(uint32(i))
			if !strings.HasPrefix(t, w.text) {
				break
			}
			if t == w.text || p.liveFrequency(uint32(i)) == 0 || k > 0 && slices.ContainsFunc(s.found, func(f near) bool { return f.text == t }) {
				continue
			}
			if s.found = append(s.found, near{text: t, w: float64(p.weight[i]), at: ref{k, uint32(i)}}); len(s.found) > maxPrefix {
				return
			}
		}
	}
	for _, f := range s.found {
		s.followAt(f.text, 0.8*min(w.weight, f.w), false, f.at.in(f.text))
	}
}

// retrieve fills s.hits with the records worth judging.
func (s *search) retrieve(q *Query, r *Result) *memo {
	me := &memo{sign: signOf(q), queryMass: uint32(q.lightest()), large: s.large}
	if me.sign&regionMask != 0 {
		me.near = me.queryMass / uint32(s.limits.near)
	}
	if me.sign&(cityMask|postalMask) != 0 {
		me.here = me.queryMass / uint32(s.limits.here)
	}
	s.plan(q)
	me.halves = s.halves

	me.budget = s.limits.budget(s.terms)
	s.reserve(me)

	// Keys: for records without the word but, and of a mass unless it is 0.
	key := func(h span, weight float64, but string, mass uint32) {
		me.keys = append(me.keys, h)
		n, over := s.liveWith(h, s.limits.key)
		if over {
			return
		}
		all := mass == 0 || n <= chance
		for _, p := range s.parts {
			var have []uint32
			if but != "" {
				if w, ok := p.lookup(but); ok {
					have = p.postings(w)
				}
			}
			found := p.keys.between(h)
			if h.from != h.to { // a record may be there by several names
				s.ids = append(s.ids[:0], found...)
				slices.Sort(s.ids)
				found = slices.Compact(s.ids)
			}
			for _, rec := range found {
				if !p.isDead(rec) && !advance(&have, rec) && (all || massOf(p.sign[rec])+1-mass <= 2) {
					s.touch(p.base+rec, uint32(weight*scale))
				}
			}
		}
	}
	named := func(n *name, squash, but string) {
		mass := uint32(0)
		if len(squash) >= prefixLength {
			mass = min(uint32(n.mass*scale), massMask)
		}
		key(only(nameKey(squash)), n.mass, but, mass)
	}
	full := float64(q.massTag()) / scale
	for i := range q.names {
		n := &q.names[i]
		found := ""
		if len(n.words) == 1 && s.opened(me, n.squash) {
			found = n.squash // as a word, by whoever does not write it as two
		}
		named(n, n.squash, found)
		if n.plain != n.squash {
			named(n, n.plain, "")
		}
		if len(n.squash) >= prefixLength {
			key(prefixKey(n.squash), n.mass/2, "", 0)
		}
		for _, a := range []string{n.acronym(), n.articled()} {
			if a != "" {
				key(only(nameKey(a)), n.mass*0.4, "", 0)
				s.touchWord(a, n.mass*0.4) // they may be a word of a record
				me.initials = append(me.initials, a)
			}
		}
		if len(n.words) == 1 && len(n.squash) >= 3 && len(n.squash) <= 8 {
			key(only(hashKey(keyAcronym, n.squash)), n.mass, "", 0)
		}
	}
	for _, d := range q.domains {
		key(only(hashKey(keyDomain, d)), max(full, 10), "", 0)
	}
	for _, f := range []struct {
		kind byte
		text string
	}{{keyPhone, phoneTail(q.phone)}, {keyTax, q.tax}, {keyDUNS, q.duns}, {keyLEI, q.lei}} {
		if f.text != "" {
			key(only(hashKey(f.kind, f.text)), max(full, 10), "", 0)
		}
	}

	s.split(q, me)
	s.read(me)
	for i := range s.terms[me.scan:] {
		r.Truncated = r.Truncated || s.terms[me.scan+i].exact
	}
	s.choose(me)
	s.nextDoor(q, me)
	me.keep(s.terms)
	return me
}

// opened reports whether all records with a word are read.
func (s *search) opened(me *memo, word string) bool {
	return slices.ContainsFunc(s.terms[:me.open], func(t term) bool { return t.text == word })
}

// keep copies the terms, without what would keep old segments alive.
func (me *memo) keep(terms []term) {
	size := 0
	for i := range terms {
		size += len(terms[i].text)
	}
	var b strings.Builder
	b.Grow(size)
	me.terms = slices.Clone(terms)
	for i := range me.terms {
		t := &me.terms[i]
		from := b.Len()
		b.WriteString(t.text)
		t.text, t.refs = b.String()[from:], nil
	}
}

// touchWord touches the records that have a word, if they are not too many.
func (s *search) touchWord(t string, weight float64) {
	for _, p := range s.parts {
		if w, ok := p.lookup(t); ok && s.liveWord(t) <= s.limits.key {
			for _, rec := range p.postings(w) {
				if !p.isDead(rec) {
					s.touch(p.base+rec, uint32(weight*scale))
				}
			}
		}
	}
}

// budget says how far the terms, which are in order of rising frequency, are read: up to open in full, up to join for
// records with two of them, up to scan for records that are known.
func (l limits) budget(terms []term) (b budget) {
	spent := 0
	for ; b.open < len(terms); b.open++ {
		if n := terms[b.open].live; spent+n <= l.open || b.open == 0 && n <= l.first {
			spent += n
			continue
		}
		break
	}
	spent = 0
	joined := 0
	b.join = -1
	for b.scan = b.open; b.scan < len(terms); b.scan++ {
		if !terms[b.scan].exact {
			continue
		}
		if spent += terms[b.scan].live; (spent > l.join || joined == maxCommon-partners) && b.join < 0 {
			b.join = b.scan
		}
		joined++
		if spent > l.scan {
			break
		}
	}
	if b.join < 0 {
		b.join = b.scan
	}
	return b
}

type budget struct{ open, join, scan int }

// The parts of the first candidate's rank that others must have to be judged, in hundredths. What has less shares words of
// business, or a place, and would only be judged to be told apart. Of records that nothing but common words led to, there are
// always some that share a few of them: more is asked of those.
const (
	floorShare  = 35
	commonShare = 60
)

// leastRank is what a record must have to be judged, whatever the first has: a seventh of its names in common, or so. Half a million is all. Of the
// 300,000 candidates that were judged for the H-1B questions by all fields or by name and for the demo's, none below it had a probability of 5%.
const leastRank = 140_000

// chance is how many records a long name's key may lead to before they are taken for namesakes of its beginning, of whom one in 128 has
// the key too: then only those are meant whose words weigh as much as the query's.
const chance = 16

// maxCommon is how many common words are read together at most.
const maxCommon = 32

// partners is how many of the common words after one are looked at for a record that has nothing else.
const partners = 4

// read adds up what the records gain by their words: rarest first those that are opened in full; then the common
// ones, for the records another arm knows: touched already, in the query's city, or with another of the common words.
// As soon as no further record can reach the shortlist, the rest is read for those only that still may. That leaves out
// work and never a candidate: it is the method of Turtle and Flood (1995).
func (s *search) read(me *memo) {
	s.rest = append(s.rest[:0], make([]rest, me.scan+1)...)
	for i := me.scan - 1; i >= 0; i-- {
		s.rest[i] = s.rest[i+1]
		if i < me.open || s.terms[i].exact {
			s.rest[i].weight += s.terms[i].weight
			s.rest[i].postings += s.terms[i].live
		}
	}
	s.least = 0
	closed := false
	for i := range s.terms[:me.open] {
		t := &s.terms[i]
		if s.worthwhile(i) {
			if closed = closed || s.closes(me, i); closed && s.prune(me, i) {
				s.readKnown(me, i)
				return
			}
		}
		for _, f := range t.refs {
			p := s.parts[f.part]
			for _, rec := range p.postings(f.word) {
				switch {
				case closed:
					s.touched(p.base+rec, t.weight)
				case p.deaths == 0 || !p.isDead(rec):
					s.touch(p.base+rec, t.weight)
				}
			}
		}
	}
	from := me.open
	if from < me.join && !closed {
		if s.worthwhile(from) {
			s.least = s.last(me)
		}
		if s.rest[from].postings <= s.limits.closing || !s.closes(me, from) {
			s.join(me)
			from = me.join
		}
	}
	marked := false
	for i := from; i < me.scan; i++ {
		t := &s.terms[i]
		if !t.exact {
			continue
		}
		again := s.worthwhile(i)
		if again && s.prune(me, i) {
			s.readKnown(me, i)
			return
		}
		if again || !marked {
			s.mark()
			marked = true
		}
		for _, f := range t.refs {
			p := s.parts[f.part]
			for _, rec := range p.postings(f.word) {
				if slot := p.base + rec; s.noted(slot) {
					s.touched(slot, t.weight)
				}
			}
		}
	}
}

// worthwhile reports whether reading the i-th term may cost more than looking at all that was touched.
func (s *search) worthwhile(i int) bool {
	return s.rest[i].postings > s.limits.closing && s.limits.pass*s.terms[i].live > len(s.table)
}

// last returns a rank that the last of a full shortlist has at least, or 0. The records touched so far are none that only
// common words led to: more may be asked of those later, and they would make room.
func (s *search) last(me *memo) uint32 {
	// Some of those that gained most are enough.
	const width, some = 1 << 4, 256
	var number [1 << 9]int // of records, by gain
	class := func(c *sum) int { return min(int(c.gain()/width), len(number)-1) }
	for i := range s.sums {
		number[class(&s.sums[i])]++
	}
	least, n := len(number), 0
	for n < 2*s.limits.shortlist && least > 0 {
		least--
		n += number[least]
	}
	s.best = s.best[:0]
	for i := range s.sums {
		if c := &s.sums[i]; class(c) > least || class(c) == least && len(s.best) < some {
			s.best = append(s.best, *c)
		}
	}
	s.rank(me, s.best)
	if len(s.hits) < s.limits.shortlist {
		return 0
	}
	s.shorten(me)
	return me.last.rank
}

// closes reports whether no record that was not touched can reach the shortlist by the terms from the i-th on.
func (s *search) closes(me *memo, i int) bool {
	me.top = max(me.top, s.lead(me))
	return s.rest[i].weight < me.gainFor(max(s.least, me.floor(i >= me.open)))
}

// lead returns a rank that the best of the touched records has at least: that of one with the largest gain.
func (s *search) lead(me *memo) (top uint32) {
	most := uint32(0)
	for i := range s.sums {
		if c := &s.sums[i]; c.gain() > most {
			most = c.gain()
			top = max(top, rank(most, me, s.signOf(c)))
		}
	}
	return top
}

// signOf returns the sign of a touched record.
func (s *search) signOf(c *sum) uint32 {
	if c.sign == 0 {
		p, rec := s.record(c.slot)
		c.sign = p.sign[rec]
	}
	return c.sign
}

// prune drops the touched records that cannot reach the shortlist any more, and reports whether the others are few: then they are in
// the order of their slots, and the table is not made anew.
func (s *search) prune(me *memo, i int) (few bool) {
	floor := [2]uint32{max(s.least, me.floor(false)), max(s.least, me.floor(true))}
	rest := s.rest[i].weight
	need := [2]uint32{me.gainFor(floor[0]), me.gainFor(floor[1])}
	for class := range need {
		need[class] -= min(need[class], rest)
	}
	kept := 0
	s.blocks(s.sums, &need, func(block []sum) {
		for _, c := range block {
			class, g := c.weight>>31, c.gain()+rest
			if me.reaches(floor[class], g, c.sign) && (me.here+me.near == 0 || rank(g, me, c.sign) >= floor[class]) {
				s.sums[kept] = c // where one stood that was looked at before
				kept++
			}
		}
	})
	s.sums = s.sums[:kept]
	if kept <= s.limits.few {
		slices.SortFunc(s.sums, func(a, b sum) int { return cmp.Compare(a.slot, b.slot) })
		return true
	}
	size := 1 << 11
	for size < 4*kept {
		size *= 2
	}
	s.resize(min(size, len(s.table)))
	return false
}

// readKnown adds what the touched records, which are few and in the order of their slots, gain by the terms from the i-th on.
func (s *search) readKnown(me *memo, i int) {
	for ; i < me.scan; i++ {
		t := &s.terms[i]
		if i >= me.open && !t.exact {
			continue
		}
		for _, f := range t.refs {
			p := s.parts[f.part]
			list := p.postings(f.word)
			k, _ := slices.BinarySearchFunc(s.sums, p.base, func(c sum, slot uint32) int { return cmp.Compare(c.slot, slot) })
			for ; k < len(s.sums) && s.sums[k].slot-p.base < uint32(p.records()) && len(list) > 0; k++ {
				if c := &s.sums[k]; advance(&list, c.slot-p.base) {
					c.weight += t.weight
				}
			}
		}
	}
}

// common is a list of postings in one part of a word that is not opened.
type common struct {
	postings []uint32
	weight   uint32
	joins    bool   // it is read for new records
	partners uint32 // a bit for each list that makes a record of this one new
}

// doubt is a record of common lists that where it is may make a new one.
type doubt struct{ rec, in, all, sign uint32 }

// join reads the common words up to me.join for the records that were touched, are in the query's city, or have another
// common word.
func (s *search) join(me *memo) {
	s.mark()
	for n, p := range s.parts {
		lists := s.common[:0]
		number := 0 // of the word among the common ones
		var of [maxCommon]int
		i := me.open
		for ; i < len(s.terms) && number < maxCommon; i++ {
			t := &s.terms[i]
			if !t.exact {
				continue
			}
			for _, f := range t.refs {
				if f.part == n {
					of[len(lists)] = number
					lists = append(lists, common{postings: p.postings(f.word), weight: t.weight, joins: i < me.join})
				}
			}
			number++
		}
		for i := range lists {
			for j := i + 1; j < len(lists) && of[j] <= of[i]+partners; j++ {
				lists[i].partners |= 1 << j
			}
		}
		s.joinIn(me, p, lists, s.rest[min(i, me.scan)].weight)
		clear(lists)
		s.common = lists[:0]
	}
}

// joinIn reads the lists of one part, a block of records at a time: it notes who is in which list, and then looks at each.
// beyond is what a record can gain by further words.
func (s *search) joinIn(me *memo, p *part, lists []common, beyond uint32) {
	joined := 0
	for joined < len(lists) && lists[joined].joins {
		joined++
	}
	if joined == 0 {
		return
	}
	for _, l := range lists[min(len(lists), joined+partners):] {
		beyond += l.weight
	}
	lists = lists[:min(len(lists), joined+partners)]
	need := me.gainFor(max(s.least, me.floor(true)))
	var at [maxCommon]int
	for {
		first := uint32(math.MaxUint32)
		for i := range lists[:joined] {
			if at[i] < len(lists[i].postings) {
				first = min(first, lists[i].postings[at[i]])
			}
		}
		if first == math.MaxUint32 {
			return
		}
		first -= first % uint32(len(s.in))
		end := uint64(first) + uint64(len(s.in))
		var block [maxCommon][]uint32
		for i := range lists {
			l := lists[i].postings
			k := at[i]
			for k < len(l) && l[k] < first {
				k++
			}
			from := k
			for k < len(l) && uint64(l[k]) < end {
				s.in[l[k]-first] |= 1 << i
				k++
			}
			block[i], at[i] = l[from:k], k
		}
		for i := range lists[:joined] {
			for _, rec := range block[i] {
				in := s.in[rec-first]
				if in&(1<<i-1) != 0 || p.deaths > 0 && p.isDead(rec) {
					continue // seen in a list before, or gone
				}
				in &= 1<<joined - 1
				slot := p.base + rec
				if s.noted(slot) && s.touched(slot, weightOf(lists, in)) {
					continue
				}
				if weightOf(lists, s.in[rec-first])+beyond < need {
					continue // it cannot reach the shortlist
				}
				s.doubts = append(s.doubts, doubt{rec: rec, in: in, all: s.in[rec-first]})
			}
		}
		for k := range s.doubts { // the signs lie far apart, and are fetched side by side
			s.doubts[k].sign = p.sign[s.doubts[k].rec]
		}
		for _, d := range s.doubts {
			if !isHere(me.sign, d.sign) {
				for d.in != 0 && d.all&lists[bits.TrailingZeros32(d.in)].partners == 0 {
					d.in &= d.in - 1
				}
			}
			if d.in != 0 {
				s.touch(p.base+d.rec, weightOf(lists, d.in)|onlyCommon)
			}
		}
		s.doubts = s.doubts[:0]
		for i := range lists {
			for _, rec := range block[i] {
				s.in[rec-first] = 0
			}
		}
	}
}

// weightOf returns the weights of a set of lists together.
func weightOf(lists []common, in uint32) (sum uint32) {
	for ; in != 0; in &= in - 1 {
		sum += lists[bits.TrailingZeros32(in)].weight
	}
	return sum
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
				if len(x) >= 3 && dropped[x] { // "thebank", "andsons": the record has the word behind it
					s.touchWord(y, w.weight)
					continue
				}
				nx := s.liveWord(x)
				if nx == 0 {
					continue
				}
				if ny := s.liveWord(y); ny == 0 || min(nx, ny) > s.limits.key {
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

// choose ranks what was touched and keeps the best: by the share of weight in common, with a part of the query's
// weight on top for the same city; ties by id. Whoever has not a good part of what the first has is left out.
func (s *search) choose(me *memo) {
	for me.top = s.lead(me); ; {
		top := me.top
		s.rank(me, s.sums)
		if me.top == top {
			break
		}
		if !me.cut { // nobody was dropped who may not have to be
			s.hits = slices.DeleteFunc(s.hits, func(h hit) bool { return h.rank < me.floor(h.common) })
			break
		}
	}
	if n := s.limits.shortlist; len(s.hits) > n || len(s.hits) == n && s.least > 0 {
		s.shorten(me) // or others may have been dropped before
	}
	if me.cut {
		me.lastID = strings.Clone(s.idOf(me.last))
	}
}

// rank collects the touched records that are good enough for the shortlist as far as the best rank is known, and raises
// it when one has a better. Now and then it drops those that are too many.
func (s *search) rank(me *memo, touched []sum) {
	s.hits, me.cut = s.hits[:0], false
	cut := uint32(0) // the least rank of a full shortlist
	var floor, need [2]uint32
	raise := func() {
		for class := range floor {
			floor[class] = max(cut, me.floor(class == 1))
			need[class] = me.gainFor(floor[class])
		}
	}
	raise()
	s.blocks(touched, &need, func(block []sum) {
		for _, c := range block {
			class := c.weight >> 31
			if !me.reaches(floor[class], c.gain(), c.sign) {
				continue
			}
			r := rank(c.gain(), me, c.sign)
			if r < floor[class] {
				continue
			}
			if s.hits = append(s.hits, hit{c.slot, r, class == 1}); r > me.top {
				me.top = r
				raise()
			}
			if len(s.hits) == 8*s.limits.shortlist {
				s.shorten(me)
				cut = me.last.rank
				raise()
			}
		}
	})
}

// blocks hands over the touched records that gained what is needed, of either class, with their signs. Those lie far apart and are
// fetched side by side. A block is handed over when all its records, and no other, have been looked at: they may be overwritten.
func (s *search) blocks(touched []sum, need *[2]uint32, use func(block []sum)) {
	block, n := &s.block, 0
	for i := 0; i <= len(touched); i++ {
		if i < len(touched) {
			c := touched[i]
			if c.gain() < need[c.weight>>31] {
				continue
			}
			block[n] = c
			n++
		}
		if n == len(block) || i == len(touched) {
			for k := range block[:n] {
				s.signOf(&block[k])
			}
			use(block[:n])
			n = 0
		}
	}
}

// shorten cuts the hits to the shortlist.
func (s *search) shorten(me *memo) {
	s.hits = best(s.hits, s.limits.shortlist, s.before)
	me.cut, me.last = true, slices.MaxFunc(s.hits, s.before)
}

// before orders hits by falling rank, and those of one rank by id. Records lie in the order of their ids.
func (s *search) before(a, b hit) int {
	if a.rank != b.rank {
		return cmp.Compare(b.rank, a.rank)
	}
	p, _ := s.record(a.slot)
	if o, _ := s.record(b.slot); o == p {
		return cmp.Compare(a.slot, b.slot)
	}
	return strings.Compare(s.idOf(a), s.idOf(b))
}

func (s *search) idOf(h hit) string {
	p, r := s.record(h.slot)
	return p.id(r)
}

// floor returns the least rank of the shortlist.
func (me *memo) floor(common bool) uint32 {
	share := uint64(floorShare)
	if common {
		share = commonShare
	}
	return max(leastRank, uint32(uint64(me.top)*share/100))
}

// rank orders records for the shortlist, in millionths: what a record has gained, over the query's weight and its own, of
// which what it did not gain counts half: people leave words out. It rises with the gain.
func rank(gain uint32, me *memo, sign uint32) uint32 {
	if isNear(me.sign, sign) {
		gain += me.near
	}
	if isHere(me.sign, sign) {
		gain += me.here
	}
	return uint32(uint64(gain) * 1_000_000 / me.outOf(gain, massOf(sign)))
}

// outOf is what a gain is a share of.
func (me *memo) outOf(gain, mass uint32) uint64 {
	return uint64(me.queryMass) + (uint64(gain)+uint64(max(gain, mass)))/2 + 1
}

// reaches reports whether a record of a sign's weight may have a rank.
func (me *memo) reaches(rank, gain, sign uint32) bool {
	gain += me.here + me.near
	return uint64(gain)*1_000_000 >= uint64(rank)*me.outOf(gain, massOf(sign))
}

// gainFor returns the least gain with which a record can have a rank.
func (me *memo) gainFor(rank uint32) uint32 {
	if rank >= 1_000_000 {
		return math.MaxUint32
	}
	short := uint64(1_000_000 - rank)
	gain := (uint64(rank)*uint64(me.queryMass+1) + short - 1) / short
	gain -= min(gain, uint64(me.here+me.near))
	return uint32(min(gain, math.MaxUint32))
}

// nextDoor adds to the shortlist, of the records that have the query's postal code and a name with the first letter of one of its
// names, those that have most in common with it, and a word at least. They are ranked by all their words, those included that are too
// common to be read: at one place a word of business is enough, when the word that tells is misspelt, or is initials here and written
// out there.
func (s *search) nextDoor(q *Query, me *memo) {
	if q.postal == "" {
		return
	}
	s.doors = s.doors[:0]
	for i := range q.names {
		h := only(doorKey(q.postal, &q.names[i]))
		if slices.Contains(me.keys, h) {
			continue
		}
		me.keys = append(me.keys, h)
		if _, over := s.liveWith(h, s.limits.key); over {
			continue
		}
		for n, p := range s.parts {
			if found := p.keys.between(h); len(found) > 0 {
				s.meet(me, n, found)
			}
		}
	}
	if enough := len(q.names) * (len(s.hits) + s.limits.beside); len(s.doors) > enough { // for each is there once by a name of the query at most
		s.doors = best(s.doors, enough, s.before)
	}
	slices.SortFunc(s.doors, s.before)
	shortlist := s.hits
	for i, h := range s.doors {
		if me.beside == s.limits.beside || h.rank < leastRank {
			break
		}
		same := func(o hit) bool { return o.slot == h.slot }
		if i > 0 && same(s.doors[i-1]) || slices.ContainsFunc(shortlist, same) {
			continue
		}
		s.hits = append(s.hits, h)
		me.beside++
	}
}

// meet ranks the records of the n-th part that share words with the query by them.
func (s *search) meet(me *memo, n int, records []uint32) {
	p := s.parts[n]
	s.answers = s.answers[:0]
	for i := range s.terms {
		for _, f := range s.terms[i].refs {
			if f.part == n {
				s.answers = append(s.answers, answering{f.word, s.terms[i].weight})
			}
		}
	}
	slices.SortFunc(s.answers, func(a, b answering) int { return cmp.Compare(a.word, b.word) })
	var room [16]uint32
	for i, rec := range records {
		if i%len(s.block) == 0 { // they lie far apart, and are fetched side by side
			for _, rec := range records[i:min(i+len(s.block), len(records))] {
				s.fetched ^= p.blob[p.off[rec]] ^ byte(p.sign[rec])
			}
		}
		if p.isDead(rec) {
			continue
		}
		gain, seen := uint32(0), room[:0]
		p.eachWord(rec, func(w uint32) {
			k, ok := slices.BinarySearchFunc(s.answers, w, func(a answering, w uint32) int { return cmp.Compare(a.word, w) })
			if ok && !slices.Contains(seen, w) {
				seen = append(seen, w)
				gain += s.answers[k].weight
			}
		})
		if gain > 0 {
			s.doors = append(s.doors, hit{slot: p.base + rec, rank: rank(gain, me, p.sign[rec])})
		}
	}
}

// answering is a word of a part that is a term's.
type answering struct{ word, weight uint32 }

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
