package match

import (
	"math"
	"math/bits"
	"strings"

	"github.com/agnivade/levenshtein"
)

// likeness is how two names compare. Shares are of weight, so a shared rare word counts for more than a shared
// ordinary one.
type likeness struct {
	dice      float64 // twice the shared weight over the weight of both
	coverA    float64 // the share of a's weight that b has
	coverB    float64
	rare      float64 // weight of the heaviest word shared, over the largest possible
	missA     float64 // weight of a's heaviest word that b lacks, over the largest possible
	missB     float64
	lostA     float64 // weight of all of a's words that b lacks, over the largest possible
	lostB     float64
	fuzzy     float64 // the share of the shared weight that is not letter for letter
	squash    float64 // 1 - edit distance of the names written as one word / the longer's length
	written   float64 // of names that are exact: the same for how they were written, short forms and small words included
	begins    float64 // the share of the shorter name, as written, that begins the longer one too
	trigram   float64 // cosine of the three-letter sequences, weighted by rarity
	clash     bool    // both have numbers the other lacks
	oneNumber bool    // one has a number the other lacks
	exact     bool    // the same words, in any order
	ordered   bool    // in the same order
	first     bool    // the first words agree
	acronym   float64 // how much one says by being the initials of the other; 0: it is not
	cutShort  bool    // one was cut off by a field and begins the other
	cutWord   bool    // within a word, as a field does and a writer does not
	initials  bool    // a word of one is the initials of words of the other
	places    bool    // what differs is only places, on both sides
	placeMore bool    // what one has more is only places
	a, b      *name
}

// similarity compares two canonical words: 1 equal, 0 unrelated. cut says that the shorter ends a name that a field may
// have cut. One slip is forgiven from four letters on, as in full-text engines, and two from seven: two people who write one word
// of that length make one each; of six when it begins and ends alike.
func similarity(x, y *word, cut bool) float64 {
	a, b := x.text, y.text
	if a == b {
		return 1
	}
	if len(a) > len(b) {
		a, b = b, a
	}
	la, lb := len(a), len(b)
	if (x.kind|y.kind)&pairOf != 0 {
		return 0
	}
	if la <= 5 && (x.kind|y.kind)&place != 0 && shortened[a] == b {
		return 0.95
	}
	if la > 0 && la <= 5 && a[0] == 's' && saints[a] && (saints[b] || a == "saint" && b == "street") { // the last two are both written St.
		return 0.95
	}
	if (x.kind|y.kind)&(place|town) != 0 && sameTown(a, b) {
		return 0.95
	}
	if a == "sons" && b == "brothers" || x.kind&y.kind&thing != 0 && things[a] == things[b] {
		return kindredLikeness
	}
	if (x.kind|y.kind)&number != 0 {
		if numerals[a] == b || numerals[b] == a {
			return 0.95
		}
		return 0
	}
	if (x.kind^y.kind)&abjad != 0 {
		switch c := consonants(a); {
		case len(c) < 2 || c != consonants(b):
		case len(c) >= 3:
			return spelling
		case la >= 3:
			return 0.8 // of two consonants are many names
		}
		return 0
	}
	if la >= 3 && strings.HasPrefix(b, a) {
		if cut {
			return 0.95
		}
		s := 0.6 + 0.35*float64(la)/float64(lb)
		if la == 3 {
			s -= 0.1 // three letters begin many words
		}
		return s
	}
	if la == 1 || lb < 4 || lb-la > 2 {
		if la <= 2 && cut && a[0] == b[0] && strings.HasPrefix(b, a) {
			return 0.7
		}
		if la >= 3 && la <= 5 && lb >= 6 && min(x.weight, y.weight) < ordinaryWeight && abbreviates(a, b) {
			return 0.75
		}
		return 0
	}
	// Each edit changes the set of letters by two at most.
	if bits.OnesCount32(letters(a)^letters(b)) > 4 {
		return 0
	}
	if containsDigit(a) || containsDigit(b) {
		return 0
	}
	if umlauted(a, b) {
		return 0.98
	}
	limit := 1
	if lb >= 7 || lb == 6 && a[0] == b[0] && a[la-1] == b[lb-1] {
		limit = 2
	}
	d := distance(a, b)
	if d > limit {
		return 0
	}
	s := 1 - 1.2*float64(d)/float64(lb)
	reordered := anagrams(a, b)
	if reordered {
		s = 1 - 0.6*float64(d)/float64(lb) // fingers swap letters; names that differ so are rare
	}
	if a[0] != b[0] {
		s -= 0.12
	}
	if max(x.weight, y.weight) < knownWeight && x.weight > 0 && y.weight > 0 {
		s -= 0.1
	}
	if d == 1 && la == lb && lb <= 5 && !reordered {
		s -= 0.1 // another letter in so short a word makes another name as often as a slip
	}
	return s
}

