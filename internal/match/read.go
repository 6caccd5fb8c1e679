package match

import (
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// preparer reads records. What it returns is valid until it reads the next one, and it is for one goroutine.
type preparer struct {
	m     *Model
	known *lexicon // nil: little is looked up again

	q       Query
	slab    []lexeme
	list    []*lexeme // of the words of the record
	words   []word    // of its names
	arena   []byte    // their squashes
	names   []name    // of the name being read
	text    folding   // scratch: a text folded
	texts   []string  // scratch: its words
	letters []byte    // scratch: its letters
	halves  [][]*lexeme

	main       []*lexeme // the words of the main name of the record to be read, if that is known
	mainKnown  bool
	ahead      folding   // scratch: the main names of records
	aheadTexts []string  // their words as written
	aheadWords []string  // and as read
	slots      []uint64  // what the lexicon has in their places
	aheadList  []*lexeme // and what is known of them
	key        []byte    // scratch: a legal form
	room       []byte    // for the texts of new lexemes
}

// maxNameBytes is how much of a name is read.
const maxNameBytes = 1000

// Prepare reads a record.
func (m *Model) Prepare(r Record) *Query { return (&preparer{m: m}).asked(r) }

// PrepareNamed is Prepare, and Names of the record's first name: each of its words is looked at once.
func (m *Model) PrepareNamed(r Record) (q *Query, named bool) {
	p := &preparer{m: m}
	named = len(r.Names) > 0 && p.isName(r.Names[0])
	return p.asked(r), named
}

func (p *preparer) asked(r Record) *Query {
	q := *p.prepare(r)
	q.disguised = Disguised(q.display[:min(len(q.display), maxNameBytes)])
	return &q
}

// prepare reads a record.
func (p *preparer) prepare(r Record) *Query {
	q := &p.q
	p.list, p.words, p.arena = p.list[:0], p.words[:0], p.arena[:0]
	*q = Query{id: r.ID, country: strings.ToUpper(strings.TrimSpace(r.Country)), phone: phoneNumber(r.Phone), tax: taxID(r.TaxID), duns: duns(r.DUNS), lei: lei(r.LEI),
		parent: r.ParentID, city: p.normalise(r.City), street: street(r.Street), names: q.names[:0], domains: q.domains[:0], parents: q.parents[:0]}
	q.region = p.normalise(regionOf(r.Region, q.country))
	q.postal = postal(r.PostalCode, q.country)
	for i, raw := range r.Names {
		as := wholeName
		if i > 0 {
			as = aliasName
		} else {
			q.display = raw
		}
		for _, n := range p.read(raw, as, q.city) {
			if len(q.names) < maxNames && !slices.ContainsFunc(q.names, func(o name) bool { return o.squash == n.squash && len(o.words) == len(n.words) }) {
				q.names = append(q.names, n)
			}
		}
	}
	for _, d := range r.Domains {
		if d = siteDomain(d); p.m.own(d) && !slices.Contains(q.domains, d) && len(q.domains) < maxDomains {
			q.domains = append(q.domains, d)
		}
	}
	if d := siteDomain(r.MailDomain); len(q.domains) == 0 && p.m.own(d) {
		q.domains, q.mailed = append(q.domains, d), true
	}
	for _, parent := range r.ParentNames {
		for _, n := range p.read(parent, wholeName) {
			if len(q.parents) < maxNames {
				q.parents = append(q.parents, n.squash)
			}
		}
	}
	return q
}

// normalise is Normalise.
func (p *preparer) normalise(s string) string {
	if s == "" {
		return ""
	}
	at := len(p.arena)
	for i, t := range p.fold(s) {
		if i > 0 {
			p.arena = append(p.arena, ' ')
		}
		p.arena = append(p.arena, t...)
	}
	return unsafe.String(unsafe.SliceData(p.arena[at:]), len(p.arena)-at)
}

// latin returns a text whose letters are of Europe in ASCII letters, where that is what folding leaves of it. It is valid until the next one.
func (p *preparer) latin(s string) (string, bool) {
	if isASCII(s) {
		return s, true
	}
	b, ok := foldEuropean(p.letters[:0], s)
	p.letters = b
	s = unsafe.String(unsafe.SliceData(b), len(b))
	return s, ok && isASCII(s)
}

// fold returns the words of a text. They are valid until the next one.
func (p *preparer) fold(s string) []string {
	t, ok := p.latin(s)
	if !ok {
		return words(s)
	}
	s = t
	p.text.reset()
	odd := p.text.add(s)
	p.texts = p.text.words(p.texts[:0], 0)
	if odd {
		return tidied(p.texts, 0)
	}
	return p.texts
}

// lexeme returns what the model says of a folded word. The text may be overwritten later.
func (p *preparer) lexeme(t string) *lexeme {
	if p.known == nil {
		for i := range p.slab { // the last few
			if p.slab[i].text == t {
				return &p.slab[i]
			}
		}
		if len(p.slab) == cap(p.slab) {
			p.slab = make([]lexeme, 0, 12)
		}
		p.slab = append(p.slab, p.m.lexeme(strings.Clone(t)))
		return &p.slab[len(p.slab)-1]
	}
	return p.lookup(t, p.known.hash(t))
}

func (p *preparer) lookup(t string, hash uint32) *lexeme {
	if l := p.known.find(t, hash); l != nil {
		return l
	}
	return p.known.add(p.m.lexeme(p.keep(t)), hash)
}

// keep returns a text that is not overwritten later.
func (p *preparer) keep(t string) string {
	if len(p.room) < len(t) {
		p.room = make([]byte, max(1<<14, len(t)))
	}
	n := copy(p.room, t)
	t = unsafe.String(unsafe.SliceData(p.room), n)
	p.room = p.room[n:]
	return t
}

// cut folds a text and cuts it into words.
func (p *preparer) cut(s string) []*lexeme {
	return p.lexemes(p.fold(s))
}

func (p *preparer) lexemes(w []string) []*lexeme {
	from := len(p.list)
	for _, t := range w {
		l := p.lexeme(t)
		p.list = append(p.list, l)
	}
	return p.list[from:len(p.list):len(p.list)]
}

// all prepares records one after the other. What is known of their words lies far apart: that of many is looked up at once, so that it
// comes side by side.
func (p *preparer) all(records []Record, each func(*Query)) {
	type span struct {
		to         int
		known, odd bool
	}
	var ends [256]span
	for len(records) > len(ends) {
		p.all(records[:len(ends)], each)
		records = records[len(ends):]
	}
	p.ahead.reset()
	for i := range records {
		if n := records[i].Names; len(n) > 0 && len(n[0]) <= maxNameBytes {
			if t, ok := p.latin(n[0]); ok {
				ends[i].odd, ends[i].known = p.ahead.add(t), true
			}
		}
		ends[i].to = len(p.ahead.ends)
	}
	all, words := p.ahead.words(p.aheadTexts[:0], 0), p.aheadWords[:0]
	for i, from := 0, 0; i < len(records); i++ {
		w := all[from:ends[i].to]
		from = ends[i].to
		if ends[i].odd {
			w = tidied(w, 0)
		}
		words = append(words, w...)
		ends[i].to = len(words)
	}
	p.aheadTexts, p.aheadWords = all, words
	x := p.known
	p.slots, p.aheadList = p.slots[:0], p.aheadList[:0]
	slots := *x.slots.Load()
	mask := uint32(len(slots) - 1)
	for _, t := range words {
		p.slots = append(p.slots, uint64(x.hash(t))<<32)
	}
	for i, h := range p.slots {
		if s := slots[uint32(h>>32)&mask].Load(); s>>32 == h>>32 {
			p.slots[i] = s
		}
	}
	for i, s := range p.slots {
		var l *lexeme
		if uint32(s) != 0 {
			l = x.at(uint32(s))
		}
		if l == nil || l.text != words[i] {
			l = p.lookup(words[i], uint32(s>>32))
		}
		p.aheadList = append(p.aheadList, l)
	}
	for i, from := 0, 0; i < len(records); i++ {
		p.main, p.mainKnown = p.aheadList[from:ends[i].to:ends[i].to], ends[i].known
		each(p.prepare(records[i]))
		from = ends[i].to
	}
}

// mend returns the words as they are meant, and whether any of them was not written so.
func (p *preparer) mend(w []*lexeme) ([]*lexeme, bool) {
	if !have(w, slip) {
		return w, false
	}
	w = slices.Clone(w)
	for i, l := range w {
		if !l.is(slip) {
			continue
		}
		w[i] = p.lexeme(l.quirks.meant)
	}
	return w, true
}

func joined(w []*lexeme, between string) string {
	var b strings.Builder
	for i, l := range w {
		if i > 0 {
			b.WriteString(between)
		}
		b.WriteString(l.text)
	}
	return b.String()
}

func sameText(a, b *lexeme) bool { return a == b || a.text == b.text }

// read reads everything a raw name says: the whole, its halves around "doing business as", the part outside and the
// part inside brackets, and what is written in other scripts in Latin letters too.
// Brackets around one of the places, which are where the organisation is, in the form of Normalise, are left out: all of a city
// would have them in common.
func (p *preparer) read(raw string, as role, places ...string) []name {
	cut := len(raw) >= cutLength && utf8.RuneCountInString(strings.TrimSpace(raw)) >= cutLength
	if len(raw) > maxNameBytes {
		raw = strings.ToValidUTF8(raw[:maxNameBytes], "")
	}
	var written []*lexeme
	if p.mainKnown {
		written, p.mainKnown = p.main, false
	} else {
		written = p.cut(raw)
	}
	if len(written) == 0 {
		return nil
	}
	written = written[:min(len(written), maxWords)]
	w, mended := p.mend(written)
	p.names = p.names[:0]
	add := func(w []*lexeme, as role, cut bool) {
		n, ok := p.name(w, as, cut)
		if !ok {
			return
		}
		for i := range p.names {
			if o := &p.names[i]; o.squash == n.squash && len(o.words) == len(n.words) {
				return
			}
		}
		p.names = append(p.names, n)
		if l, ok := p.romanised(w, n, cut); ok {
			p.names = append(p.names, l)
		}
	}
	if cut {
		w = p.trimCut(w)
	}
	halves := p.split(w)
	inside, outside := brackets(raw)
	var in []*lexeme
	if inside != "" && outside != "" {
		in = p.cut(inside)
	}
	switch {
	case len(halves) > 1:
		var whole []*lexeme
		for _, h := range halves {
			c, _ := p.core(h)
			whole = append(whole, c...)
		}
		add(whole, as, cut)
		for i, h := range halves {
			half := partName
			if i == 0 {
				half = firstName
			}
			add(h, max(as, half), cut && i == len(halves)-1) // a field cuts the end
		}
	case inside != "" && outside != "" && p.form(in) != 0:
		add(w, as, cut) // brackets around a legal form say nothing else
	case inside != "" && outside != "" && slices.Contains(places, joined(in, " ")):
		add(p.cut(outside), as, cut)
	case inside != "" && outside != "":
		add(w, as, cut)
		plain := p.plain(in)
		n := len(p.names)
		add(p.cut(outside), max(as, partName), cut)
		if plain {
			for i := n; i < len(p.names); i++ {
				p.names[i].site = joined(in, " ")
			}
		} else if len(in) > 0 {
			if as == wholeName {
				as = insideName
			}
			add(in, as, cut)
		}
	default:
		add(halves[0], as, cut)
		// What looks like a slip may be somebody's name, and two people who misspell it in two ways have only that in common.
		if n := len(halves[0]); mended && !slices.EqualFunc(written[:n], w[:n], sameText) {
			add(written[:n], as, cut)
		}
	}
	return p.names
}

// form returns the legal form that words are, 0 for none.
func (p *preparer) form(w []*lexeme) uint16 {
	if len(w) == 1 {
		return w[0].quirks.form
	}
	for _, l := range w {
		if !l.is(formal) {
			return 0
		}
	}
	return p.m.formOf[p.join(w)]
}

// join writes words as a legal form is written. The text is valid until the next one.
func (p *preparer) join(w []*lexeme) string {
	p.key = p.key[:0]
	for i, l := range w {
		if i > 0 {
			p.key = append(p.key, ' ')
		}
		p.key = append(p.key, l.text...)
	}
	return unsafe.String(unsafe.SliceData(p.key), len(p.key))
}

// plain reports whether words name nobody by themselves: places, legal forms, numbers.
func (p *preparer) plain(w []*lexeme) bool {
	if t := joined(w, ""); p.m.places[t] || lengthened[t] != "" {
		return true
	}
	core, _ := p.core(w)
	for _, l := range core {
		if x := &l.word; x.kind&(place|number) == 0 && x.weight > ordinaryWeight {
			return false
		}
	}
	return true
}

// split cuts words at dividers. The list is valid until the next one.
func (p *preparer) split(w []*lexeme) [][]*lexeme {
	p.halves = p.halves[:0]
	if have(w, divider) {
		p.halves = split(p.halves, w, func(l *lexeme) string { return l.text })
	} else if len(w) > 0 {
		p.halves = append(p.halves, w)
	}
	return p.halves
}

// split appends what stands between the dividers of words to parts.
func split[W any](parts [][]W, w []W, text func(W) string) [][]W {
	start := 0
	for i := 1; i < len(w); i++ {
		if !firsts[text(w[i])] {
			continue
		}
		for _, d := range dividers {
			if i > start && i+len(d) <= len(w) && slices.EqualFunc(w[i:i+len(d)], d, func(x W, t string) bool { return text(x) == t }) &&
				slices.ContainsFunc(w[start:i], func(x W) bool { return !dropped[text(x)] }) {
				parts = append(parts, w[start:i])
				start = i + len(d)
				i = start - 1
				break
			}
		}
	}
	if start < len(w) { // or a field cut off what followed
		parts = append(parts, w[start:])
	}
	return parts
}

// trimCut drops from the end of a name that a field may have cut what is left of a divider or a legal form: "d b",
// "limite", "l"; and behind a legal form what a divider begins with: "inc d", "llc former".
func (p *preparer) trimCut(w []*lexeme) []*lexeme {
	whole := func(w []*lexeme) bool {
		for k := min(w[len(w)-1].quirks.ends, len(w)-1); k > 0; k-- {
			if p.form(w[len(w)-k:]) != 0 {
				return true
			}
		}
		return false
	}
	for len(w) > 2 {
		last := w[len(w)-1]
		if whole(w) {
			return w
		}
		if !(last.is(cutDivider) && whole(w[:len(w)-1])) && !last.is(cutForm) {
			break
		}
		w = w[:len(w)-1]
	}
	return w
}

// core strips "the" and the legal forms from the ends of w, never the last word, and returns the innermost form. What is a foundation and
// a company by form is a foundation: one that a company or its founder founded is not the company.
func (p *preparer) core(w []*lexeme) ([]*lexeme, uint16) {
	if len(w) == 0 { // brackets around nothing that is a word
		return nil, 0
	}
	var form uint16
	found := func(i uint16) {
		if form == 0 || p.m.forms[form].class == "OTHER" || p.m.forms[i].class == foundation {
			form = i
		}
	}
	for again := true; again && len(w) > 1; {
		again = false
		if w[0].text == "the" {
			w, again = w[1:], true
			continue
		}
		ends, starts := w[len(w)-1].quirks.ends, w[0].quirks.starts
		for k := min(max(ends, starts), len(w)-1); k > 0; k-- {
			if k <= ends {
				if i := p.form(w[len(w)-k:]); i != 0 {
					w, again = w[:len(w)-k], true
					found(i)
					break
				}
			}
			if k > starts {
				continue
			}
			// Spelt out in full, any form may lead.
			if i := p.form(w[:k]); i != 0 && (k >= 3 || k == 1 && w[0].is(leads) || k == 2 && leading[p.join(w[:k])]) {
				w, again = w[k:], true
				found(i)
				break
			}
		}
		if !again && len(w) > 1 && w[len(w)-1].text == "and" {
			w, again = w[:len(w)-1], true // "Smith & Co." leaves its sign behind
		}
	}
	// Scripts without spaces write the form onto the name.
	for _, end := range []int{0, len(w) - 1} {
		t := w[end].text
		if !w[end].is(foreign) {
			continue
		}
		for _, f := range p.m.joinedForms {
			rest := strings.TrimPrefix(t, f.text)
			if rest == t {
				rest = strings.TrimSuffix(t, f.text)
			}
			if rest == t && utf8.RuneCountInString(f.text) >= 4 {
				rest = strings.Replace(t, f.text, "", 1) // before the name of a branch
			}
			if rest != "" && rest != t {
				w = slices.Clone(w)
				w[end] = p.lexeme(rest)
				found(f.form)
				break
			}
		}
	}
	return w, form
}

// name makes the comparable name of folded words.
func (p *preparer) name(w []*lexeme, as role, cut bool) (name, bool) {
	core, form := p.core(w)
	if len(core) == 0 {
		return name{}, false
	}
	from := len(p.words)
	for pass := 0; pass < 2 && len(p.words) == from; pass++ {
		for i := 0; i < len(core); i++ {
			l := core[i]
			if !l.is(small | tens | joint | han) {
				p.words = append(p.words, l.word)
				continue
			}
			if pass == 0 && l.is(small) {
				continue
			}
			if l.is(tens) && i+1 < len(core) {
				if c := counted(l.text, core[i+1].text); c != "" {
					p.words = append(p.words, p.lexeme(c).word)
					i++
					continue
				}
			}
			if l.is(joint) {
				for _, t := range l.quirks.glued {
					p.words = append(p.words, p.lexeme(t).word)
				}
				continue
			}
			if l.is(han) {
				for _, run := range p.m.segment(cityMarks.Replace(l.text)) {
					if p.m.synonym[run] != "" {
						p.words = append(p.words, p.lexeme(run).word)
						continue
					}
					for _, pair := range bigrams(run) {
						p.words = append(p.words, p.lexeme(pair).word)
					}
				}
				continue
			}
			p.words = append(p.words, l.word)
		}
	}
	n := p.finish(from, form, as, cut)
	at := len(p.arena)
	for _, l := range core {
		p.arena = append(p.arena, l.text...)
	}
	if plain := p.arena[at:]; string(plain) == n.squash {
		p.arena = p.arena[:at]
	} else {
		n.plain = unsafe.String(unsafe.SliceData(plain), len(plain))
	}
	return n, len(n.words) > 0
}

// finish makes a name of the words from one on.
func (p *preparer) finish(from int, form uint16, as role, cut bool) name {
	p.words = p.words[:min(len(p.words), from+maxWords)]
	n := name{form: form, role: as, cut: cut, words: p.words[from:len(p.words):len(p.words)]}
	at := len(p.arena)
	for i := range n.words {
		n.mass += n.words[i].weight
		p.arena = append(p.arena, n.words[i].text...)
	}
	n.squash = unsafe.String(unsafe.SliceData(p.arena[at:]), len(p.arena)-at)
	n.plain = n.squash
	return n
}

// romanised writes a name of a script without spaces in Latin letters; other scripts are romanised word by word.
func (p *preparer) romanised(w []*lexeme, native name, cut bool) (name, bool) {
	if !have(w, han) {
		return name{}, false
	}
	core, _ := p.core(w)
	from := len(p.words)
	for _, l := range core {
		if l.is(small) {
			continue
		}
		for _, run := range p.m.segment(cityMarks.Replace(l.text)) {
			if c := p.m.synonym[run]; c != "" {
				run = c
			}
			p.words = append(p.words, p.lexeme(romanise(run)).word)
		}
	}
	n := p.finish(from, native.form, latinName, cut)
	return n, len(n.words) > 0
}
