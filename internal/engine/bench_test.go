package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/world"
)

// BenchmarkRegister files registrations of real organisations, under many spellings, 16 at a time.
func BenchmarkRegister(b *testing.B) {
	var accounts []*deal.Account
	for a := range world.Accounts() {
		accounts = append(accounts, a)
	}
	e := newBench(b, accounts...)
	rng := rand.New(rand.NewPCG(5, 6))
	filings := make([]deal.Filing, 4096)
	for i := range filings {
		a := accounts[rng.IntN(len(accounts))]
		filings[i] = filing(fmt.Sprintf("P-%d", 1+i%40), deal.Customer{Name: world.Spell(rng, a.Name), Country: a.Country, Region: a.Region, City: a.City, Domain: a.Domain})
	}
	b.SetParallelism(8)
	b.ReportAllocs()
	b.ResetTimer()
	n := make(chan int, 1)
	n <- 0
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := <-n
			n <- i + 1
			f := filings[i%len(filings)]
			if _, err := e.Register(context.Background(), request("key_bench", fmt.Sprint(i), f), f); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
