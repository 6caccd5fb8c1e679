package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/analysis/analyzer/simple"
	"github.com/jackc/pgx/v5"
	"github.com/xrash/smetrics"

	"github.com/dibs-deals/dibs/internal/match"
	"github.com/dibs-deals/dibs/internal/testserver"
)

func hashOf(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s))
	return h.Sum64()
}

// inProcess is a peer that works in this process.
type inProcess struct{}

func (inProcess) close() error { return nil }

func (inProcess) busy() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}

// ours is the matcher.
type ours struct {
	inProcess
	m *match.Model
	x *match.Index
}

func (p *ours) build(names []string) (int64, error) {
	p.m = match.Default()
	p.x = match.NewIndex(p.m)
	p.x.Load(func(yield func(match.Record) bool) {
		for i, n := range names {
			if !yield(match.Record{ID: strconv.Itoa(i), Names: []string{n}}) {
				return
			}
		}
	})
	bytes := int64(p.x.Bytes())
	for _, n := range names { // it keeps them itself
		bytes -= int64(len(n))
	}
	return bytes, nil
}

func (p *ours) find(name string) ([]uint32, error) {
	r := p.x.Search(p.m.Prepare(match.Record{Names: []string{name}}), match.Options{Limit: best})
	out := make([]uint32, len(r.Candidates))
	for i, c := range r.Candidates {
		n, err := strconv.ParseUint(c.ID, 10, 32)
		if err != nil {
			return nil, err
		}
		out[i] = uint32(n)
	}
	return out, nil
}

// trigrams is pg_trgm in a PostgreSQL server of its own.
type trigrams struct {
	inProcess
	least  float64
	server *testserver.Postgres
	conn   *pgx.Conn
	pid    uint32
}

func newTrigrams(least float64) (peer, error) {
	s, err := testserver.StartPostgres("shared_buffers=512MB", "maintenance_work_mem=1GB", "max_wal_size=8GB", "fsync=off", "jit=off")
	if err != nil {
		return nil, err
	}
	return &trigrams{least: least, server: s}, nil
}

func (p *trigrams) build(names []string) (bytes int64, err error) {
	ctx := context.Background()
	if p.conn, err = pgx.Connect(ctx, p.server.URL("postgres")); err != nil {
		return 0, err
	}
	p.pid = p.conn.PgConn().PID()
	for _, s := range []string{"CREATE EXTENSION pg_trgm", "CREATE UNLOGGED TABLE list (id int, name text)"} {
		if _, err := p.conn.Exec(ctx, s); err != nil {
			return 0, err
		}
	}
	i := 0
	_, err = p.conn.CopyFrom(ctx, pgx.Identifier{"list"}, []string{"id", "name"}, pgx.CopyFromFunc(func() ([]any, error) {
		if i == len(names) {
			return nil, nil
		}
		i++
		return []any{int32(i - 1), strings.ReplaceAll(names[i-1], "\x00", "")}, nil
	}))
	if err != nil {
		return 0, err
	}
	for _, s := range []string{"CREATE INDEX list_name ON list USING gin (name gin_trgm_ops)", "ANALYZE list", fmt.Sprintf("SET pg_trgm.similarity_threshold = %g", p.least)} {
		if _, err := p.conn.Exec(ctx, s); err != nil {
			return 0, err
		}
	}
	return bytes, p.conn.QueryRow(ctx, "SELECT pg_relation_size('list_name')").Scan(&bytes)
}

func (p *trigrams) find(name string) ([]uint32, error) {
	rows, err := p.conn.Query(context.Background(), "SELECT id FROM list WHERE name % $1 ORDER BY similarity(name, $1) DESC, id LIMIT $2", name, best)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[uint32])
}

// busy is the time of the server's process of the connection, and ours.
func (p *trigrams) busy() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: %q", p.pid, b)
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	own, err3 := p.inProcess.busy()
	return own + time.Duration(user+system)*time.Second/100, errors.Join(err1, err2, err3)
}

func (p *trigrams) close() (err error) {
	if p.conn != nil {
		err = p.conn.Close(context.Background())
	}
	return errors.Join(err, p.server.Remove())
}

// fullText is Bleve.
type fullText struct {
	inProcess
	dir   string
	index bleve.Index
}

