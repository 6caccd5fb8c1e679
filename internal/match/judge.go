package match

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"

	"github.com/dibs-deals/dibs/internal/deal"
)

// Query is a prepared record: its names read, its other fields in the form they are compared in. It is immutable.
type Query struct {
	id      string
	display string // the main name as written
	names   []name
	domains []string // registrable; hosts of free mail left out
	mailed  bool     // the domain is that of an e-mail address
	country string   // as written, capitals
	region  string
	city    string
	postal  string
	street  string
	phone   string
	tax     string
	duns    string
	lei     string
	parents []string // squashed names of the parent
	parent  string   // the parent's id

	disguised string // how the main name was written to deceive; of what is asked about only
}

// Limits of one record, which bound the work of one comparison.
const (
	maxNames   = 48
	maxDomains = 16
)

// Thresholds are probabilities: from Same on two records are the same organisation, from Review on a person should
// look.
type Thresholds struct {
	Same   float64 `json:"same"`
	Review float64 `json:"review"`
}

// DefaultThresholds suit the embedded model's probabilities. They are policy, not fit: from 0.85 on a claim may be
// decided without a person; below 0.35 a person's time is better spent elsewhere.
var DefaultThresholds = Thresholds{Same: 0.85, Review: 0.35}

// evidence is everything known about a pair before it is put in words.
type evidence struct {
	v     vector
	like  likeness
	a, b  *Query
	owner int     // how many live records own the shared domain
	spelt float64 // what reorder takes
	alike int     // of a question that says no more than one word: how many live records have it
	via   string  // the shared domain
	logit float64
}

// compare fills e for a (what is asked about) and b (a record). owners counts the records with a domain; nil counts
// as one.
func (m *Model) compare(a, b *Query, owners func(domain string) int, e *evidence) {
	*e = evidence{a: a, b: b}
	best := -1.0
	var l likeness
	for i := range a.names {
		for j := range b.names {
			if a.names[i].role == insideName && b.names[j].role == insideName {
				continue // a city or a department, as often as a name; what stands before it tells
			}
			m.align(&a.names[i], &b.names[j], &l, nil)
			s := l.dice
			if l.acronym > 0 {
				s = max(s, 0.6)
			}
			// Ties go to the names written first.
			if s > best+1e-9 {
				best = s
				e.like = l
			}
		}
	}
	if best >= 0 {
		e.like.finish(m)
		m.nameFeatures(&e.like, &e.v)
	}
	m.fieldFeatures(e, owners)
	e.logit = m.weights.logit(&e.v)
}

