package match

import (
	"slices"
	"strings"
)

// memo is how a search came about: enough to tell what any one record would have added to it.
type memo struct {
	terms     []term // the words followed, with the live frequencies seen
	budget           // how far they were read
	keys      []span
	initials  []string // of the query's names
	splits    []string // words of the query looked for as two
	halves    []string // parts of them looked for with a slip
	queryMass uint32
	sign      uint32 // of the query
	here      uint32 // what a record gains by being in its city or postal code
	near      uint32 // and by being in its region
	large     bool   // the limits were those of many records
	top       uint32 // the best rank
	cut       bool   // more records have it than are judged
	last      hit    // the least of those judged, when cut
	lastID    string
	beside    int      // of those judged, how many are only because they are next door
	judged    []scored // best first
}

// live returns how many live records have a word of the question.
func (me *memo) live(word string) int {
	if i := slices.IndexFunc(me.terms, func(t term) bool { return t.text == word }); i >= 0 {
		return me.terms[i].live
	}
	return 0
}

// maxBridged is how many changes are worth checking one by one; searching again costs about as much.
const maxBridged = 512

// Refresh returns exactly what Search would return now for the q and o that gave r, at the cost of what changed since.
// Where it cannot be sure to be exact it searches.
func (x *Index) Refresh(q *Query, o Options, r Result) Result {
	if r.memo == nil {
		return x.Search(q, o)
	}
	x.mu.RLock()
	next, ok := x.bridge(q, o, r)
	x.mu.RUnlock()
	if !ok {
		return x.Search(q, o)
	}
	return next
}

// bridge applies the changes since r. The caller holds mu. It gives up when a change may have altered anything but
// its own record's place among the candidates.
func (x *Index) bridge(q *Query, o Options, r Result) (Result, bool) {
	if r.Version == x.version {
		return r, true
	}
	limits, large := x.limitsNow()
	if large != r.memo.large {
		return r, false
	}
	n := int(x.version - r.Version)
	if n > len(x.recent) || n > maxBridged {
		return r, false
	}
	me := *r.memo
	me.terms = slices.Clone(me.terms)
	var touching []change
	for _, c := range x.recent[len(x.recent)-n:] {
		switch f := me.effect(q, c); f {
		case effectUnclear:
			return r, false
		case effectOwn:
			touching = append(touching, c)
		}
	}
	// The frequencies have changed; what was read must not have.
	order := slices.IsSortedFunc(me.terms, rarer)
	if !order || limits.budget(me.terms) != me.budget {
		return r, false
	}
	if len(touching) > 0 {
		owners := (&search{parts: x.parts}).owners(o)
		me.judged = slices.Clone(me.judged)
		// What one word says follows from how many have it.
		altered := !o.Repeats && slices.ContainsFunc(q.names, func(n name) bool { return n.onlyWord() != "" })
		var e evidence
		for _, c := range touching {
			gain, common := me.gain(c.query)
			if gain == 0 {
				continue // only by words too common to be read
			}
			h := hit{rank: rank(gain, &me, signOf(c.query))}
			if h.rank < me.floor(common) {
				continue
			}
			if h.rank > me.top || h.rank == me.top && !c.entered {
				return r, false // the floor moves
			}
			if me.cut {
				if h.rank < me.last.rank || h.rank == me.last.rank && c.query.id > me.lastID {
					continue // below the cut, as it was or will be
				}
				return r, false
			}
			altered = true
			if !c.entered {
				me.judged = slices.DeleteFunc(me.judged, func(s scored) bool { return s.id == c.query.id })
				continue
			}
			x.m.compare(q, c.query, owners, &e)
			me.judged = append(me.judged, scored{logit: round(e.logit), id: c.query.id})
			if len(me.judged)-me.beside > limits.shortlist {
				return r, false
			}
		}
		if altered {
			var d reader
			r.Candidates = x.m.answer(&me, o, func(c scored) *evidence {
				at, _ := x.locate(c.id)
				x.m.compare(q, d.read(at.part.segment, at.record), owners, &e)
				return &e
			})
		}
	}
	r.Version = x.version
	r.memo = &me
	return r, true
}

