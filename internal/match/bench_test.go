package match

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// coined makes n organisations whose vocabulary grows as a real one does: a coined brand, common tails, a place.
func coined(n int) func(func(Record) bool) {
	return func(yield func(Record) bool) {
		rng := rand.New(rand.NewPCG(5, 6))
		syllables := []string{"ka", "lo", "mi", "ter", "son", "vi", "ra", "den", "pol", "us", "ne", "xi", "bar", "to", "ser", "an", "quo", "li", "mar", "fen"}
		tails := []string{"services", "solutions", "international", "technologies", "group", "systems", "consulting", "health care", "manufacturing", "partners"}
		for i := range n {
			name := ""
			for range 2 + rng.IntN(3) {
				name += syllables[int(float64(len(syllables))*rng.Float64()*rng.Float64())]
			}
			if rng.IntN(2) == 0 {
				name += " " + tails[rng.IntN(len(tails))]
			}
			if rng.IntN(3) == 0 {
				name += " " + tails[rng.IntN(len(tails))]
			}
			r := Record{ID: fmt.Sprintf("a%07d", i), Names: []string{name + " Inc"}, Country: "US", Region: "US-TX", City: fmt.Sprintf("City %d", rng.IntN(500)), PostalCode: fmt.Sprint(10000 + rng.IntN(9000))}
			if !yield(r) {
				return
			}
		}
	}
}

const benchRecords = 150_000

// BenchmarkSearch reports processor time per search with all fields, and bytes per record of the index.
func BenchmarkSearch(b *testing.B) {
	m := Default()
	x := NewIndex(m)
	x.Load(coined(benchRecords))
	var queries []*Query
	for r := range coined(2000) {
		r.Names[0] = r.Names[0][:2] + r.Names[0][3:] // a letter lost
		queries = append(queries, m.Prepare(r))
	}
	took := make([]time.Duration, 0, 1<<16)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		t := time.Now()
		x.Search(queries[i%len(queries)], Options{})
		took = append(took, time.Since(t))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(x.Bytes())/benchRecords, "B/record")
}

// BenchmarkPrepare reads one record.
func BenchmarkPrepare(b *testing.B) {
	m := Default()
	r := Record{Names: []string{"Guangzhou Haige Communication Group Co., Ltd. (formerly Haige)"}, Domains: []string{"www.haige.com.cn"}, Country: "CN", City: "Guangzhou"}
	b.ReportAllocs()
	for b.Loop() {
		m.Prepare(r)
	}
}
