package match

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// labelled gives the fitting searches and pairs of made-up firms, in which telling is the city: two of one name in two cities are two.
func (f *Fitting) labels(n int) {
	x := NewIndex(f.from)
	firm := func(i int, city string) Record {
		return Record{ID: fmt.Sprint(i, city), Names: []string{fmt.Sprintf("Quor%stek Zal%s GmbH", sound(i), sound(i*7+3))}, Country: "DE", City: city}
	}
	for i := range n {
		x.Upsert(firm(i, "Hamburg"))
	}
	for i := range n {
		city, truth := "Hamburg", fmt.Sprint(i, "Hamburg")
		if i%2 == 0 {
			city, truth = "Passau", ""
		}
		q := firm(i, city)
		q.ID = "q"
		f.Search(x, q, truth)
		f.Pair(q, firm(i, "Hamburg"), truth != "")
	}
}

func sound(i int) string {
	var b strings.Builder
	for range 4 {
		b.WriteByte("bdfgklmnprst"[i%12])
		b.WriteByte("aeiou"[i%5])
		i = i/2*7 + 1
	}
	return b.String()
}

// TestFitting learns what the labels say, keeps the rest, and says how it does on what it has not seen.
func TestFitting(t *testing.T) {
	f := NewFitting(Default(), 0.25)
	f.labels(400)
	file, r, err := f.Fit("firms", 7, "made up")
	if err != nil {
		t.Fatal(err)
	}
	if n := r.Learnt.Searches + r.HeldBack.Searches; n != 400 || r.HeldBack.Searches < 60 || r.HeldBack.Searches > 140 || r.HeldBack.Pairs != r.HeldBack.Searches {
		t.Errorf("%+v", r)
	}
	for _, kind := range []string{"searches", "pairs"} {
		if was, is := r.From[kind], r.Fitted[kind]; is.F1 < 0.97 || is.Same <= was.Same || is.ECE > 0.05 || is.ECE >= was.ECE {
			t.Errorf("%s: from %+v to %+v", kind, was, is)
		}
	}
	m, err := New(file)
	if err != nil {
		t.Fatal(err)
	}
	if ref := m.Ref(); ref.Name != "firms" || ref.Version != 7 || ref.Digest == Default().Ref().Digest || !strings.HasPrefix(ref.Digest, "sha256:") {
		t.Errorf("it is %+v", ref)
	}
	if w, was := m.weights.vector, Default().weights.vector; w[fCityOther] >= was[fCityOther] || w[fTaxSame] != was[fTaxSame] || w[fDomainSame] != was[fDomainSame] {
		t.Errorf("another city %.2f, was %.2f; what no label has moved: %.2f %.2f", w[fCityOther], was[fCityOther], w[fTaxSame], w[fDomainSame])
	}
	again := NewFitting(Default(), 0.25)
	again.labels(400)
	if same, _, err := again.Fit("firms", 7, "made up"); err != nil || !bytes.Equal(same, file) {
		t.Errorf("fitted again it is another, %v", err)
	}
}

func TestFittingTooLittle(t *testing.T) {
	f := NewFitting(Default(), 0)
	f.labels(30)
	if _, _, err := f.Fit("firms", 7, ""); err != nil {
		t.Errorf("60 labels: %v", err)
	}
	f = NewFitting(Default(), 0)
	f.labels(10)
	if _, _, err := f.Fit("firms", 7, ""); err == nil || !strings.Contains(err.Error(), "at least 20 of each") {
		t.Errorf("20 labels: %v", err)
	}
}

// TestNew refuses what is not a model, and says why.
func TestNew(t *testing.T) {
	good, err := modelFiles.ReadFile("model/weights.json")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := New(good); err != nil || m.Ref() != Default().Ref() {
		t.Fatalf("the embedded file is another model: %v", err)
	}
	for name, c := range map[string]struct {
		change func(map[string]any)
		says   string
	}{
		"a weight missing":     {func(w map[string]any) { delete(w["features"].(map[string]any), "name_dice") }, "no weight for name_dice"},
		"one too many":         {func(w map[string]any) { w["features"].(map[string]any)["luck"] = 1 }, "weights for"},
		"an unknown field":     {func(w map[string]any) { w["luck"] = 1 }, "luck"},
		"no version":           {func(w map[string]any) { w["version"] = 0 }, "version"},
		"falling calibration":  {func(w map[string]any) { w["calibration"] = [][2]float64{{0, 1}, {1, 0}} }, "rising"},
		"lists of another day": {func(w map[string]any) { w["lists"] = "sha256:0" }, "fit it again"},
	} {
		var w map[string]any
		if err := json.Unmarshal(good, &w); err != nil {
			t.Fatal(err)
		}
		c.change(w)
		b, _ := json.Marshal(w)
		if _, err := New(b); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New([]byte("{")); err == nil {
		t.Error("half a file")
	}
}
