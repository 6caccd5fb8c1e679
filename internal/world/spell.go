package world

import (
	"math/rand/v2"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// short are abbreviations as people write them on forms.
var short = map[string]string{"international": "Intl", "services": "Svcs", "service": "Svc", "technologies": "Tech", "technology": "Tech", "university": "Univ",
	"institute": "Inst", "center": "Ctr", "centre": "Ctr", "association": "Assoc", "national": "Natl", "management": "Mgmt", "manufacturing": "Mfg",
	"department": "Dept", "laboratories": "Labs", "company": "Co", "corporation": "Corp", "limited": "Ltd", "incorporated": "Inc"}

var forms = []string{"inc", "llc", "ltd", "corp", "corporation", "gmbh", "ag", "sa", "plc", "limited", "incorporated", "co", "company", "llp"}

// Spell writes the name of an organisation as another person might: in another case, with a typing error, with
// another legal form or none, with an abbreviation, with two words in another order. It is for tests and load tests
// that know the truth and want to see it found.
func Spell(rng *rand.Rand, name string) string {
	w := strings.Fields(name)
	switch rng.IntN(6) {
	case 0:
		return strings.ToUpper(name)
	case 1:
		return strings.ToLower(name)
	case 2:
		typo(rng, w)
	case 3:
		if last := strings.ToLower(strings.Trim(w[len(w)-1], ".,")); len(w) > 1 && slices.Contains(forms, last) {
			w = w[:len(w)-1]
		} else {
			w = append(w, []string{"Inc", "Ltd.", "LLC", "Corp"}[rng.IntN(4)])
		}
	case 4:
		for i, x := range w {
			if s, ok := short[strings.ToLower(x)]; ok {
				w[i] = s
			}
		}
	case 5:
		if len(w) > 2 {
			w[0], w[1] = w[1], w[0]
		}
	}
	return strings.Join(w, " ")
}

// Filed writes a name as a partner's form may have it: as Spell, and with one in two a second slip, a word more or less, or two written as one.
func Filed(rng *rand.Rand, name string) string {
	name = Spell(rng, name)
	switch rng.IntN(8) {
	case 0: // a second slip
		name = Spell(rng, name)
	case 1: // a word more
		name += " " + []string{"Group", "Germany", "Holding", "Department of IT", "Services"}[rng.IntN(5)]
	case 2: // one less
		if w := strings.Fields(name); len(w) > 2 {
			name = strings.Join(w[:len(w)-1], " ")
		}
	case 3: // two written as one
		if at := strings.IndexByte(name, ' '); at > 0 && unicode.IsLetter(rune(name[at-1])) {
			name = name[:at] + name[at+1:]
		}
	}
	return name
}

// typo loses a letter of the longest word, or lets two change places.
func typo(rng *rand.Rand, w []string) {
	longest := 0
	for i := range w {
		if utf8.RuneCountInString(w[i]) > utf8.RuneCountInString(w[longest]) {
			longest = i
		}
	}
	r := []rune(w[longest])
	if len(r) < 4 || strings.IndexFunc(w[longest], unicode.IsDigit) >= 0 {
		return
	}
	k := 1 + rng.IntN(len(r)-2)
	if rng.IntN(2) == 0 {
		r[k], r[k+1] = r[k+1], r[k]
	} else {
		r = append(r[:k], r[k+1:]...)
	}
	w[longest] = string(r)
}