// saints are the words for a saint. Santa is another saint.
var saints = map[string]bool{"saint": true, "sankt": true, "sint": true, "san": true, "santo": true, "sao": true}

// kindredLikeness is how alike sons and brothers are: both say that a family owns the company, of which two generations name it.
const kindredLikeness = 0.8

// knownWeight is the weight below which a word is one that people use, in some twenty names of half a million: of two such words neither
// is likely to be a slip.
const knownWeight = 10.0

// distance returns how many slips make a of b, two different words: a letter more, less or other, or two neighbours that
// changed places (the optimal string alignment distance of Boytsov, 2011), if it is one or two; else 3.
func distance(a, b string) int {
	if !isASCII(a) || !isASCII(b) {
		return slipsOf([]rune(a), []rune(b))
	}
	return slipsOf([]byte(a), []byte(b))
}

func slipsOf[T byte | rune](a, b []T) int {
	a, b = trimmed(a, b)
	if oneEdit(a, b) {
		return 1
	}
	// What is left differs at both ends, so two edits are one at each end.
	for _, head := range [...]struct{ a, b int }{{1, 1}, {1, 0}, {0, 1}, {2, 2}} {
		if len(a) < head.a || len(b) < head.b || head.a == 2 && (a[0] != b[1] || a[1] != b[0]) {
			continue
		}
		if x, y := trimmed(a[head.a:], b[head.b:]); len(x)+len(y) == 0 || oneEdit(x, y) {
			return 2
		}
	}
	return 3
}

// trimmed returns the words without what they begin and end with in common.
func trimmed[T byte | rune](a, b []T) ([]T, []T) {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return a, b
}

// oneEdit reports whether one slip makes a of b, which differ at both ends.
func oneEdit[T byte | rune](a, b []T) bool {
	switch {
	case len(a) == 2 && len(b) == 2:
		return a[0] == b[1] && a[1] == b[0]
	case len(a) > 1 || len(b) > 1:
		return false
	}
	return len(a)+len(b) > 0
}

// numerals are the number words people write for digits.
var numerals = map[string]string{"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10",
	"eleven": "11", "twelve": "12", "first": "1", "second": "2", "third": "3", "twenty": "20", "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70",
	"eighty": "80", "ninety": "90",
	"eins": "1", "zwei": "2", "drei": "3", "vier": "4", "funf": "5", "sechs": "6", "sieben": "7", "acht": "8", "neun": "9", "zehn": "10", "elf": "11", "zwolf": "12", "erste": "1", "erster": "1", "erstes": "1",
	"zweite": "2", "zweiter": "2", "zweites": "2", "dritte": "3", "dritter": "3", "drittes": "3", "deux": "2", "trois": "3", "quatre": "4", "cinq": "5", "sept": "7", "huit": "8", "neuf": "9", "dix": "10",
	"dos": "2", "tres": "3", "cuatro": "4", "cinco": "5", "siete": "7", "ocho": "8", "nueve": "9", "diez": "10", "due": "2", "tre": "3", "quattro": "4", "cinque": "5", "sette": "7", "otto": "8", "nove": "9", "dieci": "10",
	"fourty": "40"} //nolint:misspell // as many people spell it

// counted reads two words as one number: "forty four", "forty 4". It returns nothing for others.
func counted(tens, unit string) string {
	t := numerals[tens]
	if n := numerals[unit]; n != "" {
		unit = n
	}
	if len(t) != 2 || t[1] != '0' || len(tens) < 5 || len(unit) != 1 || unit[0] < '1' || unit[0] > '9' {
		return ""
	}
	return t[:1] + unit
}

