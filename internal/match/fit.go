package match

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
)

// Fitting fits a model to what somebody has labelled, from another model on: the weights move as far from that model's as the data
// ask, so that a few hundred labels do it good and no harm. A part is held back: nothing is learnt from it, and Report says how
// the two models do on it. It is deterministic: which part is held back follows from the names.
type Fitting struct {
	from     *Model
	t        *Trainer
	heldBack float64
	learnt   Labels
	pairs    []labelledPair // learnt from
	held     struct {
		pairs    []labelledPair
		searches []heldSearch
	}
}

// Labels is how much was given.
type Labels struct {
	Searches int `json:"searches"`
	Pairs    int `json:"pairs"`
	Same     int `json:"same"`    // of both, those with a match
	Related  int `json:"related"` // pairs of two that belong together
	Strange  int `json:"strange"` // pairs of two that do not
}

type labelledPair struct {
	a, b Record
	same bool
}

type heldSearch struct {
	index *Index
	q     Record
	truth string
}

const (
	// priorWeight is how many labels a weight of the model one starts from is worth.
	priorWeight = 2.0
	// enoughSearches are those from which a calibration of its own is fitted; with fewer, that of the model is bent.
	enoughSearches = 2000
)

// NewFitting returns a fitting from a model on. heldBack is the share, from 0 to 1, that is measured with and not learnt from.
func NewFitting(from *Model, heldBack float64) *Fitting {
	t := NewTrainer(from)
	t.again = true
	return &Fitting{from: from, t: t, heldBack: heldBack}
}

// holdsBack decides by the name asked about: all that is asked by one name is on one side.
func (f *Fitting) holdsBack(r Record) bool {
	h := fnv.New64a()
	if len(r.Names) > 0 {
		_, _ = h.Write([]byte(Normalise(r.Names[0])))
	}
	return float64(h.Sum64()>>11)/(1<<53) < f.heldBack
}

// Search takes one search of x: truth is the id of the record q describes, empty for none of them.
func (f *Fitting) Search(x *Index, q Record, truth string) {
	if f.holdsBack(q) {
		f.held.searches = append(f.held.searches, heldSearch{x, q, truth})
		return
	}
	f.learnt.Searches++
	if truth != "" {
		f.learnt.Same++
	}
	f.t.Search(x, q, truth, 1)
}

// Pair takes one pair that is the same organisation, or is not.
func (f *Fitting) Pair(a, b Record, same bool) {
	p := labelledPair{a, b, same}
	if f.holdsBack(a) {
		f.held.pairs = append(f.held.pairs, p)
		return
	}
	f.learnt.Pairs++
	if same {
		f.learnt.Same++
	}
	f.pairs = append(f.pairs, p)
	f.t.Pair(a, b, same, 1)
}

// Related takes two different organisations that belong together, or do not.
func (f *Fitting) Related(a, b Record, related bool) {
	if f.holdsBack(a) {
		return
	}
	if f.t.Related(a, b, related); related {
		f.learnt.Related++
	} else {
		f.learnt.Strange++
	}
}

// Report is what came of a fitting.
type Report struct {
	Learnt   Labels             `json:"learnt"`
	HeldBack Labels             `json:"held_back"`
	From     map[string]Figures `json:"from"`   // how the model that was started from does on what was held back: searches, pairs
	Fitted   map[string]Figures `json:"fitted"` // how the new one does
}

// Figures are measures of how well a model tells the same from others. F1 is at the best threshold over the searches' first candidates,
// a wrong one counting twice: as found and as missed; Same is F1 of the verdict same; ECE is the calibration error over ten bins of
// equal width.
type Figures struct {
	N     int     `json:"n"`
	First float64 `json:"first,omitempty"` // of searches: how often the match is the first candidate
	F1    float64 `json:"f1"`
	Same  float64 `json:"f1_same"`
	ECE   float64 `json:"ece"`
}

// minimum of labels of each kind to fit from: fewer say nothing.
const minimum = 20

// Fit returns the file of the fitted model, for New, and what came of it. The error: too little was given.
func (f *Fitting) Fit(name string, version int, fitted string) ([]byte, Report, error) {
	if all := f.learnt.Searches + f.learnt.Pairs; f.learnt.Same < minimum || all-f.learnt.Same < minimum {
		return nil, Report{}, fmt.Errorf("%d labels that are the same and %d that are not are too few to learn from: give at least %d of each beside what is held back", f.learnt.Same, all-f.learnt.Same, minimum)
	}
	from := &f.from.weights
	w := weights{Name: name, Version: version, Fitted: fitted, Lists: f.from.lists, Rivals: from.Rivals, Relation: from.Relation}
	if len(f.t.queries) >= enoughSearches {
		f.t.learn(&w)
	} else {
		w.Bias = f.t.regress(&w.vector, -1)
		f.bend(&w)
	}
	if min(f.learnt.Related, f.learnt.Strange) >= minimum {
		w.Relation = f.t.fitKin()
	}
	w.written()
	file, err := json.MarshalIndent(&w, "", "  ")
	if err != nil {
		return nil, Report{}, err
	}
	file = append(file, '\n')
	m, err := New(file)
	if err != nil {
		return nil, Report{}, err
	}
	r := Report{Learnt: f.learnt, From: f.figures(f.from), Fitted: f.figures(m), HeldBack: Labels{Searches: len(f.held.searches), Pairs: len(f.held.pairs)}}
	for _, s := range f.held.searches {
		r.HeldBack.Same += int(indicate(s.truth != ""))
	}
	for _, p := range f.held.pairs {
		r.HeldBack.Same += int(indicate(p.same))
	}
	return file, r, nil
}

