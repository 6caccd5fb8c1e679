package flat

import (
	"math"
	"slices"
	"sync/atomic"
	"testing"
)

func TestBytes(t *testing.T) {
	v := []uint32{1, 0x01020304, math.MaxUint32}
	b := Bytes(v)
	if want := []byte{1, 0, 0, 0, 4, 3, 2, 1, 255, 255, 255, 255}; !slices.Equal(b, want) {
		t.Fatalf("%v, want %v", b, want)
	}
	for shift := range 4 { // wherever the bytes lie
		moved := append(make([]byte, shift), b...)[shift:]
		if got, err := Of[uint32](moved); err != nil || !slices.Equal(got, v) {
			t.Errorf("shifted by %d: %v, %v", shift, got, err)
		}
	}
	if got, err := Of[float32](Bytes([]float32{-1.5, 0})); err != nil || !slices.Equal(got, []float32{-1.5, 0}) {
		t.Errorf("%v, %v", got, err)
	}
	for n := range 8 {
		if _, err := Of[uint64](make([]byte, n)); (err != nil) != (n%8 != 0) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	swapped := slices.Clone(b)
	swap(swapped, 4)
	if want := []byte{0, 0, 0, 1, 1, 2, 3, 4, 255, 255, 255, 255}; !slices.Equal(swapped, want) {
		t.Errorf("turned around: %v", swapped)
	}
}

func TestRising(t *testing.T) {
	for _, c := range []struct {
		offsets []uint32
		n, end  int
		want    bool
	}{
		{[]uint32{0, 2, 2, 5}, 3, 5, true}, {[]uint32{0}, 0, 0, true}, {nil, 0, 0, false}, {nil, -1, 0, false}, {[]uint32{0, 3, 2}, 2, 2, false}, {[]uint32{1, 2}, 1, 2, false}, {[]uint32{0, 2}, 1, 3, false}, {[]uint32{0, 2}, 2, 2, false},
	} {
		if got := Rising(c.offsets, c.n, c.end); got != c.want {
			t.Errorf("%v, %d to %d: %v", c.offsets, c.n, c.end, got)
		}
	}
}

func TestAll(t *testing.T) {
	for _, n := range []int{0, 1, 4095, 4096, 4097, 20_000} {
		var asked atomic.Int64
		if bad := All(n, func(int) bool { asked.Add(1); return true }); bad != -1 || asked.Load() != int64(n) {
			t.Errorf("of %d: %d asked, %d bad", n, asked.Load(), bad)
		}
		if n > 0 {
			if bad := All(n, func(i int) bool { return i != n-1 }); bad != n-1 {
				t.Errorf("the last of %d is bad, not %d", n, bad)
			}
		}
	}
}
