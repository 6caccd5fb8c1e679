package match

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"sync"
)

// Trainer fits a model's weights to labelled searches and pairs. It is used offline; what it returns is weights.json.
type Trainer struct {
	m       *Model
	samples []sample // those of a group side by side
	groups  int
	queries []labelled
	kin     []kinSample
	again   bool // from the model's own weights on, and no further from them than the data ask; see Fitting
}

// sample is one candidate of a search, or a pair by itself.
type sample struct {
	v      vector
	y      float64
	weight float64
	group  int // of the search; a pair has one of its own
	fold   int
}

// labelled is one search with its answer: the vectors of all candidates.
type labelled struct {
	v      []vector
	kinds  []string
	fold   int
	truth  int // index of the true candidate; -1: none of them
	weight float64
}

// folds is into how many parts what is learnt is cut by the names asked for. Each is calibrated by weights learnt from the others: what
// weights were fitted to, they are too sure of.
const folds = 3

// trainedCandidates is how many candidates of a search are learnt from: those that look most alike, for the others
// teach nothing.
const trainedCandidates = 12

// NewTrainer returns an empty trainer.
func NewTrainer(m *Model) *Trainer { return &Trainer{m: m} }

// Search learns from one search of x: truth is the id of the record q describes, or empty. weight says how much the search counts.
func (t *Trainer) Search(x *Index, q Record, truth string, weight float64) {
	if l := t.taught(x, q, truth, weight); len(l.v) > 0 {
		t.queries = append(t.queries, l)
	}
}

// Spelling learns the weights from a search that was made up, which says nothing about how often searches are answered.
func (t *Trainer) Spelling(x *Index, q Record, truth string, weight float64) {
	t.taught(x, q, truth, weight)
}

// taught learns the weights from a search and returns it.
func (t *Trainer) taught(x *Index, q Record, truth string, weight float64) labelled {
	l := t.look(x, q, truth, weight)
	for i, v := range l.v {
		if i < trainedCandidates || i == l.truth {
			t.samples = append(t.samples, sample{v, indicate(i == l.truth), weight, t.groups, l.fold})
		}
	}
	t.groups++
	return l
}

// look returns a search and its candidates, those that look most alike first.
func (t *Trainer) look(x *Index, q Record, truth string, weight float64) labelled {
	p := x.m.Prepare(q)
	s := x.scratch.Get().(*search)
	defer x.scratch.Put(s)
	x.mu.RLock()
	defer x.mu.RUnlock()
	s.parts, s.thorough = x.parts, false
	s.limits, s.large = x.limitsNow()
	s.begin()
	var r Result
	s.retrieve(p, &r)
	owners := s.owners(Options{})
	l := labelled{truth: -1, weight: weight, fold: int(slipHash(Normalise(q.Names[0])) % folds)}
	type found struct {
		v    vector
		kind string
		true bool
	}
	var all []found
	var e evidence
	var d reader
	for _, h := range s.hits {
		part, rec := s.record(h.slot)
		b := d.read(part.segment, rec)
		x.m.compare(p, b, owners, &e)
		all = append(all, found{e.v, kindOf(&e, ranked), b.id == truth && truth != ""})
	}
	slices.SortStableFunc(all, func(a, b found) int {
		alike := func(f *found) float64 {
			return f.v[fDice] + f.v[fDomainSame] + 0.3*f.v[fPostalSame] + 0.2*f.v[fCitySame] + 0.3*f.v[fSquash]
		}
		return cmp.Compare(alike(&b), alike(&a))
	})
	for i, f := range all {
		if f.true {
			l.truth = i
		}
		l.v, l.kinds = append(l.v, f.v), append(l.kinds, f.kind)
	}
	return l
}

// Pair learns from one labelled pair.
func (t *Trainer) Pair(a, b Record, same bool, weight float64) {
	var e evidence
	t.m.compare(t.m.Prepare(a), t.m.Prepare(b), nil, &e)
	t.samples = append(t.samples, sample{e.v, indicate(same), weight, t.groups, t.groups % folds})
	t.groups++
}

// assigned are the weights of evidence that no labelled set holds, in log-odds. An identifier is issued to one
// organisation and mistyped about once in a thousand; a number of the other organisation is much weaker evidence than
// one of the same, for branches and sisters have their own.
var assigned = map[feature]float64{
	fTaxSame: 8, fTaxOther: -2.5, fDUNSSame: 7, fDUNSOther: -1.5, fLEISame: 8, fLEIOther: -4,
	fPhoneSame: 4, fPhoneOther: -0.2, fStreetSame: 2, fStreetOther: -0.4, fDomainName: 2, fFormClash: -1, fAlias: 0, fAcronym: 4.5,
}

