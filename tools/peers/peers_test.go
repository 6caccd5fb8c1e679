package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/world"
)

// few are real organisations, enough that the peers have something to find.
func few(n int) (out []*deal.Account) {
	for a := range world.Accounts() {
		if out = append(out, a); len(out) == n {
			break
		}
	}
	return out
}

// TestCompare measures every peer on a small list: each finds what it is asked for, as far as it can.
func TestCompare(t *testing.T) {
	text, err := compare(few(1500), "demo", 3000, 0.1, nil)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for l := range strings.Lines(text) {
		cells := strings.Split(l, "|")
		if len(cells) < 12 || strings.Contains(l, "recall@1") || strings.HasPrefix(l, "|---") {
			continue
		}
		rows++
		var n int
		var first, ours, among, cpu float64
		if _, err := fmt.Sscan(strings.Join(cells[2:6], " "), &n, &first, &ours, &among); err != nil {
			t.Fatalf("%s: %v", l, err)
		}
		if _, err := fmt.Sscan(cells[8], &cpu); err != nil {
			t.Fatalf("%s: %v", l, err)
		}
		least := 0.6
		if n < 10 {
			least = 0 // a scan is asked once
		}
		if first < least || among < first || ours < least || first > 1 {
			t.Errorf("%s", l)
		}
	}
	if rows != len(contenders) {
		t.Errorf("%d peers in\n%s", rows, text)
	}
	if _, err := compare(few(10), "", 10, 1, []string{"nobody"}); err == nil {
		t.Error("a peer there is not is measured")
	}
}

// TestList: names differ in more than case, and lists and questions are the same in every run.
func TestList(t *testing.T) {
	a, b := list(few(500), 2000), list(few(500), 2000)
	if !slices.Equal(a, b) {
		t.Error("another list")
	}
	var x, y []string
	for _, q := range questions(a, 50) {
		x = append(x, q)
	}
	for i, q := range questions(b, 50) {
		if y = append(y, q); int(i) >= len(a) {
			t.Errorf("asks for number %d", i)
		}
	}
	if !slices.Equal(x, y) || slices.Equal(x, a[:50]) {
		t.Error("other questions")
	}
}

func TestRanked(t *testing.T) {
	var r ranked
	for i, s := range []float64{1, 5, 3, 9, 2, 8, 4, 7, 6, 0, 10, 5.5} {
		r.offer(uint32(i), s)
	}
	if got := fmt.Sprint(r.at[:r.n]); got != "[10 3 5 7 8 11 1 6 2 4]" {
		t.Error(got)
	}
}
