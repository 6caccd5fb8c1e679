package ledger

import (
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

func sampleLeaf(seq uint64) Leaf {
	return Leaf{
		Seq: seq, At: time.UnixMicro(1_795_000_000_123_456).UTC(), Kind: "registration.decided", Subject: "reg_1", Actor: "key_1",
		Request: Hash{1}, Prev: Hash{2}, Answer: Hash{3}, Body: Hash{4},
		Commitments: []Commitment{Commit("contact.email", []byte("salt"), "a@b.example"), Commit("description", []byte("pepper"), "")},
	}
}

// TestLeafFrozen holds the bytes of version 1. It must never be changed: leaves that are written are hashed for ever.
func TestLeafFrozen(t *testing.T) {
	l := sampleLeaf(7)
	const want = "646962732f6c6561662f763100000000000000070006608b0161124014726567697374726174696f6e2e64656369646564057265675f31056b65795f31" +
		"0100000000000000000000000000000000000000000000000000000000000000" +
		"0200000000000000000000000000000000000000000000000000000000000000" +
		"0300000000000000000000000000000000000000000000000000000000000000" +
		"0400000000000000000000000000000000000000000000000000000000000000" +
		"020d636f6e746163742e656d61696c8ccca53dd9b75642101e14c56da08d3dedf81213aeec8fd7b1bf7e02d669d254" +
		"0b6465736372697074696f6ee437705483d12e88afbe48b5139ce954d4d6611982729bec81cee1915353ba44"
	got := hex.EncodeToString(l.Bytes())
	if got != want {
		t.Fatalf("leaf bytes changed:\n got %s\nwant %s", got, want)
	}
	const chain = "3660b236ee99f9e05add85a65d621d92400a95752a62003958c209cb67eea241"
	c := Chain(Hash{}, l.Bytes())
	if got := hex.EncodeToString(c[:]); got != chain {
		t.Fatalf("chain changed: got %s want %s", got, chain)
	}
}

func TestLeafRoundTrip(t *testing.T) {
	l := sampleLeaf(3)
	b := l.Bytes()
	back, err := ParseLeaf(b)
	if err != nil {
		t.Fatal(err)
	}
	if string(back.Bytes()) != string(b) || back.Commitments[1].Field != "description" {
		t.Fatalf("came back as %+v", back)
	}
	for i := range b {
		if _, err := ParseLeaf(b[:i]); err == nil {
			t.Fatalf("accepted the first %d of %d bytes", i, len(b))
		}
	}
	if _, err := ParseLeaf(append(b, 0)); err == nil {
		t.Fatal("accepted a trailing byte")
	}
}

func FuzzParseLeaf(f *testing.F) {
	l := sampleLeaf(1)
	f.Add(l.Bytes())
	f.Add([]byte(leafV1))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseLeaf(b)
		if err == nil && string(l.Bytes()) != string(b) {
			t.Fatalf("two encodings of one leaf: %x", b)
		}
	})
}

type memory map[int64]Hash

func (m memory) read(indexes []int64) ([]Hash, error) {
	out := make([]Hash, len(indexes))
	for i, x := range indexes {
		h, ok := m[x]
		if !ok {
			panic(x)
		}
		out[i] = h
	}
	return out, nil
}

