package world

import (
	"bytes"
	"compress/gzip"
	_ "embed" // for accounts.tsv.gz
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"sync"

	"github.com/dibs-deals/dibs/internal/deal"
)

//go:embed accounts.tsv.gz
var packed []byte

// lines is the unpacked file. It stays in memory because account fields are slices of it.
var lines = sync.OnceValue(func() string {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		panic("world: the embedded accounts are damaged: " + err.Error())
	}
	b, err := io.ReadAll(z)
	if err != nil {
		panic("world: the embedded accounts are damaged: " + err.Error())
	}
	return string(b)
})

// Accounts yields every account, in the order of the ids.
func Accounts() iter.Seq[*deal.Account] {
	return func(yield func(*deal.Account) bool) {
		n := 0
		for line := range strings.SplitSeq(strings.TrimSuffix(lines(), "\n"), "\n") {
			n++
			if !yield(account(n, line)) {
				return
			}
		}
	}
}

func accountID(row int) string { return fmt.Sprintf("ACC-%06d", row) }

// account makes the account of one line of the file.
func account(row int, line string) *deal.Account {
	var f [8]string
	for i := range f {
		f[i], line, _ = strings.Cut(line, "\t")
	}
	a := &deal.Account{ID: accountID(row), Name: f[0], Domain: f[2], Country: f[3], Region: f[4], City: f[5], PostalCode: f[6], Status: "prospect"}
	if f[1] != "" {
		a.Aliases = strings.Split(f[1], ";")
	}
	if f[7] != "" {
		if parent, err := strconv.Atoi(f[7]); err == nil {
			a.ParentID = accountID(parent)
		}
	}
	h := hash(a.Name, a.Country)
	a.Industry = industry(a.Name)
	a.Employees = employees(h)
	switch {
	case h.one(200, 1):
		a.Status = "customer"
	case h.one(400, 2):
		a.Status = "former"
	case h.one(3000, 3):
		a.Status = "closed"
	}
	a.Named = a.Employees >= 5000 && h.one(13, 4)
	if at, ok := byHand[a.Name+"|"+a.Country]; ok {
		a.Employees, a.Named = at.employees, at.named
		a.Status = "prospect"
		if at.industry != "" {
			a.Industry = at.industry
		}
	}
	a.Owner = reps[a.Country]
	return a
}

// draw is a source of fixed chance: what it says depends on the name it was made from and on nothing else.
type draw uint64