func indicate(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (m *Model) nameFeatures(l *likeness, v *vector) {
	v[fDice] = l.dice
	v[fDiceSquared] = l.dice * l.dice
	v[fCoverMin] = min(l.coverA, l.coverB)
	v[fCoverMax] = max(l.coverA, l.coverB)
	v[fRare] = l.rare
	v[fDiceRare] = l.dice * l.rare
	v[fFuzzy] = l.fuzzy
	v[fSquash] = l.squash
	v[fSquashHigh] = max(0, l.squash-0.8)
	v[fSquashNear] = max(0, l.squash-0.9)
	v[fTrigram] = l.trigram
	v[fExact] = indicate(l.exact)
	v[fExactMass] = indicate(l.exact) * min(3, l.a.mass/m.maxWeight())
	v[fWritten] = l.written
	v[fBegins] = l.begins
	v[fOrder] = indicate(l.exact && !l.ordered)
	v[fFirst] = indicate(l.first)
	v[fCutShort] = indicate(l.cutShort)
	v[fMissQuery] = l.missA
	v[fMissRecord] = l.missB
	v[fMissBoth] = min(l.missA, l.missB)
	v[fLost] = min(3, l.lostA+l.lostB)
	v[fNumberClash] = indicate(l.clash)
	v[fNumberOne] = indicate(l.oneNumber)
	v[fPlaces] = indicate(l.places)
	v[fPlaceMore] = indicate(l.placeMore)
	translated := m.translated(l.a.form, l.b.form)
	switch m.sameForm(l.a.form, l.b.form) {
	case 1:
		v[fFormSame] = 1
	case -1:
		v[fFormOther] = indicate(!translated)
	}
	v[fFormEqual] = indicate(l.a.form != 0 && l.a.form == l.b.form)
	v[fFormClash] = indicate(!translated && m.formsClash(l.a.form, l.b.form))
	v[fPart] = indicate(l.a.role.part() || l.b.role.part())
	v[fPartFirst] = indicate(l.a.role == firstName || l.b.role == firstName)
	v[fPartCut] = indicate(l.a.role.part() && l.a.cut || l.b.role.part() && l.b.cut)
	v[fAlias] = indicate(l.a.role == aliasName || l.b.role == aliasName)
	if l.acronym > 0 && l.dice < 0.5 {
		// No word can be shared, so none is missed.
		v[fAcronym] = l.acronym
		v[fMissQuery], v[fMissRecord], v[fMissBoth], v[fLost] = 0, 0, 0, 0
	}
}

func (m *Model) fieldFeatures(e *evidence, owners func(string) int) {
	a, b, v := e.a, e.b, &e.v
	agree := func(x, y string, same, other feature) {
		switch {
		case x == "" || y == "":
		case x == y:
			v[same] = 1
		default:
			v[other] = 1
		}
	}
	agree(a.country, b.country, fCountrySame, fCountryOther)
	if v[fCountryOther] == 0 {
		agree(a.region, b.region, fRegionSame, fRegionOther)
		agree(a.postal, b.postal, fPostalSame, fPostalOther)
		if v[fPostalOther] == 1 && len(a.postal) >= 3 && len(b.postal) >= 3 && a.postal[:3] == b.postal[:3] {
			v[fPostalOther], v[fPostalNear] = 0, 1
		}
		agree(a.street, b.street, fStreetSame, fStreetOther)
	}
	x, y := localTown(a.city), localTown(b.city)
	if x != y && x != "" && y != "" {
		switch {
		case isASCII(x) != isASCII(y):
			if x, y = localTown(romanise(x)), localTown(romanise(y)); x != y {
				x = "" // 東京 is Tokyo: of two scripts, only what reads the same says something
			}
		case umlauted(x, y):
			x = y
		}
	}
	agree(x, y, fCitySame, fCityOther)
	if v[fCityOther] == 1 && nearCity(a.city, b.city) && !e.ownTowns() {
		v[fCityOther], v[fCityNear] = 0, 1
	}
	if v[fCitySame] == 1 {
		v[fDiceCity] = v[fDice]
		v[fSquashCity] = v[fSquashHigh]
		v[fRareCity], v[fMissCity] = v[fRare], v[fMissBoth]
	}
	if v[fPostalSame] == 1 {
		v[fRarePostal], v[fMissPostal] = v[fRare], v[fMissBoth]
	}
	v[fExactCityOther] = v[fCityOther] * v[fExact]
	if a.phone != "" && b.phone != "" {
		v[fPhoneOther] = 1
		if samePhone(a.phone, b.phone) {
			v[fPhoneSame], v[fPhoneOther] = 1, 0
		}
	}
	agree(a.tax, b.tax, fTaxSame, fTaxOther)
	if v[fCountryOther] == 1 {
		v[fTaxOther] = 0 // an organisation has a number in each country
	}
	agree(a.duns, b.duns, fDUNSSame, fDUNSOther)
	agree(a.lei, b.lei, fLEISame, fLEIOther)

	for _, d := range a.domains {
		// Two contacts with mail at one host are of one organisation only if the host is the organisation's, not a
		// provider's nobody has listed: it should read like a name.
		if slices.Contains(b.domains, d) && !(a.mailed && b.mailed && !readsLike(d, a) && !readsLike(d, b)) {
			n := 1
			if owners != nil {
				n = max(1, owners(d))
			}
			if s := 1 / (1 + math.Log(float64(n))); s > v[fDomainSame] {
				v[fDomainSame], e.owner, e.via = s, n, d
			}
		}
	}
	switch {
	case v[fDomainSame] > 0:
		v[fDomainDice] = v[fDomainSame] * v[fDice]
	case len(a.domains) > 0 && len(b.domains) > 0 && !a.mailed && !b.mailed && !sameStem(a, b):
		v[fDomainOther] = 1
	default:
		v[fDomainName] = indicate(!e.like.exact && (named(a, b) || named(b, a)))
	}
}

// named reports whether one of a's domains is b's name or initials, where b has no domain to compare
// and the names do not say so already.
func named(a, b *Query) bool {
	for _, d := range a.domains {
		stem := domainStem(d)
		for i := range b.names {
			if n := &b.names[i]; len(stem) >= 3 && (stem == n.squash || stem == n.acronym()) {
				return true
			}
		}
	}
	return false
}

// readsLike reports whether a domain is made of the record's name: it holds one of its words, or the name holds it.
func readsLike(domain string, q *Query) bool {
	stem := domainStem(domain)
	for i := range q.names {
		n := &q.names[i]
		if len(stem) >= 4 && strings.Contains(n.squash, stem) || stem == n.acronym() {
			return true
		}
		for _, w := range n.words {
			if len(w.text) >= 4 && strings.Contains(stem, w.text) {
				return true
			}
		}
	}
	return false
}

// sameStem reports whether two records have one domain under different endings: example.com and example.de.
func sameStem(a, b *Query) bool {
	for _, x := range a.domains {
		for _, y := range b.domains {
			if s := domainStem(x); len(s) >= 4 && s == domainStem(y) {
				return true
			}
		}
	}
	return false
}

// ownTowns reports whether each name has the town of its record in it: nobody makes one slip twice, so the towns are two.
func (e *evidence) ownTowns() bool {
	const letters = 4 // of a town that is no part of a word by chance
	x, y := strings.ReplaceAll(e.a.city, " ", ""), strings.ReplaceAll(e.b.city, " ", "")
	l := &e.like
	return l.a != nil && len(x) >= letters && len(y) >= letters && strings.Contains(l.a.plain, x) && strings.Contains(l.b.plain, y) &&
		!strings.Contains(l.a.plain, y) && !strings.Contains(l.b.plain, x)
}

// nearCity reports cities that are one misspelt, or one a part of the other's name.
func nearCity(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(a) < 4 {
		return false
	}
	if hasHan(a) { // two characters are a town, and another one is another
		return strings.HasPrefix(b, a)
	}
	if strings.HasPrefix(b, a) || strings.HasSuffix(b, " "+a) {
		return true
	}
	return len(b)-len(a) <= 2 && levenshtein.ComputeDistance(a, b) <= 1+len(b)/9
}

// identified reports whether an identifier of organisations is equal.
func (e *evidence) identified() bool { return e.v[fTaxSame]+e.v[fDUNSSame]+e.v[fLEISame] > 0 }

// FewOwners is up to how many records a web domain says whose it is; of more it is a group's or a provider's.
const FewOwners = 3

// identifier names the identifier both records have, or nothing.
func (e *evidence) identifier() string {
	switch {
	case e.v[fLEISame] > 0:
		return deal.IdentifierLEI
	case e.v[fDUNSSame] > 0:
		return deal.IdentifierDUNS
	case e.v[fTaxSame] > 0:
		return deal.IdentifierTaxID
	case e.v[fDomainSame] == 0 || e.owner > FewOwners:
		return ""
	case e.a.mailed || e.b.mailed:
		return deal.IdentifierMailDomain
	}
	return deal.IdentifierDomain
}

// located reports whether the same place speaks for one organisation.
func (e *evidence) located() bool {
	return e.v[fPostalSame]+e.v[fStreetSame]+e.v[fPhoneSame] > 0 || e.v[fDomainSame] >= 0.5
}

// severalWords is the weight from which ordinary words together are a name: two or three of them.
const severalWords = 9.0

// relation names the gate that keeps a pair from being called the same, or nothing.
func (m *Model) relation(e *evidence) (gate, text string) {
	l := &e.like
	if l.a == nil || e.identified() {
		return "", ""
	}
	// What they share must name somebody: a word out of the ordinary, or several ordinary ones.
	distinct := l.rare*m.maxWeight() > ordinaryWeight || l.coverA*l.a.mass > severalWords && !(l.exact && !l.ordered)
	switch {
	case m.isParent(e.a, e.b):
		return "parent", "one is named as the parent of the other"
	case l.acronym > 0 && l.dice < 0.5:
		return "", ""
	case m.nothingTelling(e):
		return "distinctive_word", "no distinctive word in common"
	case l.exact && !l.ordered && !distinct && e.v[fPlaces]+e.v[fCitySame] == 0 && !e.located() && len(l.a.words) == len(l.b.words) && sameSet(l.a, l.b):
		return "word_order", "the same ordinary words in another order, which may be another name"
	case l.clash && l.dice > 0.4 && m.sharesOwn(l):
		return "numbers", "the names are alike but for their numbers"
	case l.oneNumber && m.numbered(l) && !e.located() && e.v[fCitySame] == 0:
		return "numbers", "one is the other's name with a number: the next of a row"
	case (l.places || m.siblings(e)) && distinct && m.sharesOwn(l):
		return "places", "the names differ only in a place: sister companies or branches"
	case l.dice > 0.95 && e.v[fFormClash] == 1 && isASCII(m.forms[l.a.form].text) == isASCII(m.forms[l.b.form].text): // else one may be the other's reading
		return "legal_form", "the same name incorporated in another form and country"
	case l.dice > 0.95 && m.formsApart(l.a.form, l.b.form) && !e.located():
		return "legal_form", "the same name incorporated in two forms of one country, which are two companies"
	case l.placeMore && distinct && !e.located() && e.v[fCountrySame] == 0 && l.dice > 0.4:
		return "branch", "one is the other's name with a place added: a branch or local company"
	case (l.coverA > 0.97) != (l.coverB > 0.97) && max(l.coverA, l.coverB) > 0.97 && l.missA+l.missB > 0.3 && !l.cutWord && distinct && !m.corporate(l) && !e.located() && e.v[fCitySame] == 0:
		return "subsidiary", "one is the other's whole name with more words: a subsidiary, division or sister"
	case e.v[fCountryOther] == 1 && l.dice > 0.8:
		return "country", "the same name in another country"
	}
	return "", ""
}

// sharesOwn reports whether what two names share names somebody: more than what kind of church, union or shop each is, of which every
// town has one and every union a local.
func (m *Model) sharesOwn(l *likeness) bool {
	pairs := m.pairings(l)
	general, any := true, false
	for _, p := range pairs {
		for _, w := range strings.Fields(p.a) {
			kind := localKinds[w] || generalWords[w]
			any = any || kind
			general = general && (kind || m.word(w).kind&number != 0)
		}
	}
	return !general || !any
}

// numbered reports whether what one name has more is a small number alone, in digits or Roman numerals: funds, plants and shops are counted.
func (m *Model) numbered(l *likeness) bool {
	a, b := m.leftOver(l)
	more := append(a, b...)
	return len(more) == 1 && l.dice > 0.6 && len(more[0]) <= 4 && isNumber(more[0]) && !(len(more[0]) > 2 && containsDigit(more[0]))
}

// siblings reports whether two records that agree in a part of their names, such as the brand they do business as, are told apart by
// places in their whole names.
func (m *Model) siblings(e *evidence) bool {
	whole := func(q *Query) *name { // the first half before a "doing business as"
		for i := range q.names {
			if n := &q.names[i]; n.role == firstName {
				return n
			}
		}
		return nil
	}
	if !e.like.a.role.part() && !e.like.b.role.part() {
		return false
	}
	a, b := whole(e.a), whole(e.b)
	if a == nil || b == nil {
		return false
	}
	var l likeness
	m.align(a, b, &l, nil)
	return l.dice > 0 && (l.places || l.placeMore && m.sameForm(a.form, b.form) < 0)
}

// corporate reports whether what one name has more only says that it is a company: the head of a group, not a part.
func (m *Model) corporate(l *likeness) bool {
	a, b := m.leftOver(l)
	for _, w := range append(a, b...) {
		if !corporate[w] {
			return false
		}
	}
	return true
}

// isParent reports whether one record names the other as its parent.
func (m *Model) isParent(a, b *Query) bool {
	if a.parent != "" && a.parent == b.id || b.parent != "" && b.parent == a.id {
		return true
	}
	has := func(x, y *Query) bool {
		for i := range y.names {
			if slices.Contains(x.parents, y.names[i].squash) {
				return true
			}
		}
		return false
	}
	return has(a, b) || has(b, a)
}

// unlike reports a pair whose names share nothing that tells, and which nothing else connects.
func (m *Model) unlike(e *evidence) bool {
	l := &e.like
	if l.a == nil {
		return !e.identified() && e.v[fDomainSame] == 0
	}
	return !l.exact && l.acronym == 0 && l.squash < 0.85 && l.dice < 0.45
}

// nothingTelling reports two names made of ordinary words alone that differ on both sides: First National Bank and First Regional Bank.
// Such names are one only if they are equal, and nothing else connects these.
func (m *Model) nothingTelling(e *evidence) bool {
	l := &e.like
	ordinary := func(n *name) bool {
		return !slices.ContainsFunc(n.words, func(w word) bool { return w.weight > ordinaryWeight || w.kind&(pairOf|number) != 0 })
	}
	return l.a != nil && !l.exact && l.acronym == 0 && !l.cutShort && min(l.missA, l.missB) > 0 && ordinary(l.a) && ordinary(l.b) &&
		!e.located() && e.v[fCitySame]+e.v[fDomainName] == 0
}

// verdict decides on probability and gates.
func (m *Model) verdict(p float64, gate string, e *evidence, t Thresholds) deal.Verdict {
	switch {
	case gate == "distinctive_word":
		return deal.Different
	case gate != "" && !m.unlike(e):
		return deal.Related
	case gate == "parent":
		return deal.Related
	case p >= t.Same:
		return deal.Same
	case p >= t.Review:
		return deal.Review
	}
	return deal.Different
}

// Judge compares two prepared records: a is asked about, b is the record whose id and name the match carries.
func (m *Model) Judge(a, b *Query) deal.Match {
	var e evidence
	m.compare(a, b, nil, &e)
	out := m.match(&e, 0, sideBySide, DefaultThresholds, 0)
	if out.Verdict == deal.Different {
		if text, ok := m.kin(&e); ok {
			out.Verdict = deal.Related
			out.Evidence = append(out.Evidence, deal.Score{Term: "relation", Value: "family", Text: text})
		}
	}
	return out
}

const (
	// ownNameWeight is the weight from which a word that only one of two names has is a name of its own: a family name, a
	// brand, a trade that few have.
	ownNameWeight = 5.5
	// twoNamesWeight is what that takes away when each side has one, in a corpus of repeats. Among accounts the one that fits
	// better takes it away as a rival; there, nobody is a rival.
	twoNamesWeight = 2.5
)

// setting is how a pair came together, which says what its likeness is worth.
type setting uint8

const (
	ranked     setting = iota // the best of a search, with what else fits as rivals
	repeated                  // found among records of which many may describe one organisation: nobody is a rival
	sideBySide                // put before the judge by somebody
)

const (
	// initialsMeant is what initials are worth more of two records side by side. Among a million records there is always one whose
	// words begin with some three letters, and a search finds it; of one pair, it would be a chance in thousands.
	initialsMeant = 3.8
	// heldApart is what a gate takes away of two records side by side. A search shows whether a better one was there to be found;
	// here what holds the two apart is all there is. Names in scripts without spaces are shortened as one pleases, so there it
	// takes nothing.
	heldApart = 3.0
	// ownWordsWeight is what it takes away of two records side by side that each has a word of ownWordWeight or more that the
	// other lacks.
	ownWordsWeight, ownWordWeight = 1.0, 3.0
	// namesakesWeight is what it takes away of two records side by side that have one ordinary name, such as Main Street Pharmacy, in two
	// regions: none of their words is of more weight than namesakesRare. Of a search, it is the best of all that have it.
	namesakesWeight, namesakesRare = 1.0, 9.0
)

const (
	// shortLetters is the length up to which words one letter apart are two names as often as a slip: Nike and Nikke, KKE and KGE.
	shortLetters = 5
	// familyLetters is the length up to which words with one letter for another are, in two streets: Wagner and Wegner. A letter more or less,
	// or two that changed places, are a slip as a rule.
	familyLetters = 7
	// shortCertain are the log-odds beyond which nothing that leaves room for it makes two such words one.
	shortCertain = 1.2
	// fewBearers is of how many records a word may be a part while it still names one of them. Each further e-fold takes manyWeight
	// away, but no more than leaves the log-odds at manyLeast, where a person looks: one of them has no other name.
	fewBearers, manyWeight, manyLeast = 4, 3.0, -0.8
)

// partsOfOne is how probable two parts of one organisation are at least, which is less than contradicted: which of its parts deals are made
// with, a person knows.
const partsOfOne = 0.5

// partsOfOne reports whether two share a name of their own, and differ in nothing but the part of the organisation they say.
func (m *Model) partsOfOne(e *evidence) bool {
	l := &e.like
	if l.a == nil || l.exact {
		return false
	}
	isUnit := func(w word) bool { return w.kind&unit != 0 }
	if !slices.ContainsFunc(l.a.words, isUnit) && !slices.ContainsFunc(l.b.words, isUnit) {
		return false
	}
	a, b := m.leftOver(l)
	any := false
	for _, w := range append(a, b...) {
		k := m.word(w).kind
		any = any || k&unit != 0
		if k&(unit|place|town|number) == 0 && !sides[w] {
			return false
		}
	}
	return any && slices.ContainsFunc(m.pairings(l), func(p pairing) bool {
		return p.sim >= spelling && min(m.weight(p.a), m.weight(p.b)) > ordinaryWeight && !m.ofTrade(p.a, e)
	})
}

// shortSlip reports whether all that tells in two names is a short word, and it is not the same: one letter is another, more or less. What
// else they share is of a trade or a place.
func (m *Model) shortSlip(e *evidence) bool {
	l := &e.like
	if l.a == nil || l.exact || l.cutShort {
		return false
	}
	short := func(x, y string) bool {
		longest := shortLetters
		if len(x) == len(y) && e.v[fStreetSame] == 0 {
			longest = familyLetters
		}
		return max(len(x), len(y)) <= longest && !containsDigit(x) && !containsDigit(y) && isASCII(x) && isASCII(y) && m.weight(x) > ordinaryWeight && m.weight(y) > ordinaryWeight &&
			distance(x, y) == 1 && !(len(x) >= shortLetters && anagrams(x, y))
	}
	pairs := m.pairings(l)
	found, leftA, leftB := false, len(l.a.words), len(l.b.words)
	for _, p := range pairs {
		found = found || p.sim < spelling && short(p.a, p.b)
		leftA -= 1 + strings.Count(p.a, " ")
		leftB -= 1 + strings.Count(p.b, " ")
	}
	if !found && (leftA != 1 || leftB != 1) {
		return false
	}
	for _, p := range pairs {
		if !(p.sim < spelling && short(p.a, p.b)) && min(m.weight(p.a), m.weight(p.b)) > ordinaryWeight && !m.ofTrade(p.a, e) {
			return false
		}
	}
	if !found {
		a, b := m.leftOver(l)
		return len(a) == 1 && len(b) == 1 && short(a[0], b[0])
	}
	return true
}

// ofTrade reports whether words, of which a corpus may know few bearers, say what the two do or where they are, not who.
func (m *Model) ofTrade(words string, e *evidence) bool {
	for _, w := range strings.Fields(words) {
		kind, _ := m.kindOfName(w)
		if kind != "" || generalWords[w] || m.trades[w] || m.word(w).kind&(place|town) != 0 || slices.Contains(strings.Fields(e.a.city+" "+e.b.city), w) ||
			endsIn(w, tradeEnds) {
			continue
		}
		return false
	}
	return true
}

// onlyWord returns the one word that a name-only question and a record have in common, when neither says more than that: "Larkmoor" for
// Larkmoor Inc. It returns nothing for others, and where something else connects them.
func (e *evidence) onlyWord() string {
	l, v := &e.like, &e.v
	if l.a == nil || l.exact && len(l.a.words) > 1 || l.a.form != 0 || e.identified() || e.located() || v[fCitySame]+v[fRegionSame]+v[fDomainName] > 0 {
		return ""
	}
	if w := l.a.onlyWord(); w == l.b.onlyWord() {
		return w
	}
	return ""
}

// onlyWord returns the word of a name that has no other, but for those that only say that it is a company.
func (n *name) onlyWord() (telling string) {
	for i := range n.words {
		if w := &n.words[i]; !corporate[w.text] {
			if telling != "" || w.kind&pairOf != 0 {
				return ""
			}
			telling = w.text
		}
	}
	return telling
}

// twoNames reports whether each of a pair has a name of its own, and nothing but words connects them.
func (m *Model) twoNames(e *evidence) bool {
	l := &e.like
	// Initials and what they stand for share no word because they need not.
	return l.a != nil && !(l.acronym > 0 && l.dice < 0.5) && min(l.missA, l.missB)*m.maxWeight() >= ownNameWeight && !e.identified() && e.v[fDomainSame] == 0 && e.v[fPhoneSame]+e.v[fStreetSame] == 0
}

// match puts evidence in words. rivals is the logarithm of one plus the odds of all other candidates relative to this
// one, which only a ranked match has. The match shares its id and name with the record, and nothing else.
func (m *Model) match(e *evidence, rivals float64, in setting, t Thresholds, explained float64) deal.Match {
	z := e.logit - float64(m.weights.Rivals*rivals)
	gate, why := m.relation(e)
	var more []deal.Score
	add := func(term string, weight float64, text string) {
		z += weight
		more = append(more, deal.Score{Term: term, Weight: weight, Text: text})
	}
	if e.spelt < 0 {
		add("spelling", e.spelt, "another record is written more alike")
	}
	if in == repeated && m.twoNames(e) {
		add("two_names", -twoNamesWeight, "each has a name of its own beside what they share")
	}
	if w := m.weights.vector[fOrder]; in == repeated && e.v[fOrder] > 0 && w < 0 {
		// It tells which of two accounts is meant. Of one customer's registrations each may have an order of its own.
		add("any_order", round(-w), "two people may order the words of one name as they like")
	}
	if in == sideBySide && (e.like.acronym > 0 && e.like.dice < 0.5 || e.like.initials && e.like.missA+e.like.missB == 0) {
		add("initials_meant", initialsMeant, "initials of two organisations put side by side are seldom the same by chance")
	}
	if in == sideBySide && gate == "" && e.like.acronym == 0 && min(e.like.missA, e.like.missB)*m.maxWeight() >= ownWordWeight && !e.located() && !e.like.a.unspaced() && !e.like.b.unspaced() {
		add("own_words", -ownWordsWeight, "each has words of its own beside what they share")
	}
	if in == sideBySide && e.like.exact && e.like.rare*m.maxWeight() <= namesakesRare && e.v[fCityOther]*e.v[fRegionOther] > 0 && !e.identified() && !e.located() {
		add("namesakes", -namesakesWeight, "a name of ordinary words in another town and region is another's as often as not")
	}
	if more := math.Log(float64(e.alike) / fewBearers); more > rivals && z > manyLeast { // who bears the whole name is a rival already
		add("common_word", round(-min(manyWeight*(more-rivals), z-manyLeast)), fmt.Sprintf("all the question says is a word that %d records have", e.alike))
	}
	if z > shortCertain && !e.identified() && e.v[fDomainSame]+e.v[fPhoneSame] == 0 && m.shortSlip(e) {
		add("short_word", round(shortCertain-z), "words so short are two names as often as one misspelt")
	}
	kind := kindOf(e, in)
	if least := m.weights.before(partsOfOne, kind); z < least && m.partsOfOne(e) {
		gate = ""
		add("units", round(least-z), "what differs says which part of one organisation is meant")
	}
	if z > m.weights.before(contradicted, kind) { // or nothing could be taken from it
		if cap, term, why := m.doubt(e, z > m.weights.before(everyTown, kind)); cap > 0 {
			if most := m.weights.before(cap, kind); z > most {
				add(term, round(most-z), why)
			}
		}
	}
	apart := 0.0
	if in == sideBySide && gate != "" && gate != "distinctive_word" && !e.like.a.unspaced() && !e.like.b.unspaced() {
		apart = -heldApart
		z += apart
	}
	out := deal.Match{ID: e.b.id, Name: e.b.display, Probability: m.weights.probability(z, kind), Identifier: e.identifier()}
	if gate == "distinctive_word" && (out.Probability < t.Review/2 || out.Probability >= t.Same) {
		gate = "" // far from anything else as it is, or the same for other reasons
	}
	out.Verdict = m.verdict(out.Probability, gate, e, t)
	if out.Probability < explained && out.Verdict != deal.Related && out.Identifier == "" {
		return out
	}
	out.Evidence = append(m.explain(e, rivals), more...)
	if e.a.disguised != "" {
		out.Evidence = append(out.Evidence, deal.Score{Term: "disguised", Value: e.a.display, Text: e.a.disguised})
	}
	if gate != "" {
		out.Evidence = append(out.Evidence, deal.Score{Term: "relation", Value: gate, Weight: apart, Text: why})
	}
	return out
}

// terms are those of the features, in their order, each with the feature after its last.
var terms = func() (out []struct {
	term string
	end  feature
}) {
	for f, info := range featureInfo {
		if n := len(out); n == 0 || out[n-1].term != info.term {
			out = append(out, struct {
				term string
				end  feature
			}{term: info.term})
		}
		out[len(out)-1].end = feature(f) + 1
	}
	return out
}()

// explain returns the terms whose weights add up to the log-odds, in a fixed order.
func (m *Model) explain(e *evidence, rivals float64) []deal.Score {
	w := &m.weights
	out := make([]deal.Score, 0, 12)
	out = append(out, deal.Score{Term: "base_rate", Weight: round(w.Bias), Text: "how often a candidate is a match before anything is compared"})
	f := feature(0)
	for _, t := range terms {
		sum, any := 0.0, false
		for ; f < t.end; f++ {
			if e.v[f] != 0 {
				sum += float64(e.v[f] * w.vector[f])
				any = true
			}
		}
		if !any {
			continue
		}
		s := deal.Score{Term: t.term, Weight: round(sum)}
		s.Value, s.Text = m.words(t.term, e)
		out = append(out, s)
	}
	if rivals > 0 && w.Rivals != 0 {
		out = append(out, deal.Score{Term: "rivals", Value: strconv.FormatFloat(round(math.Exp(rivals)-1), 'f', 2, 64), Weight: round(-w.Rivals * rivals),
			Text: "other records fit as well or nearly so"})
	}
	return out
}

// words says what a term saw.
func (m *Model) words(term string, e *evidence) (value, text string) {
	l, v := &e.like, &e.v
	pick := func(same feature, x, y, what string) (string, string) {
		if v[same] > 0 {
			return x, "the same " + what
		}
		return x + " / " + y, "another " + what
	}
	switch term {
	case "name":
		return m.nameWords(e)
	case "acronym":
		return l.a.squash + " / " + l.b.squash, "one name is the initials of the other"
	case "left_over":
		a, b := m.leftOver(l)
		return strings.Join(a, " ") + " / " + strings.Join(b, " "), "words only one of the names has"
	case "numbers":
		if l.clash {
			return "differ", "the numbers in the names differ"
		}
		return "one", "only one name has a number"
	case "places":
		if l.places {
			return "differ", "the names differ in a place"
		}
		return "one", "only one name has a place"
	case "legal_form":
		value = m.forms[l.a.form].text + " / " + m.forms[l.b.form].text
		switch {
		case v[fFormSame] > 0 && v[fFormClash] > 0:
			return value, "legal forms of one kind, of different countries"
		case v[fFormSame] > 0:
			return value, "legal forms of one kind"
		case v[fFormClash] > 0:
			return value, "legal forms of different kinds and countries"
		}
		return value, "legal forms of different kinds"
	case "which_name":
		return l.a.squash + " / " + l.b.squash, "an alias, or one part of a name, was compared"
	case "country":
		return pick(fCountrySame, e.a.country, e.b.country, "country")
	case "region":
		return pick(fRegionSame, e.a.region, e.b.region, "region")
	case "city":
		if v[fCityNear] > 0 {
			return e.a.city + " / " + e.b.city, "nearly the same city name"
		}
		return pick(fCitySame, e.a.city, e.b.city, "city")
	case "postal_code":
		if v[fPostalNear] > 0 {
			return e.a.postal + " / " + e.b.postal, "neighbouring postal codes"
		}
		return pick(fPostalSame, e.a.postal, e.b.postal, "postal code")
	case "street":
		return pick(fStreetSame, e.a.street, e.b.street, "street address")
	case "phone":
		return pick(fPhoneSame, e.a.phone, e.b.phone, "telephone number")
	case "tax_id":
		return pick(fTaxSame, e.a.tax, e.b.tax, "tax number")
	case "duns":
		return pick(fDUNSSame, e.a.duns, e.b.duns, "D-U-N-S number")
	case "lei":
		return pick(fLEISame, e.a.lei, e.b.lei, "LEI")
	case "domain":
		switch {
		case v[fDomainSame] > 0 && e.owner > 1:
			return e.via, fmt.Sprintf("the same web domain, which %d records share", e.owner)
		case v[fDomainSame] > 0:
			return e.via, "the same web domain"
		case v[fDomainName] > 0:
			return strings.Clone(strings.Join(e.a.domains, " ") + strings.Join(e.b.domains, " ")), "the web domain is the other's name"
		}
		return e.a.domains[0] + " / " + e.b.domains[0], "another web domain"
	}
	return "", ""
}

// nameWords says how the names compare.
func (m *Model) nameWords(e *evidence) (value, text string) {
	l := &e.like
	value = joinWords(l.a) + " / " + joinWords(l.b)
	switch {
	case l.ordered && len(l.a.words) != len(l.b.words):
		return value, "the same letters, spaced differently"
	case l.ordered:
		return value, "the same words"
	case l.exact && sameSet(l.a, l.b):
		return value, "the same words in another order"
	}
	pairs := m.pairings(l)
	var same, near []string
	for _, p := range pairs {
		if p.sim == 1 && p.a == p.b {
			same = append(same, p.a)
		} else {
			near = append(near, p.a+" ~ "+p.b)
		}
	}
	switch {
	case len(same) == 0 && len(near) == 0:
		return value, "no word in common"
	case len(near) == 0:
		return value, "shared: " + strings.Join(same, ", ")
	case len(same) == 0:
		return value, "alike: " + strings.Join(near, ", ")
	}
	return value, "shared: " + strings.Join(same, ", ") + "; alike: " + strings.Join(near, ", ")
}

// sameSet reports whether every word of a is in b.
func sameSet(a, b *name) bool {
	for i := range a.words {
		if !slices.ContainsFunc(b.words, func(w word) bool { return w.text == a.words[i].text }) {
			return false
		}
	}
	return true
}

func joinWords(n *name) string {
	s := make([]string, len(n.words))
	for i := range n.words {
		s[i] = n.words[i].text
	}
	return strings.Join(s, " ")
}

// leftOver returns the words of each name that the other lacks.
func (m *Model) leftOver(l *likeness) (a, b []string) {
	pairs := m.pairings(l)
	left := func(n *name, side func(pairing) string) (out []string) {
		used := map[string]int{}
		for _, p := range pairs {
			for _, w := range strings.Fields(side(p)) {
				used[w]++
			}
		}
		for _, w := range n.words {
			if used[w.text] > 0 {
				used[w.text]--
				continue
			}
			out = append(out, w.text)
		}
		return out
	}
	return left(l.a, func(p pairing) string { return p.a }), left(l.b, func(p pairing) string { return p.b })
}
