package policy

import (
	"testing"
	"time"
)

func TestSmoke(t *testing.T) {
	p, err := Compile(Default())
	if err != nil {
		t.Fatal(err)
	}
	f := NewFacts()
	t.Logf("%+v", p.Decide(f, time.Now()))
}
func BenchmarkDefault(b *testing.B) {
	p, err := Compile(Default())
	if err != nil {
		b.Fatal(err)
	}
	f := NewFacts()
	f.Set("partner.active", true)
	f.Set("partner.agreement_signed", true)
	f.Set("partner.authorised_lines", true)
	f.Set("partner.authorised_country", true)
	b.ReportAllocs()
	for b.Loop() {
		p.Decide(f, time.Now())
	}
}