func (p *fullText) build(names []string) (bytes int64, err error) {
	if p.dir, err = os.MkdirTemp("", "dibs-bleve-"); err != nil {
		return 0, err
	}
	m := bleve.NewIndexMapping()
	doc, name := bleve.NewDocumentStaticMapping(), bleve.NewTextFieldMapping()
	name.Analyzer, name.Store, name.IncludeInAll, name.IncludeTermVectors, name.DocValues = simple.Name, false, false, false, false
	doc.AddFieldMappingsAt("name", name)
	m.DefaultMapping = doc
	if p.index, err = bleve.New(filepath.Join(p.dir, "index"), m); err != nil {
		return 0, err
	}
	const together = 5000
	for from := 0; from < len(names); from += together {
		b := p.index.NewBatch()
		for i := from; i < min(from+together, len(names)); i++ {
			if err := b.Index(strconv.Itoa(i), map[string]any{"name": names[i]}); err != nil {
				return 0, err
			}
		}
		if err := p.index.Batch(b); err != nil {
			return 0, err
		}
	}
	return bytes, filepath.WalkDir(p.dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // merged away meanwhile
		}
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
}

func (p *fullText) find(name string) ([]uint32, error) {
	q := bleve.NewMatchQuery(name)
	q.SetField("name")
	q.SetFuzziness(1)
	r, err := p.index.Search(bleve.NewSearchRequestOptions(q, best, 0, false))
	if err != nil {
		return nil, err
	}
	var out []uint32
	for _, h := range r.Hits {
		n, err := strconv.ParseUint(h.ID, 10, 32)
		if err != nil {
			return nil, err
		}
		out = append(out, uint32(n))
	}
	return out, nil
}

func (p *fullText) close() (err error) {
	if p.index != nil {
		err = p.index.Close()
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}

// ranked is the best of a list by a score.
type ranked struct {
	at    [best]uint32
	score [best]float64
	n     int
}

func (r *ranked) offer(i uint32, score float64) {
	if r.n == best && score <= r.score[best-1] {
		return
	}
	at := r.n
	if r.n < best {
		r.n++
	} else {
		at--
	}
	for ; at > 0 && r.score[at-1] < score; at-- {
		r.at[at], r.score[at] = r.at[at-1], r.score[at-1]
	}
	r.at[at], r.score[at] = i, score
}

// cosine compares names by their letter trigrams, weighted by how rare each is.
type cosine struct {
	inProcess
	postings map[string][]uint32
	norm     []float32
	sum      []float32 // of the question at hand
	n        int
}

// grams returns each trigram of a name once.
func grams(name string) []string {
	s := " " + match.Normalise(name) + " "
	var out []string
	r := []rune(s)
	for i := 0; i+3 <= len(r); i++ {
		out = append(out, string(r[i:i+3]))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (p *cosine) weight(g string) float64 {
	return math.Log(float64(1+p.n) / float64(1+len(p.postings[g])))
}

func (p *cosine) build(names []string) (bytes int64, err error) {
	p.n, p.postings, p.norm, p.sum = len(names), map[string][]uint32{}, make([]float32, len(names)), make([]float32, len(names))
	for i, n := range names {
		for _, g := range grams(n) {
			p.postings[g] = append(p.postings[g], uint32(i))
		}
	}
	for g, list := range p.postings {
		w := p.weight(g)
		for _, i := range list {
			p.norm[i] += float32(w * w)
		}
		p.postings[g] = slices.Clip(list)
		bytes += int64(4*len(list) + len(g) + 40)
	}
	for i := range p.norm {
		p.norm[i] = float32(math.Sqrt(float64(p.norm[i])))
	}
	return bytes + int64(4*len(names)), nil
}

func (p *cosine) find(name string) ([]uint32, error) {
	clear(p.sum)
	for _, g := range grams(name) {
		w := float32(p.weight(g))
		for _, i := range p.postings[g] {
			p.sum[i] += w * w
		}
	}
	var r ranked
	for i, s := range p.sum {
		if s > 0 {
			r.offer(uint32(i), float64(s/p.norm[i]))
		}
	}
	return r.at[:r.n], nil
}

// scan compares a name with every one of the list, as they are once case and marks are folded.
type scan struct {
	inProcess
	like  func(a, b string) float64
	names []string
}

func (p *scan) build(names []string) (int64, error) {
	p.names = make([]string, len(names))
	for i, n := range names {
		p.names[i] = match.Normalise(n)
	}
	return 0, nil
}

func (p *scan) find(name string) ([]uint32, error) {
	var r ranked
	name = match.Normalise(name)
	for i, n := range p.names {
		r.offer(uint32(i), p.like(name, n))
	}
	return r.at[:r.n], nil
}

func jaroWinkler(a, b string) float64 { return smetrics.JaroWinkler(a, b, 0.7, 4) }

// editDistance is one less the distance over the longer length.
func editDistance(a, b string) float64 {
	return 1 - float64(levenshtein.ComputeDistance(a, b))/float64(max(utf8.RuneCountInString(a), utf8.RuneCountInString(b), 1))
}
