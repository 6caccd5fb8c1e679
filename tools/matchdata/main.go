// Command matchdata writes the word lists the matcher embeds from published reference lists.
//
//	go run ./tools/matchdata REFERENCE internal/match/model
//
// Beside REFERENCE lie h1b/accounts.csv and ror/accounts.csv, whose cities are read. REFERENCE holds org_token_document_frequency.tsv, legal_forms_rigour_org_types.json, org_words_rigour_symbols.json,
// territories_rigour.jsonl, gleif_elf_codes_1.4.1.csv, free_email_domains.json and disposable_email_domains.txt. Run it
// when a list has a new edition; the matcher's digest, and so every decision's record of it, changes with the files.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dibs-deals/dibs/internal/match"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: matchdata REFERENCE MODEL")
		os.Exit(2)
	}
	from, to := os.Args[1], os.Args[2]
	for file, content := range map[string]func(string) ([]byte, error){
		"words.tsv.gz":      words,
		"legal_forms.tsv":   legalForms,
		"synonyms.tsv":      synonyms,
		"places.txt.gz":     places,
		"towns.txt.gz":      towns,
		"mail_hosts.txt.gz": mailHosts,
	} {
		b, err := content(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(to, file), b, 0o644)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "matchdata: %s: %v\n", file, err)
			os.Exit(2)
		}
	}
}

// words brings the counted words to the matcher's spelling and adds up those that become one.
func words(from string) ([]byte, error) {
	df := map[string]int{}
	err := lines(filepath.Join(from, "org_token_document_frequency.tsv"), func(l string) {
		f := strings.Split(l, "\t")
		n, err := strconv.Atoi(f[1])
		if w := match.Normalise(f[0]); err == nil && w != "" && !strings.Contains(w, " ") {
			df[w] += n
		}
	})
	keys := slices.SortedFunc(maps.Keys(df), func(a, b string) int { return cmp.Or(df[b]-df[a], strings.Compare(a, b)) })
	var out bytes.Buffer
	for _, w := range keys {
		fmt.Fprintf(&out, "%s\t%d\n", w, df[w])
	}
	return pack(out.Bytes()), err
}

// legalForms writes alias, class and the countries that use it, the countries from the GLEIF list.
func legalForms(from string) ([]byte, error) {
	countries := map[string]map[string]bool{}
	list, err := os.ReadFile(filepath.Join(from, "gleif_elf_codes_1.4.1.csv"))
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(list, []byte("\ufeff")))).ReadAll()
	if err != nil {
		return nil, err
	}
	for _, r := range rows[1:] {
		if r[2] == "" {
			continue
		}
		aliases := append([]string{r[5], r[8]}, strings.Split(r[9]+";"+r[10], ";")...)
		for _, a := range aliases {
			if k := match.Normalise(a); k != "" {
				if countries[k] == nil {
					countries[k] = map[string]bool{}
				}
				countries[k][r[2]] = true
			}
		}
	}
	b, err := os.ReadFile(filepath.Join(from, "legal_forms_rigour_org_types.json"))
	if err != nil {
		return nil, err
	}
	var forms []struct {
		Aliases                   []string
		Display, Compare, Generic string
	}
	if err := json.Unmarshal(b, &forms); err != nil {
		return nil, err
	}
	class := map[string]string{}
	for _, f := range forms {
		// A form is its display name's countries, and so is each of its spellings.
		all := map[string]bool{}
		for _, a := range append([]string{f.Display}, f.Aliases...) {
			maps.Copy(all, countries[match.Normalise(a)])
		}
		for _, a := range append([]string{f.Display, f.Compare}, f.Aliases...) {
			k := match.Normalise(a)
			if k == "" || class[k] != "" {
				continue
			}
			class[k] = cmp.Or(f.Generic, "OTHER")
			if len(countries[k]) == 0 {
				countries[k] = all
			}
		}
	}
	var out bytes.Buffer
	out.WriteString("# alias, class, countries of use. Aliases and classes: rigour org types (OpenSanctions, MIT). Countries: GLEIF ELF code list 1.4.1 (CC0).\n")
	for _, k := range slices.Sorted(maps.Keys(class)) {
		in := slices.Sorted(maps.Keys(countries[k]))
		if len(in) > 12 {
			in = nil // used nearly everywhere: no hint
		}
		fmt.Fprintf(&out, "%s\t%s\t%s\n", k, class[k], strings.Join(in, " "))
	}
	return out.Bytes(), nil
}

