// Command world makes the accounts of the demo world, internal/world/accounts.tsv.gz, from two public sets of real
// organisations: the Research Organization Registry (ror.org, CC0) and the employers of the H-1B data hub of US
// Citizenship and Immigration Services (public domain).
//
//	go run ./tools/world -out internal/world/accounts.tsv.gz DATA
//
// DATA is a directory with ror/accounts.csv, ror/queries_full.csv, pairs/parent_child.csv and h1b/accounts.csv as
// internal/world/README.md describes them. The same input gives the same output: what is left out is left out by
// rule, and the sample is drawn by a hash of the name.
//
// The output holds nothing but what the sets say of an organisation, brought into one form: names in capitals are
// set in mixed case, "(Germany)" behind a company's name goes, regions become ISO 3166-2. Everything else an account
// has in the demo is made up by package world.
package main

import (
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	h1bRows = 35_000
	// The H-1B set cuts names at 34 characters; what is that long may have lost its end.
	h1bLongest = 33
	// perDomain is how many organisations of one domain are kept. Universities list every institute under theirs;
	// no vendor keeps those as accounts.
	perDomain  = 3
	maxAliases = 3
)

// countries are those of the demo's territory plan.
var countries = strings.Fields("JP FR GB DE CA ES AU IT NL CH FI PL SE CZ AT BE NO DK NZ IE PT KR BR MX IN SG LU HU GR ZA AR CL")

type org struct {
	source                                            string // its id in the set it is from
	name, domain, country, region, city, postal, core string
	aliases                                           []string
	parent                                            *org
	row                                               int
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("world: ")
	out := flag.String("out", "accounts.tsv.gz", "file to write")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("give the data directory")
	}
	data := flag.Arg(0)

	orgs := append(fromROR(data), fromH1B(data)...)
	slices.SortFunc(orgs, func(a, b *org) int {
		return cmp.Or(cmp.Compare(a.country, b.country), cmp.Compare(a.region, b.region), cmp.Compare(a.city, b.city), cmp.Compare(a.name, b.name))
	})
	for i, o := range orgs {
		o.row = i + 1
	}
	n, err := write(*out, orgs)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("%d organisations, %d bytes", len(orgs), n)
}

func write(path string, orgs []*org) (int64, error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err != nil {
		return 0, err
	}
	for _, o := range orgs {
		parent := ""
		if o.parent != nil && o.parent.row > 0 {
			parent = strconv.Itoa(o.parent.row)
		}
		fmt.Fprintln(z, strings.Join([]string{o.name, strings.Join(o.aliases, ";"), o.domain, o.country, o.region, o.city, o.postal, parent}, "\t"))
	}
	if err := z.Close(); err != nil {
		return 0, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	return size, f.Close()
}

var (
	inCountry = regexp.MustCompile(` \((Czechia|Korea|Türkiye|The Netherlands|[A-Z][a-z]+( [A-Z][a-z]+)*)\)$`)
	hasLetter = regexp.MustCompile(`\pL{3}`)
)

func fromROR(data string) []*org {
	byID := map[string]*org{}
	var all []*org
	for _, r := range table(data, "ror/accounts.csv") {
		name := inCountry.ReplaceAllString(clean(r["name"]), "")
		if !slices.Contains(countries, r["country"]) || !usable(name, 90) {
			continue
		}
		o := &org{source: r["id"], name: name, domain: r["domain"], country: r["country"], city: clean(r["city"])}
		o.core = core(name) + "|" + o.country
		all = append(all, o)
	}
	// The best known of a domain first: the ones with the shortest names are the organisations, not their parts.
	slices.SortFunc(all, func(a, b *org) int {
		return cmp.Or(cmp.Compare(len(a.name), len(b.name)), cmp.Compare(a.source, b.source))
	})
	domains, cores := map[string]int{}, map[string]bool{}
	var out []*org
	for _, o := range all {
		if cores[o.core] || o.domain != "" && domains[o.domain] >= perDomain {
			continue
		}
		cores[o.core] = true
		domains[o.domain]++
		byID[o.source] = o
		out = append(out, o)
	}
	for _, r := range table(data, "ror/queries_full.csv") {
		o := byID[r["truth"]]
		name := inCountry.ReplaceAllString(clean(r["name"]), "")
		if o == nil || len(o.aliases) >= maxAliases || strings.ContainsAny(name, ";\t") || name == o.name || slices.Contains(o.aliases, name) {
			continue
		}
		switch r["class"] {
		case "alias", "alias_nonlatin", "label", "label_nonlatin":
			o.aliases = append(o.aliases, name)
		case "acronym":
			if utf8.RuneCountInString(name) >= 4 { // a shorter one is shared by too many to help anybody
				o.aliases = append(o.aliases, name)
			}
		}
	}
	relate(data, out)
	return out
}

// relate sets parents by ROR's relations. The pairs do not say which is which; of two, the one with more relations is
// taken for the parent, and where that does not tell, neither.
func relate(data string, orgs []*org) {
	byName := map[string]*org{}
	for _, o := range orgs {
		byName[o.name+"|"+o.country] = o
	}
	pairs := table(data, "pairs/parent_child.csv")
	degree := map[*org]int{}
	end := func(r map[string]string, side string) *org {
		return byName[inCountry.ReplaceAllString(clean(r["name_"+side]), "")+"|"+r["country_"+side]]
	}
	for _, r := range pairs {
		if a, b := end(r, "a"), end(r, "b"); a != nil && b != nil && r["expect"] == "related" {
			degree[a]++
			degree[b]++
		}
	}
	for _, r := range pairs {
		a, b := end(r, "a"), end(r, "b")
		if a == nil || b == nil || a == b || r["expect"] != "related" {
			continue
		}
		if degree[a] > degree[b] {
			a, b = b, a
		}
		if degree[a] < degree[b] && a.parent == nil {
			a.parent = b
		}
	}
}

func fromH1B(data string) []*org {
	best := map[string]*org{}
	for _, r := range table(data, "h1b/accounts.csv") {
		name, region := clean(r["name"]), r["region"]
		if !usable(name, h1bLongest) || strings.Contains(name, "DBA") || strings.ContainsAny(name, "/#@*\\") || strings.Contains("GU MP VI", region) {
			continue
		}
		o := &org{source: r["id"], name: mixedCase(name), country: "US", region: "US-" + region, city: mixedCase(clean(r["city"])), postal: r["postal_code"]}
		o.core = core(name)
		if have := best[o.core]; have == nil || o.source < have.source {
			best[o.core] = o
		}
	}
	out := make([]*org, 0, len(best))
	for _, o := range best {
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b *org) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.core, b.core))
	})
	return out[:min(h1bRows, len(out))]
}

