package match

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dibs-deals/dibs/internal/deal"
)

// kind marks words that count differently when they are left over.
type kind uint8

const (
	number kind = 1 << iota // digits or a Roman numeral
	place                   // the name of a country or of one of its parts
	pairOf                  // two neighbouring characters of a script without spaces
	town                    // the name of a town, if not of somebody too
	abjad                   // written in a script that leaves vowels out
	thing                   // one of things
	unit                    // one of units
)

// word is one word of a name: its canonical spelling, and what sharing it tells, in nats. A word that one in e^w real
// organisations carries weighs w.
type word struct {
	text   string
	weight float64
	kind   kind
	hint   uint32 // of whoever reads many records: his number of the word as written, and one; 0: none
}

// role says which part of what was written a name is.
type role uint8

const (
	wholeName  role = iota // everything, or all there is
	firstName              // what stands before a "doing business as": the registered name, as a rule
	partName               // what stands behind it, or the name without its brackets
	aliasName              // another name the record gives
	latinName              // another script written in Latin letters
	insideName             // what stood in brackets
	lastRole   = insideName
)

// part reports whether the name is a part of what was written.
func (r role) part() bool { return r == firstName || r == partName || r == insideName }

// name is one way to call an organisation, ready to compare.
type name struct {
	words  []word
	form   uint16 // index into the model's legal forms; 0: none given
	role   role
	cut    bool    // written so long that a field may have cut it
	site   string  // the place that stood in brackets behind it
	mass   float64 // the weights of its words together
	squash string  // its words written as one
	plain  string  // the same before words were made canonical and small words dropped
}

// cutLength is the length in letters from which a name may have been cut by the field it was typed into. Common
// fields hold 30 to 40.
const cutLength = 28

// dropped words carry no meaning in names of any length.
var dropped = map[string]bool{"and": true, "of": true, "the": true, "for": true, "de": true, "la": true, "du": true, "des": true, "und": true, "et": true,
	"y": true, "a": true, "in": true, "di": true, "del": true, "le": true, "les": true, "der": true, "die": true, "das": true, "fur": true, "och": true, "og": true,
	"el": true, "los": true, "las": true, "dell": true, "della": true, "da": true, "do": true, "dos": true, "zu": true, "im": true, "dla": true, "w": true}

// dividers stand between two names of one organisation.
var dividers = [][]string{{"doing", "business", "as"}, {"trading", "as"}, {"also", "known", "as"}, {"formerly", "known", "as"}, {"previously", "known", "as"},
	{"formerly"}, {"dba"}, {"fka"}, {"aka"}, {"nka"}, {"d", "b", "a"}, {"f", "k", "a"}, {"a", "k", "a"}, {"t", "a"}}

// leading are the legal forms that stand before the name.
var leading = map[string]bool{"ооо": true, "оао": true, "пао": true, "зао": true, "ао": true, "ooo": true, "oao": true, "pao": true, "zao": true, "pt": true, "sia": true, "uab": true,
	"cong ty": true, "cong ty tnhh": true, "cong ty co phan": true, "cong ty cp": true, "株式会社": true, "株": true, "有限会社": true, "合同会社": true, "주식회사": true, "주": true, "유한회사": true,
	"شركة": true, "บริษัท": true, "тов": true, "пп": true, "ип": true, "тоо": true, "ат": true, "прат": true, "пат": true, "фгуп": true, "sc": true, "ps": true, "as": true, "oy": true, "ab": true, "sarl": true, "sas": true, "srl": true, "jsc": true, "ojsc": true, "pjsc": true, "cjsc": true}

// bareForms are the legal forms that people leave standing alone. Rarer ones are somebody's initials as often as not.
var bareForms = map[string]bool{"gmbh": true, "mbh": true, "inc": true, "incorporated": true, "llc": true, "ltd": true, "limited": true, "corp": true, "corporation": true,
	"company": true, "co": true, "plc": true, "llp": true, "kg": true, "ag": true, "sa": true, "sarl": true, "sas": true, "srl": true, "spa": true, "bv": true, "nv": true,
	"pty": true, "pte": true, "kk": true, "oy": true, "株式会社": true, "有限会社": true, "ооо": true, "оао": true, "and": true, "the": true}

// cutForms are the words that most often stand at the end of a name and get cut.
var cutForms = []string{"inc", "llc", "limited", "corporation", "corp", "company", "incorporated", "pllc", "ltd", "dba", "liability"}

var narrowBrackets = strings.NewReplacer("（", "(", "）", ")")

// wideBegins are the bytes that both wide brackets begin with.
const wideBegins = "\xef\xbc"

// brackets returns the text inside the first pair of round brackets, and the rest.
func brackets(s string) (inside, outside string) {
	if strings.Contains(s, wideBegins) {
		s = narrowBrackets.Replace(s)
	}
	i := strings.IndexByte(s, '(')
	if i < 0 {
		return "", ""
	}
	j := strings.IndexByte(s[i:], ')')
	if j < 0 {
		return "", "" // a field cut the end off
	}
	return strings.TrimSpace(s[i+1 : i+j]), strings.TrimSpace(s[:i] + " " + s[i+j+1:])
}

