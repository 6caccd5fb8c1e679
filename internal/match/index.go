package match

import (
	"encoding/binary"
	"iter"
	"math/bits"
	"runtime"
	"slices"
	"sort"
	"sync"
)

// part is a segment with what has died in it since it was built.
type part struct {
	*segment
	dead      []uint64 // one bit for each record
	deaths    int
	lostWords map[uint32]int32 // for each word how many of its records are dead
	base      uint32           // number of the part's first record among all parts
	guide     []uint64         // how every guideStep-th word of the vocabulary begins
	memory    memory           // nil: the part is small
	numbers   []uint16         // of a small part: the number of a word, and one, by open addressing; 0 is none
}

func newPart(s *segment) *part {
	p := &part{segment: s, dead: make([]uint64, (s.records()+63)/64), lostWords: map[uint32]int32{}, memory: newMemory(s.vocabulary())}
	for w := 0; w < s.vocabulary(); w += guideStep {
		p.guide = append(p.guide, leading8(s.wordText(uint32(w))))
	}
	if p.memory == nil {
		p.numbers = make([]uint16, 2<<bits.Len(uint(s.vocabulary())))
		for w := range s.vocabulary() {
			i := p.place(s.wordText(uint32(w)))
			p.numbers[i] = uint16(w) + 1
		}
	}
	return p
}

// place returns where a word is in numbers, or would be.
func (p *part) place(t string) int {
	mask := uint32(len(p.numbers) - 1)
	for i := hashKey(0, t) & mask; ; i = (i + 1) & mask {
		if n := p.numbers[i]; n == 0 || p.wordText(uint32(n)-1) == t {
			return int(i)
		}
	}
}

// guideStep is how many words of the vocabulary stand between two that the guide knows: a few lines of memory.
const guideStep = 16

// leading8 returns the first eight bytes of a word, so that words compare as the numbers do, but for those that begin alike.
func leading8(t string) (n uint64) {
	if len(t) >= 8 {
		return binary.BigEndian.Uint64([]byte(t[:8]))
	}
	for i := range 8 {
		n <<= 8
		if i < len(t) {
			n |= uint64(t[i])
		}
	}
	return n
}

// lowerBound returns the first word not before t.
func (p *part) lowerBound(t string) int {
	key := leading8(t)
	// Words before the last of a smaller beginning are before t; the first of a larger one is after it.
	lo, _ := slices.BinarySearch(p.guide, key)
	hi := lo
	for hi < len(p.guide) && p.guide[hi] == key {
		hi++
	}
	from, to := max(0, lo-1)*guideStep, min(hi*guideStep, p.vocabulary())
	return from + sort.Search(to-from, func(i int) bool { return p.wordText(uint32(from+i)) >= t })
}

// lookup returns the number of a word.
func (p *part) lookup(t string) (uint32, bool) {
	if p.numbers != nil {
		n := p.numbers[p.place(t)]
		return uint32(n) - 1, n > 0
	}
	return p.is(uint32(p.lowerBound(t)), t)
}

// is reports whether t is the word at number i, where it is if the part has it.
func (p *part) is(i uint32, t string) (uint32, bool) {
	return i, int(i) < p.vocabulary() && p.wordText(i) == t
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
	m         *Model
	limits    limits
	large     limits // from largeFrom live records on
	largeFrom int

	write   sync.Mutex     // held by the one who changes the index, across preparation and merging
	from    int            // the first of the parts a background merge is rewriting; guarded by write
	merging int            // and how many they are
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
	return &Index{m: m, limits: standardLimits, large: largeLimits, largeFrom: largeFrom, scratch: sync.Pool{New: func() any { return &search{} }}}
}