// signs keep weights on the side of reason where the data are thin: 1 may only speak for, -1 only against.
var signs = map[feature]float64{
	fDice: 1, fCoverMin: 1, fRare: 1, fSquash: 1, fSquashHigh: 1, fSquashNear: 1, fTrigram: 1, fExact: 1, fExactMass: 1, fCutShort: 1, fFuzzy: -1,
	fMissQuery: -1, fMissRecord: -1, fMissBoth: -1, fLost: -1, fNumberClash: -1, fNumberOne: -1, fPlaces: -1, fFormSame: 1, fFormOther: -1, fFormEqual: 1, fWritten: 1, fBegins: 1, fOrder: -1,
	fCountrySame: 1, fCountryOther: -1, fRegionSame: 1, fRegionOther: -1, fCitySame: 1, fCityNear: 1, fCityOther: -1, fDiceCity: 1, fSquashCity: 1,
	fPostalSame: 1, fPostalNear: 1, fPostalOther: -1, fDomainSame: 1, fDomainDice: 1, fDomainOther: -1,
}

// Fit runs conditional logistic regression over everything learnt, then fits the rivals' weight and the calibrations on the first
// candidates of the searches, and returns weights.json. It is deterministic.
func (t *Trainer) Fit(version int, fitted string) ([]byte, error) {
	w := weights{Version: version, Fitted: fitted}
	t.learn(&w)
	w.Relation = t.fitKin()
	w.written()
	return json.MarshalIndent(&w, "", "  ")
}

// learn fits the weights, what rivals take away, and the calibrations.
func (t *Trainer) learn(w *weights) {
	var without [folds]weights
	var wg sync.WaitGroup
	wg.Go(func() { w.Bias = t.regress(&w.vector, -1) })
	for i := range without {
		wg.Go(func() { without[i].Bias = t.regress(&without[i].vector, i) })
	}
	wg.Wait()
	t.calibrate(w, &without)
}

// regress fits the weights by full-batch Adam with a little shrinkage, and returns the bias. It leaves one fold out. The candidates of a search compete: one of
// them is the answer or none is (McFadden's conditional logit), so what parts the answer from the next best counts, and what all
// candidates have in common does not. A pair by itself competes with nobody.
func (t *Trainer) regress(w *vector, but int) (bias float64) {
	const (
		rounds = 500
		step   = 0.08
		shrink = 2e-5
	)
	for f, v := range assigned {
		w[f] = v
	}
	bias = -3
	total := 0.0
	for i := range t.samples {
		if t.samples[i].fold != but {
			total += t.samples[i].weight
		}
	}
	pull, toward := shrink, vector{}
	if t.again {
		*w, bias, pull, toward = t.m.weights.vector, t.m.weights.Bias, priorWeight/total, t.m.weights.vector
	}
	var mean, square [featureCount + 1]float64
	var each []float64
	for round := 1; round <= rounds; round++ {
		var gradient [featureCount + 1]float64
		var to int
		for from := 0; from < len(t.samples); from = to {
			odds := 1.0 // of nobody
			each = each[:0]
			if t.samples[from].fold == but {
				to = from + 1
				continue
			}
			for to = from; to < len(t.samples) && t.samples[to].group == t.samples[from].group; to++ {
				s := &t.samples[to]
				z := bias
				for f, v := range s.v {
					if v != 0 {
						z += v * w[f]
					}
				}
				each = append(each, math.Exp(min(z, 30)))
				odds += each[to-from]
			}
			for i := range t.samples[from:to] {
				s := &t.samples[from+i]
				d := s.weight * (each[i]/odds - s.y)
				for f, v := range s.v {
					if v != 0 {
						gradient[f] += d * v
					}
				}
				gradient[featureCount] += d
			}
		}
		rate := step
		if round > rounds*3/4 {
			rate /= 4
		}
		for i := range gradient {
			g := gradient[i] / total
			if i < int(featureCount) {
				g += pull * (w[i] - toward[i])
			}
			mean[i] = 0.9*mean[i] + 0.1*g
			square[i] = 0.999*square[i] + 0.001*g*g
			move := rate * mean[i] / (1 - math.Pow(0.9, float64(round))) / (math.Sqrt(square[i]/(1-math.Pow(0.999, float64(round)))) + 1e-9)
			f := feature(i)
			if f == featureCount {
				bias -= move
				continue
			}
			if _, ok := assigned[f]; ok {
				continue
			}
			w[f] -= move
			if w[f]*signs[f] < 0 {
				w[f] = 0
			}
		}
	}
	return bias
}

