package match

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Whether two different organisations belong together, as a parent and its part, is another question than whether they are one:
// names of relatives share a word that few have, and seldom more. So it has weights of its own, few and fitted to published
// parents and children against pairs drawn at random. It is asked of two records put side by side. A search does not ask: among a
// million records a hundredth by chance is ten thousand.

// kinFeature is one number that kinship is a weighted sum of.
type kinFeature int

const (
	kRare kinFeature = iota
	kMass
	kCover
	kTrigram
	kFirst
	kCountrySame
	kCountryOther
	kRareHere
	kMassHere
	kAcronym
	kinCount
)

var kinNames = [kinCount]string{"rarest_shared", "shared_weight", "cover", "trigrams", "first_word", "country_same", "country_other", "rarest_shared_in_country",
	"shared_weight_in_country", "acronym"}

type kinVector [kinCount]float64

// relationWeights is the part of weights.json that tells relatives from strangers: above zero they are relatives.
type relationWeights struct {
	Bias     float64            `json:"bias"`
	Features map[string]float64 `json:"features"`

	vector kinVector
}

func (w *relationWeights) check() error {
	for f, n := range kinNames {
		v, ok := w.Features[n]
		if !ok {
			return fmt.Errorf("no weight for relation %s", n)
		}
		w.vector[f] = v
	}
	if len(w.Features) != int(kinCount) {
		return fmt.Errorf("%d relation weights for %d features", len(w.Features), kinCount)
	}
	return nil
}

func (w *relationWeights) logit(v *kinVector) float64 {
	z := w.Bias
	for i := range v {
		z += float64(v[i] * w.vector[i])
	}
	return z
}

func (m *Model) kinFeatures(e *evidence) (v kinVector) {
	l := &e.like
	if l.a == nil {
		return v
	}
	v[kRare] = l.rare
	v[kMass] = min(3, l.coverA*l.a.mass/m.maxWeight())
	v[kCover] = max(l.coverA, l.coverB)
	v[kTrigram] = l.trigram
	v[kFirst] = indicate(l.first)
	v[kCountrySame], v[kCountryOther] = e.v[fCountrySame], e.v[fCountryOther]
	v[kRareHere], v[kMassHere] = v[kRare]*e.v[fCountrySame], v[kMass]*e.v[fCountrySame]
	v[kAcronym] = l.acronym
	return v
}

// kin reports whether two records put side by side look like relatives, and says why.
func (m *Model) kin(e *evidence) (text string, ok bool) {
	v := m.kinFeatures(e)
	if e.like.a != nil && (begunBy(e.like.a, e.like.b) || begunBy(e.like.b, e.like.a)) {
		return "perhaps of one family: one name is the initials of the other's first words", true
	}
	if e.like.a == nil || e.like.rare == 0 && e.like.acronym == 0 || m.nothingTelling(e) || e.like.rare > 0 && !m.sharesOwn(&e.like) || m.weights.Relation.logit(&v) <= 0 {
		return "", false
	}
	pairs := m.pairings(&e.like)
	var shared []string
	for _, p := range pairs {
		shared = append(shared, p.a)
	}
	text = "perhaps of one family"
	if len(shared) > 0 {
		text += ": few organisations share " + strings.Join(shared, ", ")
	}
	if v[kCountrySame] == 1 {
		text += " and a country"
	}
	return text, true
}

// begunBy reports whether a is one word made of the initials of b's first words, and b has more words.
func begunBy(a, b *name) bool {
	if len(a.words) != 1 || len(a.squash) < 2 || len(a.squash) > 5 || len(b.words) <= len(a.squash) || a.words[0].kind != 0 {
		return false
	}
	for i := range len(a.squash) {
		if w := b.words[i].text; len(w) < 2 || w[0] != a.squash[i] {
			return false
		}
	}
	return true
}

// Related learns whether two different organisations belong together.
func (t *Trainer) Related(a, b Record, related bool) {
	var e evidence
	t.m.compare(t.m.Prepare(a), t.m.Prepare(b), nil, &e)
	t.kin = append(t.kin, kinSample{t.m.kinFeatures(&e), indicate(related)})
}

type kinSample struct {
	v kinVector
	y float64
}

// strangersCalledKin is the share of the strangers learnt from that may be called relatives.
const strangersCalledKin = 0.004

// fitKin runs logistic regression, the two kinds weighing the same, and puts zero where no more than strangersCalledKin of the
// strangers are.
func (t *Trainer) fitKin() relationWeights {
	w := relationWeights{Features: map[string]float64{}}
	n := [2]float64{}
	for _, s := range t.kin {
		n[int(s.y)]++
	}
	for range 4000 {
		var g kinVector
		bias := 0.0
		for i := range t.kin {
			s := &t.kin[i]
			d := (1/(1+math.Exp(-w.logit(&s.v))) - s.y) / n[int(s.y)]
			bias += d
			for f := range g {
				g[f] += d * s.v[f]
			}
		}
		w.Bias -= 2 * bias
		for f := range g {
			w.vector[f] -= 2 * (g[f] + 1e-4*w.vector[f])
		}
	}
	for f, name := range kinNames {
		w.vector[f] = math.Round(w.vector[f]*1e4) / 1e4
		w.Features[name] = w.vector[f]
	}
	var strangers []float64
	for i := range t.kin {
		if t.kin[i].y == 0 {
			strangers = append(strangers, w.logit(&t.kin[i].v))
		}
	}
	slices.Sort(strangers)
	if len(strangers) > 0 {
		w.Bias -= strangers[int(float64(len(strangers)-1)*(1-strangersCalledKin))]
	}
	w.Bias = math.Round(w.Bias*1e4) / 1e4
	return w
}
