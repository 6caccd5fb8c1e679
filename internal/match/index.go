package match

import (
	"iter"
	"math/bits"
	"runtime"
	"slices"
	"sync"
)

// part is a segment with what has died in it since it was built.
type part struct {
	*segment
	dead      []uint64 // one bit for each record
	deaths    int
	lostWords map[uint32]int32 // for each word how many of its records are dead
	base      uint32           // number of the part's first record among all parts
}

func newPart(s *segment) *part {
	return &part{segment: s, dead: make([]uint64, (s.records()+63)/64), lostWords: map[uint32]int32{}}
}

func (p *part) isDead(r uint32) bool { return p.dead[r/64]&(1<<(r%64)) != 0 }

func (p *part) live() int { return p.records() - p.deaths }

// liveFrequency returns how many live records have a word.
func (p *part) liveFrequency(w uint32) int {
	n := int(p.postOff[w+1] - p.postOff[w])
	if p.deaths > 0 {
		n -= int(p.lostWords[w])
	}
	return n
}

// change is one record that entered or left the live set.
type change struct {
	version uint64
	query   *Query
	entered bool
}

// recentChanges is how many changes Refresh can bridge. One registration is decided against the few that arrived while
// it was matched.
const recentChanges = 1024

// Segments of at most inlineMerge records are merged by whoever writes; larger merges run beside the work.
const inlineMerge = 2048

// Index finds the live records that may describe the organisation of a query. It is safe for concurrent use: searches
// run side by side and wait for a writer only while it swaps a few words of memory.
type Index struct {
	m      *Model
	limits limits

	write   sync.Mutex     // held by the one who changes the index, across preparation and merging
	merging int            // how many of the first parts a background merge is rewriting; guarded by write
	merges  sync.WaitGroup // of background merges

	mu      sync.RWMutex // guards what follows: held briefly to change it, shared to search
	parts   []*part
	live    int
	version uint64
	recent  []change // the last changes, oldest first

	scratch sync.Pool
}

// NewIndex returns an empty index that judges with m.
func NewIndex(m *Model) *Index {
	return &Index{m: m, limits: standardLimits, scratch: sync.Pool{New: func() any { return &search{} }}}
}

// Len returns the number of live records.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.live
}

// Load adds many records at once and lays them out together. Of records with one id the last counts, and it replaces
// one that was there. Load prepares on all processors.
func (x *Index) Load(records iter.Seq[Record]) {
	x.write.Lock()
	defer x.write.Unlock()
	b := newBuilder()
	type batch struct {
		in  []Record
		out []*Query
		ok  chan struct{}
	}
	work := make(chan *batch)
	order := make(chan *batch, 2*runtime.GOMAXPROCS(0))
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for t := range work {
				t.out = make([]*Query, len(t.in))
				for i := range t.in {
					t.out[i] = x.m.Prepare(t.in[i])
				}
				close(t.ok)
			}
		})
	}
	go func() {
		var t *batch
		send := func() {
			if t != nil {
				order <- t
				work <- t
				t = nil
			}
		}
		for r := range records {
			if t == nil {
				t = &batch{ok: make(chan struct{})}
			}
			if t.in = append(t.in, r); len(t.in) == 256 {
				send()
			}
		}
		send()
		close(work)
		close(order)
	}()
	for t := range order {
		<-t.ok
		for _, q := range t.out {
			b.add(q)
		}
	}
	workers.Wait()
	if len(b.mass) == 0 {
		return
	}
	p := newPart(b.build())
	dropRepeats(p)

	// What was there under the same ids dies; only then does the new segment appear.
	var old []location
	if x.live > 0 {
		for r := range uint32(p.records()) {
			if at, ok := x.locate(p.id(r)); ok && !p.isDead(r) {
				old = append(old, at)
			}
		}
	}
	x.mu.Lock()
	for _, at := range old {
		at.kill()
		x.live--
	}
	x.parts = append(x.parts, p)
	x.live += p.live()
	x.number()
	x.version++
	x.recent = nil // Refresh cannot bridge a load
	x.mu.Unlock()
	x.tidy()
}

// dropRepeats marks all but the last record of each id dead.
func dropRepeats(p *part) {
	for b := 0; b+1 < len(p.keys.start); b++ {
		ids := p.keys.id[p.keys.start[b]:p.keys.start[b+1]]
		for i := 0; i < len(ids); i++ {
			for j := i + 1; j < len(ids); j++ {
				if ids[i] != ids[j] && p.id(ids[i]) == p.id(ids[j]) {
					location{p, min(ids[i], ids[j])}.kill()
				}
			}
		}
	}
}

// location is where a record lies.
type location struct {
	part   *part
	record uint32
}

// kill marks a record dead. The caller holds mu, or is the only one to know the part.
func (l location) kill() {
	p, r := l.part, l.record
	if p.isDead(r) {
		return
	}
	p.dead[r/64] |= 1 << (r % 64)
	p.deaths++
	for _, w := range p.wordsOf(r) {
		p.lostWords[w]++
	}
}

// wordsOf returns the distinct words of a record.
func (s *segment) wordsOf(r uint32) (out []uint32) {
	renumber(nil, s.blob[s.off[r]:s.off[r+1]], func(w uint32) uint32 {
		if !slices.Contains(out, w) {
			out = append(out, w)
		}
		return w
	})
	return out
}