// spelling is the similarity from which two words are one word spelt by two conventions, such as an umlaut written as
// two letters.
const spelling = 0.97

// letters returns the set of letters of w.
func letters(w string) (set uint32) {
	for i := 0; i < len(w); i++ {
		set |= 1 << (w[i] & 31)
	}
	return set
}

func containsDigit(w string) bool {
	for i := 0; i < len(w); i++ {
		if w[i] >= '0' && w[i] <= '9' {
			return true
		}
	}
	return false
}

// abbreviates reports whether short has the first and last letter of long and its letters in order (mfg, srvcs).
func abbreviates(short, long string) bool {
	if short[0] != long[0] || short[len(short)-1] != long[len(long)-1] {
		return false
	}
	i := 0
	for j := 0; j < len(long) && i < len(short); j++ {
		if short[i] == long[j] {
			i++
		}
	}
	return i == len(short)
}

// umlauted reports whether two words are equal but for ae, oe, ue written for an umlaut.
func umlauted(a, b string) bool {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		if a[i] != b[j] {
			return false
		}
		vowel := a[i] == 'a' || a[i] == 'o' || a[i] == 'u'
		i++
		j++
		if vowel {
			ea, eb := i < len(a) && a[i] == 'e', j < len(b) && b[j] == 'e'
			if ea && !eb {
				i++
			} else if eb && !ea {
				j++
			}
		}
	}
	return i == len(a) && j == len(b)
}

// anagrams reports whether two words that differ by slips have the same letters in another order.
func anagrams(a, b string) bool {
	if len(a) != len(b) || letters(a) != letters(b) {
		return false
	}
	sum := 0
	for i := range len(a) {
		sum += int(a[i]) - int(b[i])
	}
	return sum == 0
}

// swapped reports whether two words of one length differ by two neighbouring letters changing places.
func swapped(a, b string) bool {
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}

// pairing is one word or two of a matched with one or two of b, for the explanation.
type pairing struct {
	a, b string
	sim  float64
}

// pairings returns the pairs that the words of the names compared were aligned in.
func (m *Model) pairings(l *likeness) (pairs []pairing) {
	var again likeness
	m.align(l.a, l.b, &again, &pairs)
	return pairs
}

// likelyPair is two words that may stand for each other.
type likelyPair struct {
	i, j        int
	sim, weight float64
}

// likelyPairs appends the words that are alike, of those that are not used, in their order.
func likelyPairs(a, b *name, usedA, usedB *[maxWords]bool, to []likelyPair) []likelyPair {
	na, nb := len(a.words), len(b.words)
	for i := range a.words {
		if usedA[i] {
			continue
		}
		for j := range b.words {
			if usedB[j] {
				continue
			}
			x, y := &a.words[i], &b.words[j]
			s := similarity(x, y, i == na-1 && a.cut && len(x.text) < len(y.text) || j == nb-1 && b.cut && len(y.text) < len(x.text))
			if w := s * (x.weight + y.weight) / 2; s > 0.5 && w > 0 {
				to = append(to, likelyPair{i, j, s, w})
			}
		}
	}
	return to
}

