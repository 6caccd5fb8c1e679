// Command matchfit fits the matcher's weights to labelled data and writes weights.json.
//
//	go run ./tools/matchfit DATA internal/match/model/weights.json
//
// DATA holds h1b/ and ror/ (and pairs/parent_child.csv), each with accounts.csv, queries.csv (held out: its names are not learnt from) and
// queries_full.csv, with the columns id, truth, class, name, domain, country, region, city, postal_code. Half the
// searches are learnt with names alone, half with all fields. To these come spellings made of the accounts by the
// errors of people who type: letters, legal forms, abbreviations, word order, cut fields. What the sum
// of the weights is worth is calibrated on searches by weights that were learnt without them.
package main

import (
	"encoding/csv"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dibs-deals/dibs/internal/match"
)

func main() {
	perSet := flag.Int("n", 6000, "searches to learn from in each set")
	version := flag.Int("version", 1, "version to write")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: matchfit [-n N] [-version V] DATA WEIGHTS")
		os.Exit(2)
	}
	if err := fit(flag.Arg(0), flag.Arg(1), *perSet, *version); err != nil {
		fmt.Fprintln(os.Stderr, "matchfit:", err)
		os.Exit(2)
	}
}

type row struct {
	match.Record
	truth, class string
}

func fit(data, out string, perSet, version int) error {
	m := match.Default()
	t := match.NewTrainer(m)
	for _, set := range []struct {
		name    string
		weight  float64 // of one search with all fields
		nameToo float64 // of one search by name alone
		made    float64 // of one made spelling
	}{{"h1b", 1, 1, 2}, {"ror", 0.7, 0.25, 1}} {
		accounts, err := read(filepath.Join(data, set.name, "accounts.csv"))
		if err != nil {
			return err
		}
		held, err := read(filepath.Join(data, set.name, "queries.csv"))
		if err != nil {
			return err
		}
		queries, err := read(filepath.Join(data, set.name, "queries_full.csv"))
		if err != nil {
			return err
		}
		heldOut := map[string]bool{}
		for _, h := range held {
			heldOut[match.Normalise(h.Names[0])] = true
		}
		queries = slices.DeleteFunc(queries, func(q row) bool {
			// What has no trace in the name teaches only that anything can be anything.
			return heldOut[match.Normalise(q.Names[0])] || q.class == "renamed" || strings.HasSuffix(q.class, "unrelated") || q.class == "acronym"
		})
		rng := rand.New(rand.NewPCG(1, 2))
		rng.Shuffle(len(queries), func(i, j int) { queries[i], queries[j] = queries[j], queries[i] })
		// As many searches without an answer as with one, as deal forms name both known accounts and prospects.
		var with, without []row
		for _, q := range queries {
			if q.truth == "" {
				without = append(without, q)
			} else {
				with = append(with, q)
			}
		}
		n := min(perSet/2, len(with))
		with, without = with[:n], without[:min(n, len(without))]
		x := match.NewIndex(m)
		x.Load(func(yield func(match.Record) bool) {
			for _, a := range accounts {
				if !yield(a.Record) {
					return
				}
			}
		})
		learn := func(rows []row, balance float64) {
			for _, q := range rows {
				t.Search(x, q.Record, q.truth, set.weight*balance)
				t.Search(x, match.Record{Names: q.Names}, q.truth, set.nameToo*balance)
			}
		}
		learn(with, 1)
		learn(without, float64(len(with))/float64(max(1, len(without))))
		for range perSet / 4 {
			a := accounts[rng.IntN(len(accounts))]
			q := a.Record
			q.Names = []string{misspell(rng, q.Names[0])}
			for _, f := range []*string{&q.Country, &q.Region, &q.City, &q.PostalCode} {
				if rng.IntN(3) == 0 {
					*f = ""
				}
			}
			if rng.IntN(2) == 0 {
				q.Domains = nil
			}
			t.Spelling(x, q, a.ID, set.made)
			t.Spelling(x, match.Record{Names: q.Names}, a.ID, set.made/2)
		}
		fmt.Fprintf(os.Stderr, "%s: %d searches with an answer, %d without\n", set.name, len(with), len(without))
	}
	if err := learnRelatives(t, data); err != nil {
		return err
	}
	b, err := t.Fit(version, "H-1B employers and ROR organisations, half by name alone; made spellings of both; relations: half of parent_child against pairs drawn at random")
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(b, '\n'), 0o644)
}