// locate finds the live record with an id. The caller holds write or mu.
func (x *Index) locate(id string) (location, bool) {
	h := hashKey(keyID, id)
	for _, p := range x.parts {
		for _, r := range p.keys.find(h) {
			if !p.isDead(r) && p.id(r) == id {
				return location{p, r}, true
			}
		}
	}
	return location{}, false
}

// Upsert adds a record, or replaces the one with its id.
func (x *Index) Upsert(r Record) {
	q := x.m.Prepare(r)
	b := newBuilder()
	b.add(q)
	p := newPart(b.build())
	x.write.Lock()
	defer x.write.Unlock()
	at, replaces := x.locate(q.id)
	var old *Query
	if replaces {
		old = new(reader).read(at.part.segment, at.record).own()
	}
	x.mu.Lock()
	if replaces {
		at.kill()
		x.live--
		x.record(old, false)
	}
	x.parts = append(x.parts, p)
	x.live++
	x.number()
	x.record(q, true)
	x.mu.Unlock()
	x.tidy()
}

// Delete removes the record with an id, if there is one.
func (x *Index) Delete(id string) {
	x.write.Lock()
	defer x.write.Unlock()
	at, ok := x.locate(id)
	if !ok {
		return
	}
	old := new(reader).read(at.part.segment, at.record).own()
	x.mu.Lock()
	at.kill()
	x.live--
	x.record(old, false)
	x.mu.Unlock()
	x.tidy()
}

// record notes a change for Refresh. The caller holds mu.
func (x *Index) record(q *Query, entered bool) {
	x.version++
	if len(x.recent) == recentChanges {
		x.recent = append(x.recent[:0], x.recent[recentChanges/2:]...)
	}
	x.recent = append(x.recent, change{x.version, q, entered})
}

// number gives every record of every part a number. The caller holds mu.
func (x *Index) number() {
	n := uint32(0)
	for _, p := range x.parts {
		p.base = n
		n += uint32(p.records())
	}
}

// tidy merges small neighbouring segments so that their number stays logarithmic, and starts a merge of everything
// when the young or the dead have become many. The caller holds write.
func (x *Index) tidy() {
	for {
		n := len(x.parts)
		if n-2 < x.merging { // the parts a background merge rewrites stay
			break
		}
		a, b := x.parts[n-2], x.parts[n-1]
		if a.records()+b.records() > inlineMerge || a.records() > 2*b.records() {
			break
		}
		x.swap(n-2, merge(a, b))
	}
	total, dead, largest := 0, 0, 0
	for _, p := range x.parts {
		total += p.records()
		dead += p.deaths
		largest = max(largest, p.records())
	}
	young := total - largest
	if x.merging > 0 || !(young > max(2*inlineMerge, largest/8) || dead > max(2*inlineMerge, total/4)) {
		return
	}
	old := slices.Clone(x.parts)
	x.merging = len(old)
	died := make([][]uint64, len(old))
	for i, p := range old {
		died[i] = slices.Clone(p.dead)
	}
	x.merges.Go(func() { x.mergeAll(old, died) })
}

// swap replaces the parts from i on by p. The caller holds write.
func (x *Index) swap(i int, p *part) {
	x.mu.Lock()
	x.parts = append(slices.Clone(x.parts[:i]), p)
	x.number()
	x.mu.Unlock()
}

// merge lays the live records of parts out together. The caller holds write, so that nothing dies meanwhile.
func merge(parts ...*part) *part {
	died := make([][]uint64, len(parts))
	for i, p := range parts {
		died[i] = p.dead
	}
	s, _ := mergeLive(parts, died)
	return newPart(s)
}

// mergeLive lays out the records that are not in died, and returns for each old part where its records begin.
func mergeLive(parts []*part, died [][]uint64) (*segment, []uint32) {
	b := newBuilder()
	var d reader
	starts := make([]uint32, len(parts))
	for i, p := range parts {
		starts[i] = uint32(len(b.mass))
		for r := range uint32(p.records()) {
			if died[i][r/64]&(1<<(r%64)) == 0 {
				b.add(d.read(p.segment, r))
			}
		}
	}
	return b.build(), starts
}

// mergeAll builds one segment of the old parts beside the work, then brings it up to date and swaps it in. The merged
// parts are the first of x.parts: writers only append behind them while a merge is under way.
func (x *Index) mergeAll(old []*part, died [][]uint64) {
	s, starts := mergeLive(old, died)
	p := newPart(s)
	x.write.Lock()
	defer x.write.Unlock()
	// Whatever died since the merge began dies in the merged segment too.
	for i, o := range old {
		at := starts[i]
		for w := range o.dead {
			alive := ^died[i][w]
			if last := o.records() - 64*w; last < 64 {
				alive &= 1<<last - 1
			}
			for since := o.dead[w] &^ died[i][w]; since != 0; since &= since - 1 {
				b := bits.TrailingZeros64(since)
				location{p, at + uint32(bits.OnesCount64(alive&(1<<b-1)))}.kill()
			}
			at += uint32(bits.OnesCount64(alive))
		}
	}
	x.mu.Lock()
	x.parts = append([]*part{p}, x.parts[len(old):]...)
	x.number()
	x.mu.Unlock()
	x.merging = 0
}

// settle waits for background merges. Tests use it.
func (x *Index) settle() { x.merges.Wait() }

// Bytes returns the memory the index's arrays hold.
func (x *Index) Bytes() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	n := 0
	for _, p := range x.parts {
		n += p.bytes() + 8*len(p.dead)
	}
	return n
}