// hash makes a draw. FNV-1a with a final mix: maphash would differ from process to process.
func hash(parts ...string) draw {
	h := uint64(14695981039346656037)
	for _, p := range parts {
		for i := range len(p) {
			h = (h ^ uint64(p[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211
	}
	return draw(h)
}

// n returns a number below limit. Different salts give independent numbers.
func (d draw) n(limit int, salt uint64) int {
	x := uint64(d) + salt*0x9e3779b97f4a7c15
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	x ^= x >> 31
	return int(x % uint64(limit))
}

// one reports true once in every limit draws.
func (d draw) one(limit int, salt uint64) bool { return d.n(limit, salt) == 0 }

// pick returns one of the list.
func pick[T any](d draw, list []T, salt uint64) T { return list[d.n(len(list), salt)] }

// employees draws a headcount: many small organisations and few large ones.
func employees(d draw) int64 {
	p := d.n(1000, 10)
	within := func(from, to int64) int64 { return from + int64(d.n(int(to-from), 11)) }
	switch {
	case p < 350:
		return within(3, 50)
	case p < 680:
		return within(50, 250)
	case p < 880:
		return within(250, 1000)
	case p < 965:
		return within(1000, 5000)
	case p < 995:
		return within(5000, 20_000)
	}
	return within(20_000, 90_000)
}

// industries are guessed from the words of the name; of two that fit, the earlier in this list counts. A word of four
// letters or more stands for every word that begins with it.
var industries = []struct{ name, words string }{
	{"health", "hospital clinic clinique clínica klinik klinikum health medical medicine medic pharma hôpital hospices krankenhaus ziekenhuis dental nhs care physicians therap biotech biolog biomed cancer surg spital"},
	{"education", "univ college collège school academy académie hochschule fachhochschule escuela école education isd schule polytech lycée"},
	{"research", "institut istituto research laborat foundation stiftung fundaci fondation fondazione museum science scientif recherch society société association centre zentrum observator max fraunhofer"},
	{"finance", "bank banco banque capital financ insurance invest credit fund asset securities mortgage trading wealth versicherung"},
	{"public", "ministry ministère minister ministerio city county council department agency government municipal authority landkreis stadt gemeinde région region"},
	{"energy", "energy energie power oil gas solar petrol electric hydro nuclear wind"},
	{"technology", "tech software data system digital cyber computer cloud network semiconductor solutions it ai info web"},
	{"retail", "retail store market restaurant food hotel fashion apparel shop coffee jewel diamond"},
	{"transport", "logistic transport air airlines rail railway shipping freight express trucking marine"},
	{"manufacturing", "industr manufactur mfg chemical steel motor auto machin engineer material plastic product gmbh ag kk"},
}

// otherIndustry is that of names that give no hint.
const otherIndustry = "services"

// industryWords finds the words of industries by their first four letters, which is all of a shorter word.
var industryWords = func() map[string][]industryWord {
	out := map[string][]industryWord{}
	for rank, i := range industries {
		for _, w := range strings.Fields(i.words) {
			out[head(w)] = append(out[head(w)], industryWord{w, rank})
		}
	}
	return out
}()

type industryWord struct {
	word string
	rank int
}

func head(w string) string { return w[:min(4, len(w))] }

func industry(name string) string {
	best := len(industries)
	for w := range strings.FieldsFuncSeq(strings.ToLower(name), func(r rune) bool { return r == ' ' || r == ',' || r == '-' || r == '.' || r == '(' }) {
		for _, c := range industryWords[head(w)] {
			if c.rank < best && (w == c.word || len(c.word) >= 4 && strings.HasPrefix(w, c.word)) {
				best = c.rank
			}
		}
	}
	if best == len(industries) {
		return otherIndustry
	}
	return industries[best].name
}

// attributes are those of an account the demo needs to be a certain way.
type attributes struct {
	employees int64
	named     bool
	industry  string
}

// byHand are accounts most readers know, reserved to direct sales, and those of the examples, whose whole point is
// what they are. The figures are rough and prove nothing.
var byHand = map[string]attributes{
	"Siemens|DE": {310_000, true, "manufacturing"}, namedName + "|DE": {99_000, true, "energy"}, "Siemens Healthineers|DE": {71_000, true, "health"},
	"BMW|DE": {150_000, true, "manufacturing"}, "Volkswagen Group|DE": {660_000, true, "manufacturing"}, "Carl Zeiss|DE": {43_000, true, "manufacturing"},
	"Infineon Technologies|DE": {58_000, true, "technology"}, "Bayer|DE": {95_000, true, "health"}, "Daimler Truck|DE": {100_000, true, "manufacturing"},
	"Airbus|FR": {130_000, true, "manufacturing"}, "Thales|FR": {80_000, true, "technology"}, "Sanofi|FR": {86_000, true, "health"},
	"Plastic Omnium|FR": {37_000, true, "manufacturing"}, "Novartis|CH": {76_000, true, "health"}, "Roche|CH": {100_000, true, "health"},
	"Philips|NL": {69_000, true, "health"}, "ASML|NL": {42_000, true, "technology"}, "Shell|NL": {100_000, true, "energy"},
	"AstraZeneca|GB": {89_000, true, "health"}, "Rolls-Royce|GB": {42_000, true, "manufacturing"}, "Vodafone|GB": {93_000, true, "technology"},
	"Nokia|FI": {80_000, true, "technology"}, "Volvo Cars|SE": {43_000, true, "manufacturing"}, "Norsk Hydro|NO": {33_000, true, "manufacturing"},
	"Toyota Group|JP": {375_000, true, "manufacturing"}, "Hitachi|JP": {270_000, true, "manufacturing"}, "Sony|JP": {113_000, true, "technology"},
	"Fujitsu|JP": {124_000, true, "technology"}, "NEC|JP": {105_000, true, "technology"}, "Mitsubishi Electric|JP": {149_000, true, "manufacturing"},
	"Loblaw Companies|CA": {220_000, true, "retail"}, "Google LLC|US": {180_000, true, "technology"}, "Apple Inc|US": {160_000, true, "technology"},
	"3M Company|US": {61_000, true, "manufacturing"}, "Nike Inc|US": {79_000, true, "retail"}, "Mayo Clinic|US": {76_000, true, "health"},
	"Honeywell International Inc|US": {95_000, true, "manufacturing"}, "Nvidia Corporation|US": {36_000, true, "technology"},
	"JPMorgan Chase & Co|US": {317_000, true, "finance"}, "Merck & Co Inc|US": {73_000, true, "health"}, "Ford Motor Company|US": {171_000, true, "manufacturing"},
	"Caterpillar Inc|US": {113_000, true, "manufacturing"}, "Chevron Corporation|US": {45_000, true, "energy"}, "Boeing Company|US": {172_000, true, "manufacturing"},
	"Adobe Inc|US": {31_000, true, "technology"}, "Whirlpool Corporation|US": {44_000, true, "manufacturing"}, "Cummins Inc|US": {70_000, true, "manufacturing"},
	"Pfizer Inc|US": {81_000, true, "health"}, "PepsiCo Inc|US": {319_000, true, "retail"}, "Starbucks Coffee Company|US": {361_000, true, "retail"},

	cleanName + "|DE":  {820, false, "manufacturing"},
	directName + "|DE": {640, false, "manufacturing"},
}
