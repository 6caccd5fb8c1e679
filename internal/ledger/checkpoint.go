package ledger

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Signer signs checkpoints with an Ed25519 key under a name, the origin of the log.
type Signer struct {
	origin string
	signer note.Signer
	verify string
	secret []byte // the signing key, as its file has it

	mu   sync.Mutex // guards last
	last struct {
		size uint64
		root Hash
		text string
	}
}

// NewSigner makes a new key. origin names the log, without spaces or plus signs. The returned secret is to be kept in
// a file of its own; it is never in the database.
func NewSigner(origin string) (s *Signer, secret string, err error) {
	secret, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return nil, "", fmt.Errorf("making a signing key: %w", err)
	}
	secret += "\n" + vkey + "\n"
	s, err = ParseSigner(secret)
	return s, secret, err
}

// ParseSigner reads the secret that NewSigner made: the signing key and, on the next line, the verification key.
func ParseSigner(secret string) (*Signer, error) {
	skey, vkey, ok := strings.Cut(strings.TrimSpace(secret), "\n")
	if !ok {
		return nil, errors.New("a signing key file has two lines: the signing key and the verification key")
	}
	signer, err := note.NewSigner(strings.TrimSpace(skey))
	if err != nil {
		return nil, errors.New("the first line is not a signing key") // the cause would quote the secret
	}
	v, err := note.NewVerifier(strings.TrimSpace(vkey))
	if err != nil {
		return nil, fmt.Errorf("the second line is not a verification key: %w", err)
	}
	if v.KeyHash() != signer.KeyHash() || v.Name() != signer.Name() {
		return nil, errors.New("the signing key and the verification key do not belong together")
	}
	return &Signer{origin: signer.Name(), signer: signer, verify: strings.TrimSpace(vkey), secret: []byte(strings.TrimSpace(skey))}, nil
}

// OpenSigner reads the key file at path, or makes one, readable by its owner only, when there is none.
func OpenSigner(path, origin string) (*Signer, error) {
	b, err := os.ReadFile(path)
	if err == nil {
		s, err := ParseSigner(string(b))
		if err != nil {
			return nil, fmt.Errorf("signing key %s: %w", path, err)
		}
		return s, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	s, secret, err := NewSigner(origin)
	if err != nil {
		return nil, err
	}
	// Written aside and linked into place: two processes that start at once agree on one key.
	tmp, err := os.CreateTemp(filepath.Dir(path), ".key-*")
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, werr := tmp.WriteString(secret)
	if err := errors.Join(werr, tmp.Sync(), tmp.Close()); err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	switch err := os.Link(tmp.Name(), path); {
	case errors.Is(err, fs.ErrExist):
		return OpenSigner(path, origin)
	case err != nil:
		return nil, fmt.Errorf("signing key: %w", err)
	}
	return s, nil
}

// Key returns the verification key, in the form of golang.org/x/mod/sumdb/note.
func (s *Signer) Key() string { return s.verify }

// Secret returns a secret for one purpose that whoever has this key can derive, and nobody else: what replicas, which have one
// key, keep in common without asking each other. It says nothing of the key, nor of the secret of another purpose.
func (s *Signer) Secret(purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, s.secret, nil, "dibs "+purpose, 32)
}

// Sign returns the signed checkpoint of a tree: C2SP tlog-checkpoint text. Ed25519 is deterministic, so the same tree
// gives the same bytes for as long as the key lives. All answers of one commit carry the checkpoint of one tree, which
// is signed once.
func (s *Signer) Sign(size uint64, root Hash) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last.text != "" && s.last.size == size && s.last.root == root {
		return s.last.text, nil
	}
	text := s.origin + "\n" + strconv.FormatUint(size, 10) + "\n" + base64.StdEncoding.EncodeToString(root[:]) + "\n"
	b, err := note.Sign(&note.Note{Text: text}, s.signer)
	if err != nil {
		return "", fmt.Errorf("signing the checkpoint of %d entries: %w", size, err)
	}
	s.last.size, s.last.root, s.last.text = size, root, string(b)
	return s.last.text, nil
}

// Checkpoint is a verified statement of a log: it had this many leaves, and this was their root.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   Hash
}