// limitsNow returns the limits of a search, and whether they are the large ones. The caller holds mu.
func (x *Index) limitsNow() (limits, bool) {
	if x.live >= x.largeFrom {
		return x.large, true
	}
	return x.limits, false
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
	builders, runs := x.prepareAll(records)
	if len(runs) == 0 {
		return
	}
	p := newPart(lay(builders, runs))
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

// prepareAll prepares records, each processor with a builder of its own.
func (x *Index) prepareAll(records iter.Seq[Record]) (builders []*builder, runs []run) {
	type batch struct {
		records []Record
		run     int
	}
	const size = 256
	n := runtime.GOMAXPROCS(0)
	work, room := make(chan batch), make(chan []Record, 2*n)
	takers := make([][]int, n) // of each builder the runs it took, in order
	var workers sync.WaitGroup
	known := openLexicon()
	for i := range n {
		b := &builder{known: known}
		builders = append(builders, b)
		workers.Go(func() {
			p := preparer{m: x.m, known: known}
			for t := range work {
				takers[i] = append(takers[i], t.run)
				p.all(t.records, b.add)
				clear(t.records)
				select {
				case room <- t.records[:0]:
				default:
				}
			}
		})
	}
	var in []Record
	send := func() {
		runs = append(runs, run{records: uint32(len(in))})
		work <- batch{in, len(runs) - 1}
		in = nil
	}
	for r := range records {
		if in == nil {
			select {
			case in = <-room:
			default:
				in = make([]Record, 0, size)
			}
		}
		if in = append(in, r); len(in) == size {
			send()
		}
	}
	if len(in) > 0 {
		send()
	}
	close(work)
	workers.Wait()
	for i, taken := range takers {
		for _, r := range taken {
			runs[r].builder = uint32(i)
		}
	}
	return builders, runs
}

// dropRepeats marks all but the last record of each id dead.
func dropRepeats(p *part) {
	for r := uint32(1); r < uint32(p.records()); r++ {
		if p.id(r-1) == p.id(r) {
			location{p, r - 1}.kill()
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
	s.eachWord(r, func(w uint32) {
		if !slices.Contains(out, w) {
			out = append(out, w)
		}
	})
	return out
}

// locate finds the live record with an id. The caller holds write or mu.
func (x *Index) locate(id string) (location, bool) {
	for _, p := range x.parts {
		for r, to := p.find(id); r < to; r++ {
			if !p.isDead(r) {
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

// manyParts is how many parts of about one size are merged into one.
const manyParts = 16

// tidy merges small neighbouring segments so that their number stays logarithmic, and starts a merge of the last ones when they have become many, or
// of everything when the young or the dead have. The caller holds write.
func (x *Index) tidy() {
	for {
		n := len(x.parts)
		if n-2 < x.from+x.merging { // the parts a background merge rewrites stay
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
	if x.merging > 0 {
		return
	}
	if young := total - largest; young > max(2*inlineMerge, largest/4) || dead > max(2*inlineMerge, total/4) {
		x.beginMerge(0)
		return
	}
	if from := lastOf(x.parts); len(x.parts)-from >= manyParts {
		x.beginMerge(from)
	}
}

// lastOf returns the first of the last parts of which none has more than twice as many records as those after it together: so each record is merged about as
// often as the index has doubled since it came.
func lastOf(parts []*part) int {
	from, records := len(parts)-1, parts[len(parts)-1].records()
	for from > 0 && parts[from-1].records() <= 2*records {
		from--
		records += parts[from].records()
	}
	return from
}

// beginMerge begins a merge of the parts from one on, beside the work. The caller holds write, and no merge is under way.
func (x *Index) beginMerge(from int) {
	old := slices.Clone(x.parts[from:])
	x.from, x.merging = from, len(old)
	died := make([][]uint64, len(old))
	for i, p := range old {
		died[i] = slices.Clone(p.dead)
	}
	x.merges.Go(func() { x.finishMerge(old, died) })
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
	return newPart(mergeLive(parts, died))
}

// mergeLive lays out the records that are not in died. An id stands for one record at most.
func mergeLive(parts []*part, died [][]uint64) *segment {
	b := newBuilder()
	var d reader
	// The records of each part are in the order of their ids.
	next := make([]uint32, len(parts))
	skip := func(i int) bool {
		for next[i] < uint32(parts[i].records()) && died[i][next[i]/64]&(1<<(next[i]%64)) != 0 {
			next[i]++
		}
		return next[i] < uint32(parts[i].records())
	}
	for {
		least := -1
		for i, p := range parts {
			if skip(i) && (least < 0 || p.id(next[i]) < parts[least].id(next[least])) {
				least = i
			}
		}
		if least < 0 {
			return b.build()
		}
		b.add(d.read(parts[least].segment, next[least]))
		next[least]++
	}
}

// finishMerge builds one segment of the old parts beside the work, then brings it up to date and swaps it in. The merged parts are where they were:
// writers only append behind them while a merge is under way.
func (x *Index) finishMerge(old []*part, died [][]uint64) {
	p := newPart(mergeLive(old, died))
	x.write.Lock()
	defer x.write.Unlock()
	// Whatever died since the merge began dies in the merged segment too.
	for i, o := range old {
		for w := range o.dead {
			for since := o.dead[w] &^ died[i][w]; since != 0; since &= since - 1 {
				id := o.id(uint32(64*w + bits.TrailingZeros64(since)))
				for r, to := p.find(id); r < to; r++ {
					location{p, r}.kill()
				}
			}
		}
	}
	x.mu.Lock()
	x.parts = slices.Concat(x.parts[:x.from], []*part{p}, x.parts[x.from+x.merging:])
	x.number()
	x.mu.Unlock()
	x.from, x.merging = 0, 0
}

// settle waits for background merges. Tests use it.
func (x *Index) settle() { x.merges.Wait() }

// Bytes returns the memory the index's arrays hold.
func (x *Index) Bytes() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	n := 0
	for _, p := range x.parts {
		n += p.bytes() + 8*len(p.dead) + 2*len(p.numbers) + p.memory.bytes()
	}
	return n
}
