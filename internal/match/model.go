package match

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/dibs-deals/dibs/internal/deal"
)

//go:embed model
var modelFiles embed.FS

// modelName is the name decisions record; weights.json carries the version.
const modelName = "organisations"

const (
	// characterPairWeight is the weight of two neighbouring characters of a script without spaces: about one name in
	// 150 shares one.
	characterPairWeight = 5.0
	// ordinaryWeight parts words of business from names: a word in more than about 300 of half a million names is
	// ordinary.
	ordinaryWeight = 7.4
)

// legalForm is one way to be incorporated.
type legalForm struct {
	text      string
	class     string // LLC, JSC, LP, … as the rigour list groups them; OTHER when it only says "company"
	countries []string
}

// foundation is the class of foundations and associations.
const foundation = "NGO"

type joinedForm struct {
	text string
	form uint16
}

// Model holds everything that a judgement depends on besides the two records. It is immutable and safe for concurrent
// use.
type Model struct {
	ref         deal.DocumentRef
	total       float64          // organisations behind the document frequencies
	rarest      float64          // the weight of a word of none of them
	logs        []float64        // the weights of small frequencies
	frequency   map[string]int32 // in how many of their names a canonical word occurs
	synonym     map[string]string
	longestHan  int // characters of the longest synonym written without spaces
	places      map[string]bool
	towns       map[string]bool
	trades      map[string]bool // tradeWords, in the form words are compared in
	mailHosts   map[string]bool // and those that are nobody's
	forms       []legalForm     // forms[0] is none
	formOf      map[string]uint16
	formEnds    map[string]int // the last words of forms, and how many words those have at most
	formStarts  map[string]int // the first words
	joinedForms []joinedForm
	slips       *slips
	heard       heard
	weights     weights
	lists       string // digest of the word lists
}

// Default returns the embedded model, built on first use.
var Default = sync.OnceValue(func() *Model {
	m, err := New(nil)
	if err != nil {
		panic(err) // the embedded files are part of the program
	}
	return m
})

// Ref returns the model's name and version, and the digest of everything it consists of.
func (m *Model) Ref() deal.DocumentRef { return m.ref }

// New returns a model of the embedded word lists with the weights and the calibration of a file that Fit wrote; nil: the embedded ones.
// The error says what is wrong with the file.
func New(file []byte) (*Model, error) {
	m := &Model{frequency: map[string]int32{}, synonym: map[string]string{}, places: map[string]bool{}, towns: map[string]bool{}, trades: map[string]bool{}, mailHosts: map[string]bool{},
		forms: make([]legalForm, 1), formOf: map[string]uint16{}, formEnds: map[string]int{}, formStarts: map[string]int{}, slips: newSlips()}
	sum := sha256.New()
	read := func(file string) []byte {
		b, err := modelFiles.ReadFile("model/" + file)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(sum, "%s %d\n", file, len(b))
		sum.Write(b)
		if strings.HasSuffix(file, ".gz") {
			z, err := gzip.NewReader(bytes.NewReader(b))
			if err != nil {
				panic(err)
			}
			if b, err = io.ReadAll(z); err != nil {
				panic(err)
			}
		}
		return b
	}
	// The list written for this model comes first and wins over the published one: it decides for the words it has,
	// and the spellings it chose stand.
	step, chosen := map[string]string{}, map[string]bool{}
	for _, file := range []string{"abbreviations.tsv", "synonyms.tsv"} {
		for f := range fields(read(file)) {
			if _, ok := step[f[0]]; !ok && !chosen[f[0]] && len(f) == 2 && f[0] != f[1] {
				step[f[0]] = f[1]
			}
		}
		for _, to := range step {
			chosen[to] = true
		}
	}
	for from, to := range step { // the canonical word is where the steps end
		for hops := 0; step[to] != "" && hops < 4; hops++ {
			to = step[to]
		}
		if to != from && step[to] == "" {
			m.synonym[from] = to
			if hasHan(from) {
				m.longestHan = max(m.longestHan, utf8.RuneCountInString(from))
			}
		}
	}
	for _, file := range []string{"legal_forms_common.tsv", "legal_forms.tsv"} {
		for f := range fields(read(file)) {
			m.addForm(f)
		}
	}
	slices.SortFunc(m.joinedForms, func(a, b joinedForm) int {
		return len(b.text)*1000 - len(a.text)*1000 + strings.Compare(a.text, b.text)
	})
	for f := range fields(read("words.tsv.gz")) {
		n, err := strconv.ParseInt(f[1], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("words: %w", err)
		}
		w := f[0]
		m.heard.add(w)
		m.slips.count[w] = int32(n)
		if n >= slipOrdinary {
			m.slips.meant(w)
		}
		if c := m.synonym[w]; c != "" {
			w = c
		}
		m.frequency[w] += int32(n)
	}
	for w, to := range m.synonym {
		m.slips.meant(w)
		m.heard.add(w)
		m.heard.add(to)
	}
	for w := range m.formOf {
		for _, t := range strings.Fields(w) {
			m.slips.kept[t] = true
			m.heard.add(t)
		}
		if !strings.Contains(w, " ") {
			m.slips.meant(w)
		}
	}
	m.total = 488784 // names counted for words.tsv.gz
	m.rarest = math.Log(1 + m.total)
	for n := range int32(1 << 10) {
		m.logs = append(m.logs, m.weightOf(n))
	}
	for f := range fields(read("places.txt.gz")) {
		m.places[f[0]] = true
		m.heard.add(f[0])
	}
	for f := range fields(read("towns.txt.gz")) {
		m.towns[f[0]] = true
		m.heard.add(f[0])
	}
	m.heard.addUsual()
	for w := range tradeWords {
		m.trades[cmp.Or(m.synonym[w], w)] = true
	}
	for f := range fields(read("mail_hosts.txt.gz")) {
		m.mailHosts[f[0]] = true
	}
	for _, d := range nobodys {
		m.mailHosts[d] = true
	}
	m.lists = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	if file == nil {
		file = read("weights.json")
	} else {
		fmt.Fprintf(sum, "weights.json %d\n", len(file))
		sum.Write(file)
	}
	d := json.NewDecoder(bytes.NewReader(file))
	d.DisallowUnknownFields()
	if err := d.Decode(&m.weights); err != nil {
		return nil, fmt.Errorf("the file of the model: %w", err)
	}
	if err := m.weights.check(); err != nil {
		return nil, fmt.Errorf("the file of the model: %w", err)
	}
	if l := m.weights.Lists; l != "" && l != m.lists {
		return nil, fmt.Errorf("the model was fitted with the word lists of another version of dibs (%s, here %s): fit it again with this one", l, m.lists)
	}
	m.ref = deal.DocumentRef{Name: cmp.Or(m.weights.Name, modelName), Version: m.weights.Version, Digest: "sha256:" + hex.EncodeToString(sum.Sum(nil))}
	return m, nil
}