// File returns the model's file under another name and version, for New: the same weights, as another model.
func (m *Model) File(name string, version int) ([]byte, error) {
	w := m.weights
	w.Name, w.Version, w.Lists = name, version, m.lists
	b, err := json.MarshalIndent(&w, "", "  ")
	return append(b, '\n'), err
}

// bend gives w the calibrations of the model that was started from, their log-odds multiplied and shifted as the labels ask: two numbers,
// fitted by Newton's method, held near 1 and 0.
func (f *Fitting) bend(w *weights) {
	const near, nearShift = 10.0, 1.0 // the inverse of how far off they may be, squared
	type point struct{ x, y float64 }
	var points []point
	w.Calibration, w.Calibrations = f.from.weights.Calibration, f.from.weights.Calibrations
	for _, q := range f.t.queries {
		cands := make([]scored, len(q.v))
		best := 0
		for i := range q.v {
			if cands[i] = (scored{logit: w.logit(&q.v[i])}); cands[i].logit > cands[best].logit {
				best = i
			}
		}
		points = append(points, point{w.calibrated(cands[best].logit-w.Rivals*rivalry(cands, best), q.kinds[best]), indicate(best == q.truth)})
	}
	var e evidence
	for _, p := range f.pairs {
		f.from.compare(f.from.Prepare(p.a), f.from.Prepare(p.b), nil, &e)
		points = append(points, point{w.calibrated(w.logit(&e.v), ""), indicate(p.same)})
	}
	a, b := 1.0, 0.0
	for range 50 {
		ga, gb := near*(a-1), nearShift*b
		haa, hab, hbb := near, 0.0, nearShift
		for _, p := range points {
			q := 1 / (1 + math.Exp(-(a*p.x + b)))
			d, h := q-p.y, q*(1-q)
			ga, gb = ga+d*p.x, gb+d
			haa, hab, hbb = haa+h*p.x*p.x, hab+h*p.x, hbb+h
		}
		det := haa*hbb - hab*hab
		a, b = a-(hbb*ga-hab*gb)/det, b-(haa*gb-hab*ga)/det
	}
	a = max(a, 0.25)
	bent := func(c curve) (out curve) {
		for _, p := range c {
			out = append(out, [2]float64{p[0], math.Round((a*p[1]+b)*1e3) / 1e3})
		}
		return out
	}
	w.Calibration, w.Calibrations = bent(w.Calibration), map[string]curve{}
	for kind, c := range f.from.weights.Calibrations {
		w.Calibrations[kind] = bent(c)
	}
}

// judgement is one probability, whether it is right, and whether the verdict was that the two are the same.
type judgement struct {
	p           float64
	right, same bool
}

// judgedBy returns the index as it is now with another model's weights. The word lists are the same, so the segments are.
func (x *Index) judgedBy(m *Model) *Index {
	x.mu.RLock()
	defer x.mu.RUnlock()
	y := NewIndex(m)
	y.limits, y.large, y.largeFrom, y.parts, y.live, y.version = x.limits, x.large, x.largeFrom, x.parts, x.live, x.version
	return y
}

// figures measures a model on what was held back.
func (f *Fitting) figures(m *Model) map[string]Figures {
	out := map[string]Figures{}
	if len(f.held.searches) > 0 {
		var js []judgement
		known, first := 0, 0
		indexes := map[*Index]*Index{}
		for _, s := range f.held.searches {
			if s.truth != "" {
				known++
			}
			if indexes[s.index] == nil {
				indexes[s.index] = s.index.judgedBy(m)
			}
			r := indexes[s.index].Search(m.Prepare(s.q), Options{})
			if len(r.Candidates) == 0 {
				continue
			}
			c := r.Candidates[0]
			right := c.ID == s.truth
			if right {
				first++
			}
			js = append(js, judgement{c.Probability, right, c.Verdict == "same"})
		}
		g := measure(js, known)
		g.N, g.First = len(f.held.searches), float64(first)/float64(max(1, known))
		out["searches"] = g
	}
	if len(f.held.pairs) > 0 {
		var js []judgement
		known := 0
		for _, p := range f.held.pairs {
			j := m.Judge(m.Prepare(p.a), m.Prepare(p.b))
			known += int(indicate(p.same))
			js = append(js, judgement{j.Probability, p.same, j.Verdict == "same"})
		}
		g := measure(js, known)
		g.N = len(f.held.pairs)
		out["pairs"] = g
	}
	return out
}

// measure returns the figures of judgements, of which known could be right.
func measure(js []judgement, known int) (f Figures) {
	slices.SortStableFunc(js, func(a, b judgement) int { return cmp.Compare(b.p, a.p) })
	right, same, sameRight := 0, 0, 0
	var gap [10]float64
	for i, j := range js {
		b := min(9, int(10*j.p))
		gap[b] += j.p
		if j.right {
			right++
			gap[b]--
		}
		if j.same {
			same++
			sameRight += int(indicate(j.right))
		}
		if i+1 == len(js) || js[i+1].p != j.p {
			f.F1 = max(f.F1, 2*float64(right)/float64(max(1, i+1+known)))
		}
	}
	f.Same = 2 * float64(sameRight) / float64(max(1, same+known))
	for _, g := range gap {
		f.ECE += math.Abs(g) / float64(max(1, len(js)))
	}
	round := func(x *float64) { *x = math.Round(*x*1e4) / 1e4 }
	round(&f.F1)
	round(&f.Same)
	round(&f.ECE)
	return f
}
