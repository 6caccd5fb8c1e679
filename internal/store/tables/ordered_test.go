package tables

import (
	"context"
	"errors"
	"strconv"
	"testing"
)

// numbers answers every query with the numbers below n, and fails at the end if it is to.
type numbers struct {
	n, at int
	err   error
}

func (r *numbers) Query(context.Context, string, ...any) (Rows, error) { return r, nil }
func (r *numbers) Next() bool                                          { r.at++; return r.at <= r.n }
func (r *numbers) Err() error                                          { return r.err }
func (r *numbers) Close() error                                        { return nil }
func (r *numbers) Scan(dest ...any) error {
	*dest[0].(*[]byte) = []byte(strconv.Itoa(r.at - 1))
	return nil
}

// TestOrdered: whatever number of rows there is, each is visited once and in order, and whoever fails ends it.
func TestOrdered(t *testing.T) {
	boom := errors.New("boom")
	for _, n := range []int{0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 50*chunk + 7} {
		for _, c := range []struct {
			name         string
			decode, stop int // the number that fails; -1: none
			rows         error
		}{{"all", -1, -1, nil}, {"decode", n / 2, -1, nil}, {"visit", -1, n / 3, nil}, {"rows", -1, -1, boom}} {
			if n == 0 && (c.decode >= 0 || c.stop >= 0) {
				continue
			}
			next := 0
			err := ordered(context.Background(), &numbers{n: n, err: c.rows}, "", nil, func(b []byte) (int, error) {
				i, err := strconv.Atoi(string(b))
				if i == c.decode {
					err = boom
				}
				return i, err
			}, func(i int) error {
				if i != next {
					t.Fatalf("%d rows, %s: %d after %d", n, c.name, i, next-1)
				}
				if next++; i == c.stop {
					return boom
				}
				return nil
			})
			if wrong := c.name != "all"; errors.Is(err, boom) != wrong || !wrong && next != n {
				t.Errorf("%d rows, %s: %d visited, %v", n, c.name, next, err)
			}
		}
	}
}