// align pairs off the words of two names one to one, the heaviest agreements first, and fills l. The pairings are
// appended to explain unless it is nil.
func (m *Model) align(a, b *name, l *likeness, explain *[]pairing) {
	*l = likeness{a: a, b: b}
	if a.plain == b.plain && a.squash != b.squash || a.squash == b.squash && len(a.words) != len(b.words) || a.plain == b.plain && len(a.words) != len(b.words) {
		m.sameLetters(a, b, l, explain)
		return
	}
	var usedA, usedB [maxWords]bool
	na, nb := len(a.words), len(b.words)
	var shared, rare float64
	note := func(x, y string, sim float64) {
		if explain != nil {
			*explain = append(*explain, pairing{x, y, sim})
		}
	}
	left, right := na, nb
	ordered, lastJ := true, -1
	for i := range a.words {
		for j := range b.words {
			if !usedB[j] && a.words[i].text == b.words[j].text {
				usedA[i], usedB[j] = true, true
				left--
				right--
				shared += a.words[i].weight
				rare = max(rare, a.words[i].weight)
				if j < lastJ {
					ordered = false
				}
				lastJ = j
				note(a.words[i].text, b.words[j].text, 1)
				break
			}
		}
	}
	l.exact = left == 0 && right == 0
	l.ordered = l.exact && ordered
	if left > 0 && right > 0 {
		left, right = m.joined(a, b, &usedA, &usedB, left, right, &shared, &rare, note)
		left, right = m.joined(b, a, &usedB, &usedA, right, left, &shared, &rare, func(x, y string, s float64) { note(y, x, s) })
		left, right = right, left
	}
	exactly, massA, massB, differing := shared, a.mass, b.mass, false
	if shared > 0 && left > 0 && right > 0 {
		for _, w := range []float64{m.abbreviated(a, b, &usedA, &usedB, &left, &right, note),
			m.abbreviated(b, a, &usedB, &usedA, &right, &left, func(x, y string, s float64) { note(y, x, s) })} {
			if w > 0 {
				shared += w
				differing, l.initials = true, true
			}
		}
	}
	if left > 0 && right > 0 && left+right > 2 {
		for _, w := range []float64{m.joinedNearly(a, b, &usedA, &usedB, &left, &right, &rare, note),
			m.joinedNearly(b, a, &usedB, &usedA, &right, &left, &rare, func(x, y string, s float64) { note(y, x, s) })} {
			if w > 0 {
				shared += w
				differing = true
			}
		}
	}
	var likely []likelyPair
	var room [16]likelyPair
	if left > 0 && right > 0 {
		likely = likelyPairs(a, b, &usedA, &usedB, room[:0])
	}
	for {
		best := -1
		for k, p := range likely {
			if !usedA[p.i] && !usedB[p.j] && (best < 0 || p.weight > likely[best].weight) {
				best = k
			}
		}
		if best < 0 {
			break
		}
		bi, bj, sim := likely[best].i, likely[best].j, likely[best].sim
		usedA[bi], usedB[bj] = true, true
		left--
		right--
		// A misspelling of an ordinary word is no rare word: both count as the more common of the two.
		wa, wb := a.words[bi].weight, b.words[bj].weight
		w := min(wa, wb)
		massA -= wa - w
		massB -= wb - w
		if sim >= spelling {
			shared += w
			exactly += w
		} else {
			shared += sim * sim * w
			differing = true
		}
		rare = max(rare, sim*w)
		note(a.words[bi].text, b.words[bj].text, sim)
	}
	if left == 0 && right == 0 && !differing {
		l.exact = true
	}
	top := m.maxWeight()
	numA, numB, placesA, placesB, towns := false, false, true, true, false
	for i := range a.words {
		if w := &a.words[i]; !usedA[i] {
			l.missA = max(l.missA, w.weight/top)
			l.lostA += w.weight / top
			if corporate[w.text] {
				massA -= corporateShare * w.weight
			}
			numA = numA || w.kind&number != 0
			placesA = placesA && w.kind&(place|town) != 0
			towns = towns || w.kind&place == 0
		}
	}
	for j := range b.words {
		if w := &b.words[j]; !usedB[j] {
			l.missB = max(l.missB, w.weight/top)
			l.lostB += w.weight / top
			if corporate[w.text] {
				massB -= corporateShare * w.weight
			}
			numB = numB || w.kind&number != 0
			placesB = placesB && w.kind&(place|town) != 0
			towns = towns || w.kind&place == 0
		}
	}
	l.clash = numA && numB
	l.oneNumber = numA != numB
	// Towns are the names of families too: it takes a brand in common, and a town on both sides, to tell them.
	l.places = left > 0 && right > 0 && placesA && placesB && (!towns || rare > ordinaryWeight)
	l.placeMore = (left > 0) != (right > 0) && placesA && placesB && !towns
	l.first = usedA[0] && usedB[0]
	l.dice = ratio(2*shared, massA+massB)
	l.coverA = ratio(shared, massA)
	l.coverB = ratio(shared, massB)
	l.rare = rare / top
	l.fuzzy = ratio(shared-exactly, shared)
	l.acronym = max(m.acronymOf(a, b), m.acronymOf(b, a))
	l.cutShort = !l.exact && (a.cut && len(a.plain) < len(b.plain) && strings.HasPrefix(b.plain, a.plain) || b.cut && len(b.plain) < len(a.plain) && strings.HasPrefix(a.plain, b.plain))
	if l.cutShort {
		short, long := a, b
		if len(b.plain) < len(a.plain) {
			short, long = b, a
		}
		n := len(short.words)
		l.cutWord = len(long.words) < n || long.words[n-1].text != short.words[n-1].text
	}
	switch {
	case a.site != "" && b.site != "" && a.site != b.site:
		l.places = true
	case a.site != b.site:
		l.placeMore = true
	}
}

