// Package ledger makes a sequence of byte strings provable: canonical leaves, a hash chain, a Merkle tree with signed
// checkpoints, inclusion proofs and receipts that are verified offline. It knows bytes, not deals and not SQL.
package ledger

// Signer signs checkpoints.
type Signer struct{}

// Receipt proves that one leaf is in the ledger, to anyone who holds the verification key.
type Receipt struct {
	Leaf  string `json:"leaf"`  // base64 of the leaf's canonical bytes
	Proof string `json:"proof"` // C2SP tlog-proof text: index, hashes, signed checkpoint
	Key   string `json:"key"`   // the verification key, for convenience; compare it with the published one
}
