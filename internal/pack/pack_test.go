package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
)

func codec(tb testing.TB) *Codec {
	tb.Helper()
	c, err := New()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

// TestFrozen holds the dictionary, and what was packed over it, to what they were when the first body was.
func TestFrozen(t *testing.T) {
	if got := sha256.Sum256(decision); hex.EncodeToString(got[:]) != "d65fc35a2493d3d75d745222906321b0535a0560a0e864201d6a03ec7af9f42f" {
		t.Errorf("the dictionary has changed (%x): what is packed over the old one cannot be read any more. Give the new one an encoding of its own", got)
	}
	packed, err := hex.DecodeString("c304007b6ec10700313a4d1c28323032362d30303030303132311900333ea5198619194a2b54005d4e7715514c0c3a2244452a091436a4144ed913007d86670f006199dc445a616e7a69626172204f726368657374726146d904003556be0411a259340444453de6aa25033ad8021078202f20791d4a76c902085d7d5d4ef811f2d8100868656c0ece10150010184544227d5d7d7d")
	if err != nil {
		t.Fatal(err)
	}
	c := codec(t)
	if got, err := c.Unpack(quick, packed); err != nil || string(got) != sample {
		t.Errorf("unpacked %q, %v", got, err)
	}
	if _, got := c.Pack([]byte(sample), nil); !bytes.Equal(got, packed) {
		t.Logf("it is packed otherwise now, which is no harm: %x", got)
	}
}

var sample = `{"registrations":[{"id":"reg_1","number":"DR-2026-000001","sequence":3}],"decision":{"outcome":"route","reason_codes":["ALREADY_REGISTERED"],` +
	`"facts":{"customer.country":"DE","partner.active":true,"reg.all_lines":false},"candidates":{"accounts":[{"id":"a","name":"Zanzibar Orchestra","probability":0.5,` +
	`"evidence":[{"term":"country","value":"DE","weight":0.6437,"text":"the same country"},{"term":"city","value":"x / y","weight":-2.2824,"text":"another city"}]}]},` +
	`"trace":[{"rule":"protect","title":"Standard protection","result":"lost","by":"held","detail":"protect PROTECTED"}]}}`

func TestRound(t *testing.T) {
	c := codec(t)
	noise := make([]byte, 3*denseFrom)
	for i, h := 0, sha256.Sum256(nil); i < len(noise); i, h = i+copy(noise[i:], h[:]), sha256.Sum256(h[:]) {
	}
	text := []byte(strings.Repeat(sample, 1+3*denseFrom/len(sample)))
	room := make([]byte, 0, 64)
	for _, from := range [][]byte{noise, text, decision} {
		for _, n := range []int{0, 1, quickFrom - 1, quickFrom, quickFrom + 1, 5000, denseFrom - 1, denseFrom, denseFrom + 1, len(from)} {
			body := from[:min(n, len(from))]
			was := bytes.Clone(body)
			encoding, packed := c.Pack(body, room)
			if len(packed) > len(body)+16 {
				t.Errorf("%d bytes become %d", len(body), len(packed))
			}
			got, err := c.Unpack(encoding, packed)
			if err != nil || !bytes.Equal(got, was) {
				t.Errorf("%d bytes, encoding %d: not the same again: %v", len(body), encoding, err)
			}
			if encoding != plain {
				room = packed
			}
		}
	}
	if encoding, packed := c.Pack([]byte(sample), nil); encoding != quick || len(packed) > len(sample)/2 {
		t.Errorf("%d bytes of what decisions say become %d, encoding %d", len(sample), len(packed), encoding)
	}
}

// TestTampered reads what is nothing that was packed.
func TestTampered(t *testing.T) {
	c := codec(t)
	_, packed := c.Pack([]byte(sample), nil)
	huge := append([]byte{0xff, 0xff, 0xff, 0xff, 0x0f}, packed...)
	for _, b := range [][]byte{nil, packed[:len(packed)-1], packed[3:], huge, s2.Encode(nil, make([]byte, denseFrom))} {
		if got, err := c.Unpack(quick, b); err == nil {
			t.Errorf("%d bytes are read as %d", len(b), len(got))
		}
	}
	if _, err := c.Unpack(3, packed); err == nil {
		t.Error("an encoding there is not is read")
	}
}

func BenchmarkPack(b *testing.B) {
	c := codec(b)
	body := decision[len(decision)-7000:]
	var room []byte
	for b.Loop() {
		_, room = c.Pack(body, room)
	}
}