// OpenCheckpoint verifies a signed checkpoint with any of the verification keys.
func OpenCheckpoint(text string, keys ...string) (Checkpoint, error) {
	var vs []note.Verifier
	for _, k := range keys {
		v, err := note.NewVerifier(k)
		if err != nil {
			return Checkpoint{}, fmt.Errorf("verification key: %w", err)
		}
		vs = append(vs, v)
	}
	n, err := note.Open([]byte(text), note.VerifierList(vs...))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	// Signatures by unknown keys are ignored by note.Open. Here nothing else may ride along: what is not checked must
	// not be accepted, or a receipt could be changed without anyone noticing.
	if len(n.UnverifiedSigs) > 0 {
		return Checkpoint{}, errors.New("checkpoint: it carries a signature that none of the keys can check")
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return Checkpoint{}, errors.New("checkpoint: not the three lines origin, size, root")
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	if err != nil || strconv.FormatUint(size, 10) != lines[1] {
		return Checkpoint{}, fmt.Errorf("checkpoint: %q is not a size", lines[1])
	}
	root, err := parseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: root: %w", err)
	}
	if lines[0] != n.Sigs[0].Name {
		return Checkpoint{}, fmt.Errorf("checkpoint: of %q but signed by %q", lines[0], n.Sigs[0].Name)
	}
	if again, ok := strings.CutPrefix(text, n.Text+"\n"); !ok || !canonicalSignatures(again) {
		return Checkpoint{}, errors.New("checkpoint: signature lines are not in canonical form")
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: root}, nil
}

// canonicalSignatures reports whether every signature line is the one way of writing its bytes: base64 has twins that
// differ in unused trailing bits, and a changed byte must never pass.
func canonicalSignatures(s string) bool {
	for line := range strings.Lines(s) {
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || !strings.HasSuffix(line, "\n") {
			return false
		}
		if _, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSuffix(line[i+1:], "\n")); err != nil {
			return false
		}
	}
	return true
}

func parseHash(s string) (h Hash, err error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(h) || base64.StdEncoding.EncodeToString(b) != s {
		return h, fmt.Errorf("%q is not a base64 SHA-256 hash", s)
	}
	return Hash(b), nil
}

// Receipt proves to anyone with the verification key that one leaf is in the ledger.
type Receipt struct {
	Leaf  string `json:"leaf"`  // base64 of the leaf's canonical bytes
	Proof string `json:"proof"` // C2SP tlog-proof: index, hashes, signed checkpoint
	Key   string `json:"key"`   // the verification key; a careful reader compares it with the published one
}

const proofTag = "c2sp.org/tlog-proof@v1"

// NewReceipt assembles a receipt from a leaf, its proof and the signed checkpoint the proof leads to.
func NewReceipt(leaf []byte, seq uint64, proof []Hash, checkpoint, key string) Receipt {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nindex %d\n", proofTag, seq-1)
	for _, h := range proof {
		b.WriteString(base64.StdEncoding.EncodeToString(h[:]) + "\n")
	}
	b.WriteString("\n" + checkpoint)
	return Receipt{Leaf: base64.StdEncoding.EncodeToString(leaf), Proof: b.String(), Key: key}
}

// Verify checks the receipt against trusted verification keys (none given: the receipt's own, which proves only that
// the receipt is consistent with itself) and returns the leaf and the checkpoint it is proved under.
func (r Receipt) Verify(keys ...string) (Leaf, Checkpoint, error) {
	if len(keys) == 0 {
		keys = []string{r.Key}
	}
	fail := func(err error) (Leaf, Checkpoint, error) {
		return Leaf{}, Checkpoint{}, fmt.Errorf("receipt: %w", err)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(r.Leaf)
	if err != nil || base64.StdEncoding.EncodeToString(raw) != r.Leaf {
		return fail(errors.New("the leaf is not canonical base64"))
	}
	leaf, err := ParseLeaf(raw)
	if err != nil {
		return fail(err)
	}
	head, checkpoint, ok := strings.Cut(r.Proof, "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || len(lines) < 2 || lines[0] != proofTag {
		return fail(fmt.Errorf("the proof is not a %s text", proofTag))
	}
	if want := "index " + strconv.FormatUint(leaf.Seq-1, 10); lines[1] != want {
		return fail(fmt.Errorf("the proof is for %q, the leaf for %q", lines[1], want))
	}
	var proof tlog.RecordProof
	for _, l := range lines[2:] {
		h, err := parseHash(l)
		if err != nil {
			return fail(err)
		}
		proof = append(proof, tlog.Hash(h))
	}
	cp, err := OpenCheckpoint(checkpoint, keys...)
	if err != nil {
		return fail(err)
	}
	if leaf.Seq == 0 || leaf.Seq > cp.Size {
		return fail(fmt.Errorf("entry %d is not in a log of %d entries", leaf.Seq, cp.Size))
	}
	if err := tlog.CheckRecord(proof, int64(cp.Size), tlog.Hash(cp.Root), int64(leaf.Seq-1), tlog.RecordHash(raw)); err != nil {
		return fail(errors.New("the proof does not lead from the leaf to the signed root"))
	}
	return leaf, cp, nil
}