// cityMarks removes the characters for city and province, which people leave out.
var cityMarks = strings.NewReplacer("市", "", "省", "")

// segment cuts the words of business that the model knows out of a run of characters without spaces: what is left between
// them is the name. Longer words first, from the left.
func (m *Model) segment(w string) (out []string) {
	r := []rune(w)
	from := 0
	for i := 0; i < len(r); {
		n := min(len(r)-i, m.longestHan)
		for ; n >= 2; n-- {
			if m.synonym[string(r[i:i+n])] != "" {
				break
			}
		}
		if n < 2 || n == len(r) {
			i++
			continue
		}
		if from < i {
			out = append(out, string(r[from:i]))
		}
		out = append(out, string(r[i:i+n]))
		i += n
		from = i
	}
	if from < len(r) {
		out = append(out, string(r[from:]))
	}
	return out
}

// unspaced reports a name that was written in a script without spaces.
func (n *name) unspaced() bool {
	return n.role == latinName || slices.ContainsFunc(n.words, func(w word) bool { return w.kind&pairOf != 0 })
}

// acronym returns the first letters of three to eight words, or nothing.
func (n *name) acronym() string {
	if len(n.words) < 3 || len(n.words) > 8 || n.words[0].kind&pairOf != 0 {
		return ""
	}
	b := make([]byte, 0, 8)
	for _, w := range n.words {
		if w.text[0] >= utf8.RuneSelf {
			return ""
		}
		b = append(b, w.text[0])
	}
	return string(b)
}

// articles are the small words whose l people keep in initials: UCLA, but not UOCLA.
var articles = map[string]bool{"los": true, "las": true, "la": true, "le": true, "les": true, "dela": true, "delos": true, "delas": true}

// articled returns the first letters of its words and of the articles between them, or of two words and the small one between them
// (DOE, the Department of Energy); nothing if there is none.
func (n *name) articled() string {
	if len(n.plain) == len(n.squash) || len(n.words) < 2 || len(n.words) > 7 {
		return ""
	}
	b, rest, found := make([]byte, 0, 8), n.plain, false
	for _, w := range n.words {
		before, after, ok := strings.Cut(rest, w.text)
		if !ok || w.text[0] >= utf8.RuneSelf {
			return ""
		}
		switch {
		case len(b) == 0:
		case articles[before]:
			found, b = true, append(b, 'l')
		case len(n.words) == 2 && dropped[before]:
			found, b = true, append(b, before[0])
		}
		b, rest = append(b, w.text[0]), after
	}
	if !found || len(b) < 3 || len(b) > 8 {
		return ""
	}
	return string(b)
}

// glued returns the number and the word that are written as one, in their order, if there are two: 7seas, werk2.
func glued(t string) (x, y string) {
	n, from, to := len(t), 0, len(t)
	for from < n && t[from] >= '0' && t[from] <= '9' {
		from++
	}
	for to > from && t[to-1] >= '0' && t[to-1] <= '9' {
		to--
	}
	cut := from
	if from == 0 {
		cut = to
	} else if to < n {
		return "", ""
	}
	letters := t[from:to]
	if cut == 0 || cut == n || len(letters) < gluedLetters || n-len(letters) > 4 || !isASCII(letters) || containsDigit(letters) {
		return "", ""
	}
	if from > 0 && slices.Contains([]string{"st", "nd", "rd", "th"}, letters[:2]) {
		return "", "" // 1stdibs
	}
	return t[:cut], t[cut:]
}

// gluedLetters is the length from which a word beside a digit is one of its own, and not a code: h2o, mp3.
const gluedLetters = 4

// word returns the canonical word a folded token stands for, with its weight.
func (m *Model) word(t string) word {
	if isASCII(t) && !m.heard.has(t) {
		return m.unheard(t)
	}
	if c, ok := m.synonym[t]; ok {
		t = c
	}
	var k kind
	if hasHan(t) {
		return word{text: t, weight: characterPairWeight, kind: pairOf}
	}
	if !isASCII(t) {
		if strings.IndexFunc(t, isAbjad) >= 0 {
			k |= abjad
			t = withoutArticle(t)
		}
		if t = romanise(t); m.synonym[t] != "" {
			t = m.synonym[t]
		}
	}
	if isNumber(t) {
		k |= number
	}
	if m.places[t] || shortened[t] != "" {
		k |= place
	} else if m.towns[t] {
		k |= town
	}
	if things[t] != "" {
		k |= thing
	}
	if units[t] {
		k |= unit
	}
	return word{text: t, weight: m.weight(t), kind: k}
}

