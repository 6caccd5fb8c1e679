package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Total is what many rounds add up to.
type Total struct {
	Rounds       int
	Seconds      float64
	Acknowledged int
	Replayed     int
	Calls        int
	Deaths       int
	Points       map[string]int
	Faults       map[string]int
	Ends         int
	Partitions   int
	Undecided    int
	Double       int
	Lost         int
	Changed      int
	Order        int
	Others       int // violations that are none of the four
}

func (t *Total) add(r *Result) {
	t.Rounds++
	t.Seconds += r.Seconds
	t.Acknowledged += r.Acknowledged
	t.Replayed += r.Replayed
	t.Calls += r.Calls
	t.Deaths += r.Deaths
	t.Ends += r.Ends
	t.Partitions += r.Partitions
	t.Undecided += r.Undecided
	t.Double += r.Double
	t.Lost += r.Lost
	t.Changed += r.Changed
	t.Order += r.Order
	for check, n := range r.Counts {
		switch check {
		case "one holder", "lost", "changed", "twice", "order":
		default:
			t.Others += n
		}
	}
	if t.Points == nil {
		t.Points, t.Faults = map[string]int{}, map[string]int{}
	}
	for k, n := range r.Points {
		t.Points[k] += n
	}
	for k, n := range r.Faults {
		t.Faults[k] += n
	}
}

// Redis counts what befell Redis.
func (t *Total) Redis() (n int) {
	for _, k := range redisFaults {
		n += t.Faults[k]
	}
	return n
}

// String is one line.
func (t *Total) String() string {
	return fmt.Sprintf("%d rounds, %.1f min: %d acknowledged (%d asked again), %d replica deaths, %d PostgreSQL crashes, %d failovers, %d Redis faults, %d clock steps, %d windows ended, %d histories linearizable (%d undecided): double %d, lost %d, changed %d, order %d, other %d",
		t.Rounds, t.Seconds/60, t.Acknowledged, t.Replayed, t.Deaths, t.Faults["postgres crash"], t.Faults["failover"], t.Redis(), t.Faults["clock skew"]+t.Faults["clock jump"],
		t.Ends, t.Partitions-t.Undecided, t.Undecided, t.Double, t.Lost, t.Changed, t.Order, t.Others)
}

// ReadTotal adds up the rounds in a file of results, one JSON object a line. A file that is not there has none.
func ReadTotal(file string) (*Total, uint64, error) {
	t, last := &Total{}, uint64(0)
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return t, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var r Result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, 0, fmt.Errorf("%s: %w: take out the line that a broken run left", file, err)
		}
		t.add(&r)
		last = max(last, r.Seed)
	}
	return t, last, lines.Err()
}

// Soak runs rounds of fresh clusters until so many are done or the time is over, and adds each result to the file. The
// seed of a round is one more than the last one in the file. It returns the total of the file.
func Soak(ctx context.Context, cfg Config, file string, rounds int, limit time.Duration, out io.Writer) (*Total, error) {
	total, seed, err := ReadTotal(file)
	if err != nil {
		return nil, err
	}
	if total.Rounds > 0 {
		fmt.Fprintf(out, "so far: %s\n", total)
	}
	end := time.Now().Add(limit)
	for n := 0; (rounds == 0 || n < rounds) && (limit == 0 || time.Now().Before(end)) && ctx.Err() == nil; n++ {
		seed++
		cfg.Seed = seed
		res, err := Run(ctx, cfg)
		if ctx.Err() != nil {
			break // what was not waited for was not lost
		}
		if err != nil {
			return total, fmt.Errorf("round %d: %w", seed, err)
		}
		line, err := json.Marshal(res)
		if err != nil {
			return total, err
		}
		f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644) //nolint:gosec // results are for reading
		if err != nil {
			return total, err
		}
		_, err = f.Write(append(line, '\n'))
		if err = errors.Join(err, f.Close()); err != nil {
			return total, err
		}
		total.add(res)
		fmt.Fprintf(out, "%s\n", res)
		for _, v := range res.Violations {
			fmt.Fprintf(out, "  %s: %.600s\n", v.Check, v.Detail)
		}
		fmt.Fprintf(out, "total: %s\n", total)
	}
	return total, nil //nolint:nilerr // what Run says of being stopped is no error
}

// Clean reports whether nothing wrong was found.
func (t *Total) Clean() bool { return t.Double+t.Lost+t.Changed+t.Order+t.Others == 0 }