// fields yields the tab-separated fields of each line that is not a comment.
func fields(b []byte) func(func([]string) bool) {
	return func(yield func([]string) bool) {
		for l := range strings.Lines(string(b)) {
			if l = strings.TrimRight(l, "\n"); l != "" && l[0] != '#' && !yield(strings.Split(l, "\t")) {
				return
			}
		}
	}
}

// addForm adds a legal form from its alias, class and countries. The first entry of an alias wins.
func (m *Model) addForm(f []string) {
	alias, class, countries := f[0], f[1], strings.Fields(f[2])
	if _, ok := m.formOf[alias]; ok {
		return
	}
	// Two letters of a rare form are far more often somebody's initials.
	if len(alias) <= 2 && isASCII(alias) && !slices.Contains([]string{"JSC", "LLC", "LP", "LLP", "PROF", "FIN"}, class) && !slices.Contains([]string{"co", "ev", "ek", "eg"}, alias) {
		return
	}
	i := uint16(len(m.forms))
	m.forms = append(m.forms, legalForm{text: alias, class: class, countries: countries})
	m.formOf[alias] = i
	w := strings.Fields(alias)
	m.formStarts[w[0]] = max(m.formStarts[w[0]], len(w))
	m.formEnds[w[len(w)-1]] = max(m.formEnds[w[len(w)-1]], len(w))
	if r := []rune(alias); len(r) >= 2 && (hasHan(alias) || r[0] >= 0xac00 && r[0] <= 0xd7a3 || unicode.Is(unicode.Thai, r[0])) && !strings.Contains(alias, " ") {
		m.joinedForms = append(m.joinedForms, joinedForm{alias, i})
	}
}

// weight returns what sharing the canonical word tells, in nats: ln(1 + N/(1+df)).
// It is rounded to what a segment stores.
func (m *Model) weight(w string) float64 {
	n := m.frequency[w]
	if int(n) < len(m.logs) {
		return m.logs[n]
	}
	return m.weightOf(n)
}

// weightOf returns the weight of a word of a frequency.
func (m *Model) weightOf(n int32) float64 {
	return float64(float32(math.Log(1 + m.total/float64(1+n))))
}

// maxWeight is the weight of a word nobody was seen to use.
func (m *Model) maxWeight() float64 { return m.rarest }

// formsClash reports whether two legal forms are of different classes and of countries that have none in common.
func (m *Model) formsClash(a, b uint16) bool {
	fa, fb := &m.forms[a], &m.forms[b]
	if a == 0 || b == 0 || a == b || len(fa.countries) == 0 || len(fb.countries) == 0 {
		return false
	}
	for _, c := range fa.countries {
		if slices.Contains(fb.countries, c) {
			return false
		}
	}
	return true
}

// loose are the classes of forms of English, which people put behind a name from habit: Inc. for LLC, Corp. for Ltd.
func (f *legalForm) loose() bool {
	return f.class == "OTHER" || len(f.countries) == 0 || slices.ContainsFunc(f.countries, func(c string) bool { return slices.Contains(englishCountries, c) })
}

var englishCountries = []string{"US", "GB", "IE", "CA", "AU", "NZ", "IN", "SG", "ZA", "HK"}

// formsApart reports whether two legal forms are of different classes and of one country, where they are used with care: an AG is not
// the GmbH of its name.
func (m *Model) formsApart(a, b uint16) bool {
	fa, fb := &m.forms[a], &m.forms[b]
	return m.sameForm(a, b) < 0 && !fa.loose() && !fb.loose() && isASCII(fa.text) == isASCII(fb.text) &&
		slices.ContainsFunc(fa.countries, func(c string) bool { return slices.Contains(fb.countries, c) })
}

// sameForm compares the classes of two legal forms: 1 the same, -1 different, 0 when either does not say.
func (m *Model) sameForm(a, b uint16) int {
	ca, cb := m.forms[a].class, m.forms[b].class
	switch {
	case a == 0 || b == 0 || ca == "OTHER" || cb == "OTHER":
		return 0
	case ca == cb:
		return 1
	}
	return -1
}

// translated reports whether one of two legal forms is English for the other, which is written in another script: companies of Japan call
// themselves Co., Ltd., Inc. or Corp. as they like.
func (m *Model) translated(a, b uint16) bool {
	fa, fb := &m.forms[a], &m.forms[b]
	if a == 0 || b == 0 || isASCII(fa.text) == isASCII(fb.text) {
		return false
	}
	return isASCII(fa.text) && fa.loose() || isASCII(fb.text) && fb.loose()
}