// rank puts the organisations a reader knows first, and orders the rest by a hash: a sample that does not depend on
// the order of the input.
func rank(o *org) uint64 {
	if slices.Contains(known, o.core) {
		return 0
	}
	h := fnv.New64a()
	_, _ = io.WriteString(h, o.core) // never fails
	return h.Sum64() | 1
}

// known are H-1B employers most readers have heard of, by core. They make the demo's named accounts recognisable.
var known = strings.Split("intel|apple|google|microsoft|nvidia|boeing|ford motor|general motors|caterpillar|chevron|chevron usa|exxon mobil|fedex|"+
	"pfizer|merck and|mayo clinic|harvard university|honeywell international|lockheed martin|adobe|tesla|starbucks coffee|nike|delta air lines|"+
	"cargill|3m|emerson electric|cummins|whirlpool|deere and|oracle america|pepsico|jpmorgan chase and|goldman sachs and|google public sector", "|")

// table reads a CSV file as maps by column.
func table(data, name string) []map[string]string {
	f, err := os.Open(filepath.Join(data, name))
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		log.Fatalf("%s: %v", name, err)
	}
	var out []map[string]string
	for _, row := range rows[1:] {
		m := map[string]string{}
		for i, column := range rows[0] {
			m[column] = row[i]
		}
		out = append(out, m)
	}
	return out
}

// clean makes one line of a text, with single spaces.
func clean(s string) string { return strings.Join(strings.Fields(s), " ") }

// usable reports whether a name is one a person would recognise as an organisation's.
func usable(name string, longest int) bool {
	n := utf8.RuneCountInString(name)
	if n < 3 || n > longest || !hasLetter.MatchString(name) && name != "3M COMPANY" || strings.HasPrefix(name, "#") {
		return false
	}
	digits := 0
	for _, r := range name {
		if unicode.IsDigit(r) {
			digits++
		}
		if unicode.IsControl(r) || r == utf8.RuneError {
			return false
		}
	}
	return digits*3 <= n
}

var legal = strings.Fields("inc incorporated llc llp lp lllp pllc pc pa corp corporation co company ltd limited plc")

// core is what a name is told apart by here: lower case, without punctuation and legal forms.
func core(name string) string {
	words := strings.FieldsFunc(strings.ReplaceAll(strings.ToLower(name), "&", " and "), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for len(words) > 1 && slices.Contains(legal, words[len(words)-1]) {
		words = words[:len(words)-1]
	}
	return strings.Join(words, " ")
}

var (
	small    = strings.Fields("of and the for in at to on by de la del")
	ownCase  = map[string]string{"JPMORGAN": "JPMorgan", "PEPSICO": "PepsiCo", "EXXONMOBIL": "ExxonMobil", "FEDEX": "FedEx"}
	capitals = strings.Fields("LLC LLP LP LLLP PLLC PC PA PLC USA US UK NYC IT AI IBM II III IV NA SA AG")
)

// mixedCase sets a text in capitals the way its owner might: words without a vowel are read letter by letter and stay.
func mixedCase(s string) string {
	words := strings.Split(s, " ")
	for i, w := range words {
		lower := strings.ToLower(w)
		switch {
		case slices.Contains(capitals, w):
		case ownCase[w] != "":
			words[i] = ownCase[w]
		case i > 0 && slices.Contains(small, lower):
			words[i] = lower
		case w == "LTD" || w == "MFG" || w == "MGT" || w == "MGMT" || w == "SVCS" || w == "CTR" || w == "ST" || w == "DR" || w == "MT" || w == "FT":
			words[i] = w[:1] + strings.ToLower(w[1:])
		case !strings.ContainsAny(w, "AEIOUY"):
		case len(w) > 4 && strings.HasPrefix(w, "MC"):
			words[i] = "Mc" + w[2:3] + lower[3:]
		default:
			words[i] = title(lower)
		}
	}
	return strings.Join(words, " ")
}

// title capitalises the first letter of each part of a hyphenated word.
func title(w string) string {
	up := true
	return strings.Map(func(r rune) rune {
		if up && unicode.IsLetter(r) {
			up = false
			return unicode.ToUpper(r)
		}
		up = r == '-' || r == '.'
		return r
	}, w)
}