// corporate are the words that say no more than that a name is of a company, or of the head of a group of them.
var corporate = map[string]bool{"group": true, "holding": true, "company": true, "corporation": true, "limited": true, "incorporated": true}

// corporateShare is the part of its weight that such a word does not count for when only one of two names has it.
const corporateShare = 0.75

// sameLetters fills l for names that differ only in their spaces.
func (m *Model) sameLetters(a, b *name, l *likeness, explain *[]pairing) {
	l.dice, l.coverA, l.coverB = 1, 1, 1
	l.exact, l.ordered, l.first = true, true, true
	for _, n := range []*name{a, b} {
		for i := range n.words {
			l.rare = max(l.rare, n.words[i].weight/m.maxWeight())
		}
	}
	if explain != nil {
		*explain = append(*explain, pairing{joinWords(a), joinWords(b), 1})
	}
}

// joined pairs two neighbouring words of a with one of b that is both written together.
func (m *Model) joined(a, b *name, usedA, usedB *[maxWords]bool, left, right int, shared, rare *float64, note func(x, y string, sim float64)) (int, int) {
	for i := 0; i+1 < len(a.words) && left > 1; i++ {
		if usedA[i] || usedA[i+1] {
			continue
		}
		x, y := a.words[i].text, a.words[i+1].text
		for j := range b.words {
			if t := b.words[j].text; !usedB[j] && (together(x, y, t) || len(t) <= longestShort && together(x, y, shortened[t])) {
				usedA[i], usedA[i+1], usedB[j] = true, true, true
				left -= 2
				right--
				w := (a.words[i].weight + a.words[i+1].weight + b.words[j].weight) / 2
				*shared += w
				*rare = max(*rare, b.words[j].weight)
				note(x+" "+y, t, 1)
				break
			}
		}
	}
	return left, right
}

// turnedLikeness is how alike a word is to two that are its halves in the other order. Either may be a slip, and either another name.
const turnedLikeness, turnedLetters = 0.85, 4

// joinedNearly pairs two neighbouring words of a with one of b that is both written together but for a slip, and returns the weight
// shared: whoever parts a word is no better a speller. Long ones may be in the other order.
func (m *Model) joinedNearly(a, b *name, usedA, usedB *[maxWords]bool, left, right *int, rare *float64, note func(x, y string, sim float64)) (shared float64) {
	for i := 0; i+1 < len(a.words) && *left > 1; i++ {
		x, y := &a.words[i], &a.words[i+1]
		if usedA[i] || usedA[i+1] || (x.kind|y.kind)&(number|pairOf) != 0 {
			continue
		}
		for j := range b.words {
			t := &b.words[j]
			n := len(x.text) + len(y.text)
			if usedB[j] || t.kind != 0 || n < slipLetters || n-len(t.text) > 2 || len(t.text)-n > 2 {
				continue
			}
			s := 0.0
			if x.text[0] == t.text[0] {
				s = similarity(&word{text: x.text + y.text}, t, false)
			}
			if s < 0.7 && y.text[0] == t.text[0] && len(x.text) >= turnedLetters && len(y.text) >= turnedLetters {
				s = turnedLikeness * similarity(&word{text: y.text + x.text}, t, false)
			}
			if s < 0.7 {
				continue
			}
			usedA[i], usedA[i+1], usedB[j] = true, true, true
			*left -= 2
			*right--
			w := min(x.weight+y.weight, t.weight)
			shared += s * s * (x.weight + y.weight + t.weight) / 2
			*rare = max(*rare, s*w)
			note(x.text+" "+y.text, t.text, s)
			break
		}
	}
	return shared
}

