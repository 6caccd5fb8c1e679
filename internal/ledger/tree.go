package ledger

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// Node is one stored hash of the tree. Index is tlog's: hashes in the order in which they become complete.
type Node struct {
	Index int64
	Hash  Hash
}

// Tree is the right edge of a Merkle tree: enough to append and to know the root. It is a value: a copy made by Clone
// is independent. It is not safe for concurrent use.
type Tree struct {
	size int64
	edge map[int64]tlog.Hash // roots of the complete subtrees that make up the tree
}

// NewTree returns the empty tree.
func NewTree() *Tree { return &Tree{edge: map[int64]tlog.Hash{}} }

// EdgeIndexes lists the stored hashes that a tree of the size needs to be opened.
func EdgeIndexes(size uint64) []int64 {
	out := make([]int64, 0, bits.OnesCount64(size))
	// The complete subtrees of n leaves are the ones of the binary digits of n, largest first.
	var start int64
	for level := 62; level >= 0; level-- {
		if width := int64(1) << level; int64(size)&width != 0 {
			out = append(out, tlog.StoredHashIndex(level, start>>level))
			start += width
		}
	}
	return out
}

// OpenTree returns the tree of the size whose stored hashes at EdgeIndexes(size) are given, in that order.
func OpenTree(size uint64, hashes []Hash) (*Tree, error) {
	indexes := EdgeIndexes(size)
	if len(indexes) != len(hashes) {
		return nil, fmt.Errorf("a tree of %d leaves has %d edge hashes, not %d", size, len(indexes), len(hashes))
	}
	t := &Tree{size: int64(size), edge: make(map[int64]tlog.Hash, len(indexes))}
	for i, x := range indexes {
		t.edge[x] = tlog.Hash(hashes[i])
	}
	return t, nil
}

// Clone returns an independent copy.
func (t *Tree) Clone() *Tree { return &Tree{size: t.size, edge: maps.Clone(t.edge)} }

// Size returns the number of leaves.
func (t *Tree) Size() uint64 { return uint64(t.size) }

// ReadHashes implements tlog.HashReader over the edge.
func (t *Tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		h, ok := t.edge[x]
		if !ok {
			return nil, fmt.Errorf("hash %d is not on the edge of a tree of %d leaves", x, t.size)
		}
		out[i] = h
	}
	return out, nil
}

// Append adds one leaf and returns the hashes to store for it.
func (t *Tree) Append(leaf []byte) ([]Node, error) {
	hashes, err := tlog.StoredHashesForRecordHash(t.size, tlog.RecordHash(leaf), t)
	if err != nil {
		return nil, fmt.Errorf("appending leaf %d: %w", t.size, err)
	}
	first := tlog.StoredHashIndex(0, t.size)
	nodes := make([]Node, len(hashes))
	for i, h := range hashes {
		nodes[i] = Node{Index: first + int64(i), Hash: Hash(h)}
		t.edge[first+int64(i)] = h
	}
	t.size++
	keep := EdgeIndexes(uint64(t.size))
	maps.DeleteFunc(t.edge, func(x int64, _ tlog.Hash) bool { return !slices.Contains(keep, x) })
	return nodes, nil
}

// Root returns the Merkle root. That of the empty tree is the hash of nothing, as RFC 6962 says.
func (t *Tree) Root() (Hash, error) {
	h, err := tlog.TreeHash(t.size, t)
	return Hash(h), err
}

// Reader reads stored hashes by index; it is what an engine of the store offers.
type Reader func(indexes []int64) ([]Hash, error)

// Prove returns the hashes that lead from leaf seq to the root of the tree of the size.
func Prove(seq, size uint64, read Reader) ([]Hash, error) {
	if seq == 0 || seq > size {
		return nil, fmt.Errorf("entry %d is not in a tree of %d entries", seq, size)
	}
	proof, err := tlog.ProveRecord(int64(size), int64(seq-1), hashReader(read))
	if err != nil {
		return nil, fmt.Errorf("proving entry %d in %d: %w", seq, size, err)
	}
	out := make([]Hash, len(proof))
	for i, h := range proof {
		out[i] = Hash(h)
	}
	return out, nil
}

// RootOf returns the root of the tree of the size from its stored hashes.
func RootOf(size uint64, read Reader) (Hash, error) {
	h, err := tlog.TreeHash(int64(size), hashReader(read))
	return Hash(h), err
}

type hashReader Reader

func (r hashReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes, err := r(indexes)
	if err != nil {
		return nil, err
	}
	out := make([]tlog.Hash, len(hashes))
	for i, h := range hashes {
		out[i] = tlog.Hash(h)
	}
	return out, nil
}
