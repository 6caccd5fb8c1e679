package world

import (
	"fmt"
	"iter"
	"strings"

	"github.com/dibs-deals/dibs/internal/deal"
)

// Crowd makes any number of distinct organisations of some real ones, for measuring at the size of a large vendor. The
// first are those themselves. Each further one has the name of one of them with its telling word replaced: by that of
// another, as namesakes have in life, or by one coined of two, as a vocabulary grows with its corpus; and a place and,
// with most, a domain to go with it. Account i is the same in every run.
type Crowd struct {
	base []*deal.Account
	tell []string // the word of each name that tells it from others
}

// NewCrowd returns a crowd that begins with base, which it keeps.
func NewCrowd(base []*deal.Account) *Crowd {
	count := map[string]int{}
	for _, a := range base {
		for w := range strings.FieldsSeq(deal.Fold(a.Name)) {
			count[w]++
		}
	}
	c := &Crowd{base: base, tell: make([]string, len(base))}
	for i, a := range base {
		for w := range strings.FieldsSeq(a.Name) {
			if t := c.tell[i]; len(w) >= 3 && (t == "" || count[deal.Fold(w)] < count[deal.Fold(t)]) {
				c.tell[i] = w
			}
		}
	}
	return c
}

// Accounts yields the first n.
func (c *Crowd) Accounts(n int) iter.Seq[*deal.Account] {
	return func(yield func(*deal.Account) bool) {
		for i := range n {
			if !yield(c.Account(i)) {
				return
			}
		}
	}
}

// Account returns the i-th, from 0.
func (c *Crowd) Account(i int) *deal.Account {
	if i < len(c.base) {
		return c.base[i]
	}
	d := hash("crowd", fmt.Sprint(i))
	at := d.n(len(c.base), 1)
	like, place := c.base[at], pick(d, c.base, 2)
	word := pick(d, c.tell, 3)
	if d.one(2, 4) {
		word = coin(word, pick(d, c.tell, 5))
	}
	a := &deal.Account{ID: fmt.Sprintf("ACC-%08d", i+1), Name: word + " " + like.Name, Country: place.Country, Region: place.Region, City: place.City, PostalCode: place.PostalCode,
		Industry: like.Industry, Employees: employees(d), Status: place.Status, Owner: place.Owner}
	if t := c.tell[at]; t != "" && word != "" && !d.one(5, 6) {
		a.Name = strings.Replace(like.Name, t, word, 1) // a sister in name; one in five is new
	}
	a.Name = strings.TrimSpace(a.Name)
	if place.Domain != "" && !d.one(4, 7) {
		site := strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, strings.ToLower(a.Name))
		if len(site) > 2 {
			a.Domain = site[:min(len(site), 20)] + place.Domain[strings.LastIndexByte(place.Domain, '.'):]
		}
	}
	return a
}

// coin puts the beginning of one word before the end of another.
func coin(a, b string) string {
	x, y := []rune(a), []rune(b)
	return string(x[:(len(x)+1)/2]) + strings.ToLower(string(y[len(y)/2:]))
}