// initialsLikeness is how alike a word is to the words it is the initials of, beside other words that agree.
const initialsLikeness = 0.9

// abbreviated pairs a short word of a with neighbouring words of b that it is the initials of ("UC Santa Barbara"), and returns the
// weight shared.
func (m *Model) abbreviated(a, b *name, usedA, usedB *[maxWords]bool, left, right *int, note func(x, y string, sim float64)) (shared float64) {
	for i := range a.words {
		t := a.words[i].text
		if usedA[i] || len(t) < 2 || len(t) > 5 || len(t) > *right || a.words[i].kind&(number|pairOf) != 0 || !isASCII(t) {
			continue
		}
		for j := 0; j+len(t) <= len(b.words); j++ {
			n, w := 0, a.words[i].weight
			for n < len(t) && !usedB[j+n] && b.words[j+n].text[0] == t[n] && len(b.words[j+n].text) > 1 {
				w += b.words[j+n].weight
				n++
			}
			if n < len(t) {
				continue
			}
			long := make([]string, n)
			usedA[i] = true
			for k := range n {
				usedB[j+k] = true
				long[k] = b.words[j+k].text
			}
			*left--
			*right -= n
			shared += initialsLikeness * initialsLikeness * w / 2
			note(t, strings.Join(long, " "), initialsLikeness)
			break
		}
	}
	return shared
}

// together reports whether t is x and y written as one.
func together(x, y, t string) bool {
	return len(t) == len(x)+len(y) && t[:len(x)] == x && t[len(x):] == y
}

func ratio(x, y float64) float64 {
	if y <= 0 {
		return 0
	}
	return min(1, x/y)
}

// acronymOf says how much it tells that a is one word made of b's initials, the legal form's at the end included or
// not: the more letters, the more. Three letters are many names' initials.
func (m *Model) acronymOf(a, b *name) float64 {
	if len(a.words) != 1 || len(b.words) < 2 || len(a.squash) < 3 {
		return 0
	}
	initials := b.acronym()
	if a.squash != initials {
		if full := b.articled(); a.squash == full {
			initials = full
		}
	}
	if initials == "" {
		return 0
	}
	if len(a.squash) == len(initials)+1 && b.form != 0 {
		initials += m.forms[b.form].text[:1]
	}
	if a.squash != initials {
		return 0
	}
	return min(1.2, 0.8+0.2*float64(len(initials)-3))
}

// finish adds the comparisons that cost most, for the pair of names that was chosen.
func (l *likeness) finish(m *Model) {
	x, y := l.a.plain, l.b.plain
	n := 0
	for n < len(x) && n < len(y) && x[n] == y[n] {
		n++
	}
	l.begins = ratio(float64(n), float64(min(len(x), len(y))))
	if l.exact { // also in another order, which means little
		l.squash, l.trigram = 1, 1
		l.written = lettersAlike(x, y)
		return
	}
	l.squash = lettersAlike(l.a.squash, l.b.squash)
	l.trigram = m.trigramCosine(l.a.squash, l.b.squash)
}

// lettersAlike returns 1 less the edit distance of two names written as one word over the longer's length, as far as the first forty
// letters go.
func lettersAlike(s, t string) float64 {
	if s == t {
		return 1
	}
	if len(s) > 40 {
		s = strings.ToValidUTF8(s[:40], "")
	}
	if len(t) > 40 {
		t = strings.ToValidUTF8(t[:40], "")
	}
	return 1 - ratio(float64(editDistance(s, t)), float64(max(len(s), len(t))))
}

