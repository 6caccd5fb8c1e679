// Package flat keeps slices of numbers as little-endian bytes, and reads them from bytes without looking at each where
// the processor has them that way too.
package flat

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Number is what a slice may be of.
type Number interface {
	~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32
}

// littleEndian reports the order of this processor.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// Bytes returns v as little-endian bytes. They may share the memory of v.
func Bytes[T Number](v []T) []byte {
	if len(v) == 0 {
		return nil
	}
	size := int(unsafe.Sizeof(v[0]))
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), size*len(v))
	if !littleEndian {
		b = slices.Clone(b)
		swap(b, size)
	}
	return b
}

// Of is the inverse of Bytes. The numbers may share the memory of b, which must not change then. It is an error if b ends
// within a number.
func Of[T Number](b []byte) ([]T, error) {
	var zero T
	size := int(unsafe.Sizeof(zero))
	if len(b)%size != 0 {
		return nil, fmt.Errorf("%d bytes do not hold numbers of %d bytes", len(b), size)
	}
	if len(b) == 0 {
		return nil, nil
	}
	if littleEndian && uintptr(unsafe.Pointer(unsafe.SliceData(b)))%unsafe.Alignof(zero) == 0 {
		return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/size), nil
	}
	v := make([]T, len(b)/size)
	own := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(b))
	copy(own, b)
	if !littleEndian {
		swap(own, size)
	}
	return v, nil
}

// swap turns every number of b around.
func swap(b []byte, size int) {
	for i := 0; i < len(b); i += size {
		slices.Reverse(b[i : i+size])
	}
}

// Rising reports whether offsets begin with 0, never fall, and end with end: n pieces that fill their place.
func Rising(offsets []uint32, n, end int) bool {
	if n < 0 || len(offsets) != n+1 || offsets[0] != 0 || uint64(offsets[n]) != uint64(end) {
		return false
	}
	for i := 1; i < len(offsets); i++ {
		if offsets[i] < offsets[i-1] {
			return false
		}
	}
	return true
}

// All asks ok about every number below n, on all processors, and returns one that is not, or -1.
func All(n int, ok func(i int) bool) int {
	const batch = 4096
	var next, bad atomic.Int64
	bad.Store(-1)
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 1+n/batch) {
		wg.Go(func() {
			for bad.Load() < 0 {
				from := int(next.Add(batch)) - batch
				for i := from; i < min(from+batch, n); i++ {
					if !ok(i) {
						bad.Store(int64(i))
						return
					}
				}
				if from >= n {
					return
				}
			}
		})
	}
	wg.Wait()
	return int(bad.Load())
}