// top is the first candidate of a search.
type top struct {
	z, rivals, y, weight float64
	kind                 string
}

// fewestOfKind is how many searches a kind of pair must have for a calibration of its own.
const fewestOfKind = 400

// calibrate fits what rivals take away and the maps from log-odds to probability, on the first candidate of each search
// by the weights that were learnt without it.
func (t *Trainer) calibrate(w *weights, without *[folds]weights) {
	var tops []top
	for _, q := range t.queries {
		cands := make([]scored, len(q.v))
		for i := range q.v {
			cands[i] = scored{logit: without[q.fold].logit(&q.v[i])}
		}
		best := 0
		for i := range cands {
			if cands[i].logit > cands[best].logit {
				best = i
			}
		}
		tops = append(tops, top{cands[best].logit, rivalry(cands, best), indicate(best == q.truth), q.weight, q.kinds[best]})
	}
	// p = 1/(1+exp(-(a z - r rivals + c))), by Newton's method on three parameters.
	a, r, c := 1.0, 0.5, 0.0
	for range 60 {
		var g [3]float64
		var h [3][3]float64
		for _, x := range tops {
			f := [3]float64{x.z, -x.rivals, 1}
			p := 1 / (1 + math.Exp(-(a*f[0] + r*f[1] + c*f[2])))
			for i := range f {
				g[i] += x.weight * (p - x.y) * f[i]
				for j := range f {
					h[i][j] += x.weight * (p*(1-p) + 1e-6) * f[i] * f[j]
				}
			}
		}
		d := solve(h, g)
		a, r, c = a-d[0], r-d[1], c-d[2]
	}
	w.Rivals = math.Round(max(0, r/a)*1e4) / 1e4
	byKind := map[string][]top{}
	for i := range tops {
		tops[i].z -= w.Rivals * tops[i].rivals
		byKind[tops[i].kind] = append(byKind[tops[i].kind], tops[i])
	}
	w.Calibration = isotonic(tops)
	w.Calibrations = map[string]curve{}
	for kind, own := range byKind {
		if len(own) >= fewestOfKind {
			if c := isotonic(own); c.rises() {
				w.Calibrations[kind] = c
			}
		}
	}
}

// isotonic returns the rising curve through equal shares of the searches; neighbours out of order are pooled.
func isotonic(tops []top) (out curve) {
	tops = slices.Clone(tops)
	slices.SortFunc(tops, func(a, b top) int { return cmp.Or(cmp.Compare(a.z, b.z), cmp.Compare(a.y, b.y)) })
	type pool struct{ z, y, n float64 }
	const pools = 16
	var ps []pool
	total, acc := 0.0, 0.0
	for _, x := range tops {
		total += x.weight
	}
	for _, x := range tops {
		if acc >= total*float64(len(ps))/pools {
			ps = append(ps, pool{})
		}
		acc += x.weight
		p := &ps[len(ps)-1]
		p.z += x.z * x.weight
		p.y += x.y * x.weight
		p.n += x.weight
	}
	for i := 0; i+1 < len(ps); {
		if ps[i].y/ps[i].n >= ps[i+1].y/ps[i+1].n {
			ps[i].z, ps[i].y, ps[i].n = ps[i].z+ps[i+1].z, ps[i].y+ps[i+1].y, ps[i].n+ps[i+1].n
			ps = slices.Delete(ps, i+1, i+2)
			i = max(0, i-1)
			continue
		}
		i++
	}
	for _, p := range ps {
		y := (p.y + 0.5) / (p.n + 1)
		at := [2]float64{math.Round(p.z/p.n*1e3) / 1e3, math.Round(math.Log(y/(1-y))*1e3) / 1e3}
		if n := len(out); n > 0 && (at[0] < out[n-1][0]+0.1 || at[1] < out[n-1][1]+0.02) {
			continue
		}
		out = append(out, at)
	}
	// Beyond the last point certainty grows by one for one.
	last := out[len(out)-1]
	return append(out, [2]float64{last[0] + 4, last[1] + 3})
}

// solve solves a 3 by 3 system by Gaussian elimination.
func solve(h [3][3]float64, g [3]float64) (x [3]float64) {
	for i := range 3 {
		for j := i + 1; j < 3; j++ {
			k := h[j][i] / h[i][i]
			for l := i; l < 3; l++ {
				h[j][l] -= k * h[i][l]
			}
			g[j] -= k * g[i]
		}
	}
	for i := 2; i >= 0; i-- {
		x[i] = g[i]
		for j := i + 1; j < 3; j++ {
			x[i] -= h[i][j] * x[j]
		}
		x[i] /= h[i][i]
	}
	return x
}