// effect is what a change can do to a search.
type effect int

const (
	effectNone    effect = iota
	effectOwn            // its record may become or cease to be a candidate, and no other
	effectUnclear        // more than that
)

// effect tells what a change does to the search, and counts its words in the frequencies of the terms.
func (me *memo) effect(q *Query, c change) effect {
	unclear, own := false, false
	keysOf(c.query, func(h uint32) {
		unclear = unclear || slices.ContainsFunc(me.keys, func(k span) bool { return k.has(h) })
	})
	if unclear {
		return effectUnclear // also counts of keys and domains
	}
	for _, w := range c.query.distinctWords() {
		if slices.Contains(me.initials, w.text) || slices.ContainsFunc(me.splits, func(t string) bool {
			return strings.HasPrefix(t, w.text) || strings.HasSuffix(t, w.text)
		}) {
			return effectUnclear
		}
		i := slices.IndexFunc(me.terms, func(t term) bool { return t.text == w.text })
		if i < 0 {
			if q.answeredBy(w) || slices.ContainsFunc(me.halves, func(t string) bool { return similarity(&word{text: t}, w, false) > nearly }) {
				return effectUnclear // a word that nobody had
			}
			continue
		}
		own = true
		t := &me.terms[i]
		before := t.live
		if c.entered {
			t.live++
		} else {
			t.live--
		}
		if t.live == 0 || (before < splitFrequency) != (t.live < splitFrequency) {
			return effectUnclear
		}
	}
	if own {
		return effectOwn
	}
	return effectNone
}

// distinctWords returns each word of the record's names once.
func (q *Query) distinctWords() (out []*word) {
	for i := range q.names {
		for j := range q.names[i].words {
			w := &q.names[i].words[j]
			if !slices.ContainsFunc(out, func(o *word) bool { return o.text == w.text }) {
				out = append(out, w)
			}
		}
	}
	return out
}

// answeredBy reports whether a search for q might follow the word w.
func (q *Query) answeredBy(w *word) bool {
	for i := range q.names {
		n := &q.names[i]
		for j := range n.words {
			t := &n.words[j]
			if t.text == w.text || similarity(t, w, false) > nearly ||
				shortened[t.text] == w.text || shortened[w.text] == t.text || j+1 < len(n.words) && shortened[w.text] == t.text+n.words[j+1].text ||
				len(t.text) >= 3 && strings.HasPrefix(w.text, t.text) || len(w.text) >= 4 && strings.HasPrefix(t.text, w.text) ||
				j+1 < len(n.words) && strings.HasPrefix(w.text, t.text) && w.text[len(t.text):] == n.words[j+1].text {
				return true
			}
		}
	}
	return false
}

// gain returns what the search's words would have given a record that shares no key with the query, and whether only
// common words would.
func (me *memo) gain(b *Query) (gain uint32, common bool) {
	words := b.distinctWords()
	has := func(t *term) bool { return slices.ContainsFunc(words, func(w *word) bool { return w.text == t.text }) }
	for i := range me.terms[:me.open] {
		if t := &me.terms[i]; has(t) {
			gain += t.weight
		}
	}
	common = gain == 0
	for i := me.open; i < me.scan; i++ {
		t := &me.terms[i]
		if !t.exact || !has(t) {
			continue
		}
		if gain > 0 || i < me.join && (isHere(me.sign, signOf(b)) || me.partnered(i, has)) {
			gain += t.weight
		}
	}
	return gain, common
}

// partnered reports whether a record has another of the common words after the i-th.
func (me *memo) partnered(i int, has func(*term) bool) bool {
	for j, n := i+1, 0; j < len(me.terms) && n < partners; j++ {
		if !me.terms[j].exact {
			continue
		}
		if n++; has(&me.terms[j]) {
			return true
		}
	}
	return false
}