// learnRelatives learns from every other pair of a parent and its part; the rest are for measuring. Strangers are drawn at random from the
// organisations of ROR and H-1B, half of them with their countries.
func learnRelatives(t *match.Trainer, data string) error {
	f, err := os.Open(filepath.Join(data, "pairs", "parent_child.csv"))
	if err != nil {
		return err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return fmt.Errorf("parent_child.csv: %w", err)
	}
	for i, cells := range rows[1:] {
		get := func(column string) string { return cells[slices.Index(rows[0], column)] }
		if i%2 == 0 {
			t.Related(match.Record{ID: "a", Names: []string{get("name_a")}, Country: get("country_a")}, match.Record{ID: "b", Names: []string{get("name_b")}, Country: get("country_b")}, true)
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for _, set := range []string{"h1b", "ror"} {
		all, err := read(filepath.Join(data, set, "accounts.csv"))
		if err != nil {
			return err
		}
		for i := range 5000 {
			a, b := all[rng.IntN(len(all))], all[rng.IntN(len(all))]
			if i%2 == 0 {
				a.Country, b.Country = "", ""
			}
			if a.ID != b.ID {
				t.Related(match.Record{ID: "a", Names: a.Names, Country: a.Country}, match.Record{ID: "b", Names: b.Names, Country: b.Country}, false)
			}
		}
	}
	return nil
}

// misspell makes one or two of the errors people make.
func misspell(rng *rand.Rand, s string) string {
	for range 1 + rng.IntN(2) {
		w := strings.Fields(s)
		if len(w) == 0 {
			return s
		}
		switch rng.IntN(8) {
		case 0, 1: // a letter
			i := rng.IntN(len(w))
			if r := []rune(w[i]); len(r) >= 5 {
				k := 1 + rng.IntN(len(r)-2)
				switch rng.IntN(4) {
				case 0:
					r = slices.Delete(r, k, k+1)
				case 1:
					r = slices.Insert(r, k, r[k])
				case 2:
					r[k], r[k-1] = r[k-1], r[k]
				default:
					r[k] = rune('a' + rng.IntN(26))
				}
				w[i] = string(r)
			}
		case 2: // case
			w[0] = strings.ToUpper(s)
			w = w[:1]
		case 3: // the legal form
			forms := []string{"Inc", "LLC", "Ltd", "Corp.", "Co", ""}
			if last := strings.ToLower(strings.Trim(w[len(w)-1], ".,")); len(w) > 1 && slices.Contains([]string{"inc", "llc", "ltd", "corp", "co", "limited", "corporation"}, last) {
				w = w[:len(w)-1]
			}
			w = append(w, forms[rng.IntN(len(forms))])
		case 4: // an abbreviation
			for i := range w {
				if a, ok := abbreviated[strings.ToLower(w[i])]; ok {
					w[i] = a
				}
			}
		case 5: // word order
			if len(w) > 1 {
				w = append(w[1:], w[0])
			}
		case 6: // a cut field
			if s := strings.Join(w, " "); len(s) > 30 {
				w = []string{strings.ToValidUTF8(s[:30], "")}
			}
		case 7: // a space lost
			if len(w) > 2 {
				i := rng.IntN(len(w) - 1)
				w[i] += w[i+1]
				w = slices.Delete(w, i+1, i+2)
			}
		}
		s = strings.Join(w, " ")
	}
	return s
}

var abbreviated = map[string]string{"international": "Intl", "services": "Svcs", "manufacturing": "Mfg", "technologies": "Tech", "technology": "Tech", "university": "Univ",
	"management": "Mgmt", "group": "Grp", "systems": "Sys", "solutions": "Soln", "center": "Ctr", "hospital": "Hosp", "institute": "Inst", "national": "Natl", "and": "&",
	"laboratories": "Labs", "engineering": "Engg", "associates": "Assoc", "department": "Dept", "development": "Dev", "health": "Hlth"}

func read(path string) ([]row, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := csv.NewReader(f)
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	rows, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	out := make([]row, len(rows))
	for i, cells := range rows {
		get := func(column string) string {
			if k := slices.Index(head, column); k >= 0 {
				return cells[k]
			}
			return ""
		}
		out[i] = row{truth: get("truth"), class: get("class"), Record: match.Record{ID: get("id"), Names: []string{get("name")}, Country: get("country"),
			Region: get("region"), City: get("city"), PostalCode: get("postal_code")}}
		if d := get("domain"); d != "" {
			out[i].Domains = []string{d}
		}
	}
	return out, nil
}
