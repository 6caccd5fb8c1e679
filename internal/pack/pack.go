// Package pack makes the bodies of entries smaller on their way to a database, and reads them again. What was packed once is read for ever: an encoding
// that has been used is never changed, and a better one gets a number of its own.
package pack

import (
	_ "embed"
	"fmt"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// How a body is stored.
const (
	plain = 0
	dense = 1 // zstd
	quick = 2 // S2, over a dictionary of what decisions say
)

const (
	// quickFrom is the size from which a body is worth packing: decisions are about 7 kB, and a sixth of it over the dictionary.
	quickFrom = 512
	// denseFrom is the size from which it is worth more time: imports are.
	denseFrom = 16 << 10
)

// decision is what bodies of decisions have in common: the words of the program, and three decisions of nobody's. What is not in it, such as a
// vendor's own rules, takes its place in full.
//
//go:embed decision.txt
var decision []byte

var dictionary = s2.MakeDictManual(decision, 0)

// Codec packs and unpacks. It is safe for concurrent use.
type Codec struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

// New makes a codec. The caller closes it.
func New() (*Codec, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0))
	if err != nil {
		return nil, err
	}
	return &Codec{enc, dec}, nil
}

// Close frees what the codec holds.
func (c *Codec) Close() { c.decoder.Close() }

// Pack returns the body as it is stored, and how. It may be written over room, or be the body itself.
func (c *Codec) Pack(body, room []byte) (encoding int, packed []byte) {
	switch {
	case len(body) < quickFrom:
		return plain, body
	case len(body) >= denseFrom:
		return dense, c.encoder.EncodeAll(body, room[:0])
	}
	if packed = dictionary.Encode(room[:cap(room)], body); len(packed) >= len(body) {
		return plain, body
	}
	return quick, packed
}

// Unpack returns the body of what Pack returned.
func (c *Codec) Unpack(encoding int, packed []byte) ([]byte, error) {
	switch encoding {
	case plain:
		return packed, nil
	case dense:
		return c.decoder.DecodeAll(packed, nil)
	case quick:
		if n, err := s2.DecodedLen(packed); err != nil || n >= denseFrom { // what was tampered with must not ask for the memory it likes
			return nil, fmt.Errorf("%d bytes: %w", n, s2.ErrCorrupt)
		}
		return dictionary.Decode(nil, packed)
	}
	return nil, fmt.Errorf("encoding %d is of a later version of dibs", encoding)
}