// things are what many organisations are called that each country calls in its own language, as words are compared: each with one word for all. They
// count as alike, not as equal.
//
//nolint:misspell // of many languages
var things = func() map[string]string {
	out := map[string]string{}
	for _, list := range []string{
		"city stadt stad ciudad ville citta cidade miasto mesto municipal municipio municipality gemeente gemeinde commune kommune kommun comune gmina landeshauptstadt hansestadt mairie ayuntamiento stadtverwaltung gemeindeverwaltung",
		"port hafen porto puerto haven hamn havn", "fair messe tradefair tradingfair fiera feria foire", "state freistaat", "brothers bruder gebruder freres fratelli hermanos irmaos broers",
		"federalministry bundesministerium", "utilities stadtwerke municipalutilities", "defense verteidigung defensa difesa defensie", "airport flughafen aeroport aeroporto aeropuerto luchthaven",
	} {
		words := strings.Fields(list)
		for _, w := range words {
			out[w] = words[0]
		}
	}
	return out
}()

// units are what the parts of an organisation are called, as words are compared.
var units = setOf(`zentrale hauptverwaltung hauptsitz hauptstelle verwaltung niederlassung zweigniederlassung zweigstelle filiale branch geschaftsstelle standort werk plant betriebsstatte headquarters headquarter hq office
regional head main region siege agence succursale etablissement sede sucursal delegacion vestiging hoofdkantoor kantoor oddzial`)

// sides are directions, which tell parts of one kind apart.
var sides = setOf(`north south east west nord sud ost norte sur est ouest ovest oeste noord zuid oost mitte central`)

// withoutArticle returns an Arabic word without the article, which Latin letters write as a word of its own or leave out.
func withoutArticle(t string) string {
	for _, a := range []string{"ال", "لل"} {
		if rest, ok := strings.CutPrefix(t, a); ok && utf8.RuneCountInString(rest) >= 3 {
			return rest
		}
	}
	return t
}

// unheard is word for one that the model knows nothing of.
func (m *Model) unheard(t string) word {
	w := word{text: t, weight: m.logs[0]}
	if isNumber(t) {
		w.kind = number
	}
	return w
}

// isNumber reports digits, alone or with letters around them that do not change the count, and Roman numerals.
func isNumber(t string) bool {
	switch t {
	case "ii", "iii", "iv", "vi", "vii", "viii", "ix", "xi", "xii":
		return true
	}
	return t[0] >= '0' && t[0] <= '9' && t[len(t)-1] >= '0' && t[len(t)-1] <= '9'
}

// shortened are the usual short forms of places and directions. Unlike synonyms they may mean something else, so they
// count as alike, not as equal.
var shortened = map[string]string{"tx": "texas", "ny": "newyork", "nyc": "newyorkcity", "nj": "newjersey", "nm": "newmexico", "nh": "newhampshire", "nc": "northcarolina", "sc": "southcarolina",
	"nd": "northdakota", "sd": "southdakota", "wv": "westvirginia", "ca": "california", "fl": "florida", "il": "illinois", "ma": "massachusetts", "pa": "pennsylvania", "mi": "michigan",
	"ky": "kentucky", "ga": "georgia", "va": "virginia", "wi": "wisconsin", "mn": "minnesota", "az": "arizona", "tn": "tennessee", "al": "alabama", "ks": "kansas", "ut": "utah", "nv": "nevada",
	"ia": "iowa", "ct": "connecticut", "md": "maryland", "wa": "washington", "ar": "arkansas", "oh": "ohio", "mo": "missouri", "ms": "mississippi", "la": "louisiana", "ok": "oklahoma", "ne": "northeast",
	"nw": "northwest", "se": "southeast", "sw": "southwest", "n": "north", "s": "south", "e": "east", "w": "west", "us": "unitedstates", "uk": "unitedkingdom", "uae": "unitedarabemirates",
	"sf": "sanfrancisco", "dc": "washington", "eu": "europe", "calif": "california", "penn": "pennsylvania"}

// longestShort is how long the longest of the short forms is: most words are none for being longer.
var longestShort = func() (n int) {
	for s := range shortened {
		n = max(n, len(s))
	}
	return n
}()

// lengthened maps the long forms of one word back to the short ones.
var lengthened = func() map[string]string {
	out := map[string]string{}
	for _, s := range slices.Sorted(maps.Keys(shortened)) {
		if out[shortened[s]] == "" {
			out[shortened[s]] = s
		}
	}
	return out
}()

// townNames are the towns and regions that have names in several languages, each with the one its people use.
var townNames = deal.TownNames

// townsOf are the names of each town of townNames by the one its people use.
var townsOf = func() map[string][]string {
	out := map[string][]string{}
	for _, s := range slices.Sorted(maps.Keys(townNames)) {
		to := townNames[s]
		out[to] = append(out[to], s)
	}
	return out
}()

// localTown returns the name of a town that its people use.
func localTown(t string) string {
	if l := townNames[t]; l != "" {
		return l
	}
	return t
}

// sameTown reports whether two names of towns are one town's in two languages, or equal.
func sameTown(a, b string) bool { return a == b || localTown(a) == localTown(b) }