// editDistance returns the Levenshtein distance of two texts, by Myers's bit-parallel method (1999) in the form of Hyyrö (2003) when both are ASCII
// and one of them has at most 64 letters: most names, and a sixth of the work.
func editDistance(a, b string) int {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(a) == 0 || len(a) > 64 || !isASCII(a) || !isASCII(b) {
		return levenshtein.ComputeDistance(a, b)
	}
	var at [128]uint64 // for each letter its places in a
	for i := range len(a) {
		at[a[i]&127] |= 1 << i
	}
	up, down, n := ^uint64(0), uint64(0), len(a) // where the column of distances rises and falls, and its last
	last := uint64(1) << (len(a) - 1)
	for i := range len(b) {
		eq := at[b[i]&127]
		x := eq | down
		flat := ((eq & up) + up ^ up) | eq
		right, left := down|^(flat|up), up&flat
		if right&last != 0 {
			n++
		} else if left&last != 0 {
			n--
		}
		right, left = right<<1|1, left<<1
		up, down = left|^(x|right), right&x
	}
	return n
}

// trigrams is a set of three-byte sequences, by open addressing. A sequence is kept with two bits that say in which of two names
// it is; 0 is none.
type trigrams [4 * maxTrigrams]uint32

const maxTrigrams = 64 // of one name

// add adds the sequences of a name and returns how many it has, and how many of them the other has.
func (t *trigrams) add(s string, name uint32) (n, shared int) {
	for i := 0; i+3 <= len(s) && n < maxTrigrams; i++ {
		g := uint32(s[i])<<16 | uint32(s[i+1])<<8 | uint32(s[i+2])
		at := g * 2654435761 >> 24 % uint32(len(t))
		for t[at] != 0 && t[at]>>2 != g {
			at = (at + 1) % uint32(len(t))
		}
		if t[at]&name == 0 {
			n++
			if t[at] != 0 {
				shared++
			}
			t[at] |= g<<2 | name
		}
	}
	return n, shared
}

// trigramCosine compares the three-letter sequences of two squashed names.
func (m *Model) trigramCosine(a, b string) float64 {
	var t trigrams
	x, _ := t.add(a, 1)
	y, n := t.add(b, 2)
	if x == 0 || y == 0 {
		return 0
	}
	return 2 * float64(n) / float64(x+y)
}

// letterRuns counts the sequences of three letters of a name as written, with the spaces between its words and at its ends; but case
// and marks are folded, and what only parts two names ("doing business as") is left out.
type letterRuns struct {
	n     int
	slots []uint64 // a sequence in the upper half, how often it is there in the lower, by open addressing
	left  []uint64 // scratch: slots, less what another name has had
}

// spelt returns the text whose sequences are counted, of the first bytes of a name.
func spelt(written string) string {
	const longest = 400
	b := append(make([]byte, 0, 64), ' ')
	for _, half := range split(nil, words(written[:min(len(written), longest)]), func(w string) string { return w }) {
		for _, w := range half {
			b = append(append(b, w...), ' ')
		}
	}
	return string(b)
}

func runsOf(written string) *letterRuns {
	t := spelt(written)
	r := &letterRuns{n: max(0, len(t)-2)}
	size := 16
	for size < 2*r.n {
		size *= 2
	}
	r.slots, r.left = make([]uint64, size), make([]uint64, size)
	for i := range r.n {
		run, s := slotOf(r.slots, t[i:])
		*s = run | *s + 1
	}
	return r
}

// slotOf returns the sequence that begins a text, in the upper half, and its slot: an empty one if it is not there.
func slotOf(slots []uint64, t string) (run uint64, slot *uint64) {
	run = uint64(t[0])<<48 | uint64(t[1])<<40 | uint64(t[2])<<32
	mask := uint32(len(slots) - 1)
	for i := uint32(run>>32) * 2654435761 >> 16 & mask; ; i = (i + 1) & mask {
		if s := &slots[i]; *s == 0 || *s&^math.MaxUint32 == run {
			return run, s
		}
	}
}

// alike returns the share of the sequences of two names that both have, from 0 to 1.
func (r *letterRuns) alike(written string) float64 {
	t := spelt(written)
	shared, n := 0, max(0, len(t)-2)
	copy(r.left, r.slots)
	for i := range n {
		if _, s := slotOf(r.left, t[i:]); uint32(*s) > 0 {
			*s--
			shared++
		}
	}
	return ratio(float64(2*shared), float64(r.n+n))
}