// synonyms writes each word of business in any language with the one spelling that stands for it.
func synonyms(from string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(from, "org_words_rigour_symbols.json"))
	if err != nil {
		return nil, err
	}
	var lists map[string]map[string][]string
	if err := json.Unmarshal(b, &lists); err != nil {
		return nil, err
	}
	df := map[string]int{}
	err = lines(filepath.Join(from, "org_token_document_frequency.tsv"), func(l string) {
		f := strings.Split(l, "\t")
		df[f[0]], _ = strconv.Atoi(f[1])
	})
	canon := map[string]string{}
	for _, list := range []string{"org_symbols", "org_domains"} {
		for _, symbol := range slices.Sorted(maps.Keys(lists[list])) {
			group := []string{}
			for _, w := range lists[list][symbol] {
				if n := match.Normalise(w); n != "" && !strings.Contains(n, " ") {
					group = append(group, n)
				}
			}
			if len(group) == 0 {
				continue
			}
			best := slices.MaxFunc(group, func(a, b string) int { return cmp.Or(df[a]-df[b], strings.Compare(b, a)) })
			for _, w := range group {
				if canon[w] == "" && w != best {
					canon[w] = best
				}
			}
		}
	}
	var out bytes.Buffer
	out.WriteString("# word, the spelling that stands for it. From rigour organisation words (OpenSanctions, MIT).\n")
	for _, w := range slices.Sorted(maps.Keys(canon)) {
		fmt.Fprintf(&out, "%s\t%s\n", w, canon[w])
	}
	return out.Bytes(), err
}

// places writes the one-word names of countries and of their first-level parts.
func places(from string) ([]byte, error) {
	seen := map[string]bool{}
	err := lines(filepath.Join(from, "territories_rigour.jsonl"), func(l string) {
		var t struct {
			Name     string
			Names    []string `json:"names_strong"`
			Weak     []string `json:"names_weak"`
			FullName string   `json:"full_name"`
		}
		if json.Unmarshal([]byte(l), &t) != nil {
			return
		}
		for _, n := range append(append(t.Names, t.Name), t.Weak...) {
			if k := match.Normalise(n); len(k) > 3 && !strings.Contains(k, " ") {
				seen[k] = true
			}
		}
	})
	out := "# One-word names of territories. From rigour territories (OpenSanctions, MIT).\n"
	return pack([]byte(out + strings.Join(slices.Sorted(maps.Keys(seen)), "\n") + "\n")), err
}

// towns writes the towns of one word that several organisations are in, without those whose name is a word of business.
func towns(from string) ([]byte, error) {
	business := map[string]bool{}
	err := lines(filepath.Join(from, "org_token_document_frequency.tsv"), func(l string) {
		if f := strings.Split(l, "\t"); len(f) > 1 {
			n, _ := strconv.Atoi(f[1])
			business[match.Normalise(f[0])] = n > 2000
		}
	})
	number := map[string]int{}
	for _, set := range []string{"h1b", "ror"} {
		f, e := os.Open(filepath.Join(from, "..", set, "accounts.csv"))
		if e != nil {
			return nil, e
		}
		rows, e := csv.NewReader(f).ReadAll()
		if err = errors.Join(err, e, f.Close()); err != nil {
			return nil, err
		}
		city := slices.Index(rows[0], "city")
		for _, r := range rows[1:] {
			if k := match.Normalise(r[city]); len(k) > 3 && !strings.Contains(k, " ") && !business[k] {
				number[k]++
			}
		}
	}
	var all []string
	for _, k := range slices.Sorted(maps.Keys(number)) {
		if number[k] >= 5 {
			all = append(all, k)
		}
	}
	out := "# Towns of one word with five organisations or more. From the H-1B employer data hub (US government work) and the Research Organization Registry (CC0).\n"
	return pack([]byte(out + strings.Join(all, "\n") + "\n")), err
}

// mailHosts writes the domains anybody may have an address at.
func mailHosts(from string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(from, "free_email_domains.json"))
	if err != nil {
		return nil, err
	}
	var hosts []string
	if err := json.Unmarshal(b, &hosts); err != nil {
		return nil, err
	}
	err = lines(filepath.Join(from, "disposable_email_domains.txt"), func(l string) { hosts = append(hosts, strings.TrimSpace(l)) })
	slices.Sort(hosts)
	return pack([]byte(strings.Join(slices.Compact(hosts), "\n") + "\n")), err
}

func lines(path string, visit func(string)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		visit(s.Text())
	}
	return s.Err()
}

// pack compresses without a time stamp, so that the same lists give the same digest.
func pack(b []byte) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(b)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		panic(err) // a constant level, and memory: neither fails
	}
	return out.Bytes()
}