// TestTreeAgainstTlog grows a tree leaf by leaf, reopening it from its edge on the way, and compares every root and
// every proof with tlog's own over the full set of hashes.
func TestTreeAgainstTlog(t *testing.T) {
	signer, _, err := NewSigner("dibs.example/log")
	if err != nil {
		t.Fatal(err)
	}
	nodes, tree := memory{}, NewTree()
	var leaves [][]byte
	for seq := uint64(1); seq <= 130; seq++ {
		l := sampleLeaf(seq)
		leaves = append(leaves, l.Bytes())
		added, err := tree.Append(l.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range added {
			nodes[n.Index] = n.Hash
		}
		root, err := tree.Root()
		if err != nil {
			t.Fatal(err)
		}
		full, err := RootOf(seq, nodes.read)
		if err != nil || full != root {
			t.Fatalf("size %d: root %x, tlog says %x (%v)", seq, root, full, err)
		}
		edge, _ := nodes.read(EdgeIndexes(seq))
		if tree, err = OpenTree(seq, edge); err != nil {
			t.Fatal(err)
		}
		text, err := signer.Sign(seq, root)
		if err != nil {
			t.Fatal(err)
		}
		for i := uint64(1); i <= seq; i += 1 + seq/7 {
			proof, err := Prove(i, seq, nodes.read)
			if err != nil {
				t.Fatal(err)
			}
			leaf, cp, err := NewReceipt(leaves[i-1], i, proof, text, signer.Key()).Verify(signer.Key())
			if err != nil || leaf.Seq != i || cp.Size != seq {
				t.Fatalf("entry %d of %d: %v", i, seq, err)
			}
		}
	}
	if n := tlog.StoredHashCount(130); int64(len(nodes)) != n {
		t.Fatalf("%d hashes stored, want %d", len(nodes), n)
	}
}

// TestReceiptTamper changes every byte of a receipt in turn. None may pass.
func TestReceiptTamper(t *testing.T) {
	signer, _, err := NewSigner("dibs.example/log")
	if err != nil {
		t.Fatal(err)
	}
	nodes, tree := memory{}, NewTree()
	for seq := uint64(1); seq <= 11; seq++ {
		l := sampleLeaf(seq)
		added, _ := tree.Append(l.Bytes())
		for _, n := range added {
			nodes[n.Index] = n.Hash
		}
	}
	root, _ := tree.Root()
	text, _ := signer.Sign(11, root)
	proof, _ := Prove(5, 11, nodes.read)
	l := sampleLeaf(5)
	good := NewReceipt(l.Bytes(), 5, proof, text, signer.Key())
	if _, _, err := good.Verify(signer.Key()); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	tried := 0
	for _, part := range []func(*Receipt) *string{func(r *Receipt) *string { return &r.Leaf }, func(r *Receipt) *string { return &r.Proof }} {
		for i := range *part(&good) {
			for range 4 {
				bad := good
				b := []byte(*part(&bad))
				if c := byte(rng.UintN(256)); c != b[i] {
					b[i] = c
				} else {
					b[i] ^= 1
				}
				*part(&bad) = string(b)
				tried++
				if _, _, err := bad.Verify(signer.Key()); err == nil {
					t.Fatalf("accepted a change of byte %d to %q: %q", i, b[i], b)
				}
			}
		}
	}
	other, _, _ := NewSigner("dibs.example/log")
	if _, _, err := good.Verify(other.Key()); err == nil {
		t.Fatal("accepted under another key")
	}
	if tried < 2000 {
		t.Fatalf("only %d changes tried", tried)
	}
}

func TestSignerFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.key")
	a, err := OpenSigner(path, "dibs.example/log")
	if err != nil {
		t.Fatal(err)
	}
	b, err := OpenSigner(path, "ignored")
	if err != nil {
		t.Fatal(err)
	}
	if a.Key() != b.Key() {
		t.Fatal("reading the file gave another key")
	}
	if _, err := ParseSigner("PRIVATE+KEY+nonsense\nx"); err == nil || strings.Contains(err.Error(), "nonsense") {
		t.Fatalf("a bad key must be refused without quoting it: %v", err)
	}
}

func TestCommitSeparatesFieldAndValue(t *testing.T) {
	a, b := Commit("ab", []byte("s"), "c"), Commit("a", []byte("s"), "bc")
	if a.MAC == b.MAC {
		t.Fatal("field and value run together")
	}
	if base64.StdEncoding.EncodeToString(a.MAC[:]) == base64.StdEncoding.EncodeToString(b.MAC[:]) {
		t.Fatal("encodings equal")
	}
}
