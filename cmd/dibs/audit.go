package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/gowebpki/jcs"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/ledger"
	"github.com/dibs-deals/dibs/internal/store"
)

// auditCmd is dibs audit: what the ledger proves.
type auditCmd struct {
	Checkpoint auditCheckpointCmd `cmd:"" help:"Print the signed checkpoint of the ledger."`
	Prove      auditProveCmd      `cmd:"" help:"Print the receipt of a registration, or of any entry."`
	Key        auditKeyCmd        `cmd:"" help:"Print the ledger's verification keys, to publish."`
	Verify     auditVerifyCmd     `cmd:"" help:"Verify the ledger and what follows from it, or a receipt."`
}

type auditCheckpointCmd struct{ databaseFlags }

// Run prints C2SP tlog-checkpoint text.
func (c *auditCheckpointCmd) Run(ctx context.Context, std stdio) error {
	st, signer, err := c.openSigned(ctx, false)
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	head, err := st.Head(ctx)
	if err != nil {
		return err
	}
	text, err := signer.Sign(head.Seq, head.Root)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(std.out, text)
	return err
}

// Help says more than its one line.
func (*auditKeyCmd) Help() string {
	return "The one in use first; then earlier ones, for the receipts they signed."
}

type auditKeyCmd struct{ databaseFlags }

// Run prints a verification key on each line: those of earlier signing keys after the one in use, for the receipts they signed.
func (c *auditKeyCmd) Run(ctx context.Context, std stdio) error {
	st, err := c.openEvidence(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	keys, err := st.Documents(ctx, deal.SignerDocument)
	if err != nil {
		return err
	}
	slices.SortFunc(keys, func(a, b deal.Document) int { return b.Version - a.Version })
	for _, live := range []bool{true, false} {
		for _, d := range keys {
			if (d.Status == deal.DocumentLive) == live {
				fmt.Fprintln(std.out, d.Body)
			}
		}
	}
	return nil
}

// Help says more than its one line.
func (*auditProveCmd) Help() string {
	return "Of a registration it is the receipt of its current decision."
}

type auditProveCmd struct {
	databaseFlags
	ID string `arg:"" help:"A registration's id, or an entry's sequence."`
}

// Run prints the receipt as JSON.
func (c *auditProveCmd) Run(ctx context.Context, std stdio) error {
	st, signer, err := c.openSigned(ctx, false)
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	seq, err := strconv.ParseUint(c.ID, 10, 63)
	if err != nil {
		seqs, err := st.DecisionSeqs(ctx, c.ID)
		if err != nil {
			return err
		}
		if len(seqs) == 0 {
			return fmt.Errorf("there is no registration %s", c.ID)
		}
		seq = seqs[len(seqs)-1]
	}
	r, err := engine.ReceiptOf(ctx, st, signer, seq)
	if err != nil {
		return err
	}
	return writeJSON(std.out, r)
}

type auditVerifyCmd struct {
	databaseFlags
	File       string   `arg:"" optional:"" type:"existingfile" help:"An answer with its receipt, or a receipt alone: verified offline, without a database."`
	Checkpoint string   `type:"existingfile" placeholder:"FILE" help:"A checkpoint saved earlier (dibs audit checkpoint): the ledger must still begin with what it was then."`
	Key        []string `placeholder:"VKEY" help:"Verification key to trust for FILE, or for the checkpoint. Without one the receipt's own is used, which shows only that it agrees with itself, or those of the ledger."`
	Format     string   `enum:"text,json" default:"text" help:"text or json."`
}

// Run verifies. It exits 1 when something is not as the ledger says.
func (c *auditVerifyCmd) Run(ctx context.Context, std stdio) error {
	switch {
	case c.File != "" && c.Checkpoint != "":
		return errors.New("--checkpoint is compared with a ledger, and FILE is verified without one: give one of them")
	case c.File != "":
		return c.receipt(std)
	case len(c.Key) > 0 && c.Checkpoint == "":
		return errors.New("--key is a key to trust for FILE or for --checkpoint: give one of them")
	}
	st, err := c.openEvidence(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	return c.ledger(ctx, std, st)
}

func (c *auditVerifyCmd) ledger(ctx context.Context, std stdio, st store.Store) error {
	began := time.Now()
	report, err := engine.Verify(ctx, st)
	if err != nil {
		return fmt.Errorf("the audit could not go on: %w", err)
	}
	if c.Checkpoint != "" {
		if err := c.extends(ctx, st, &report); err != nil {
			return err
		}
	}
	if c.Format == "json" {
		if err := writeJSON(std.out, report); err != nil {
			return err
		}
	} else {
		printProblems(std.out, &report)
		if report.Unseen != "" {
			fmt.Fprintln(std.out, report.Unseen)
		}
		verdict := "clean"
		if n := len(report.Problems); n > 0 {
			verdict = map[bool]string{true: "1 problem", false: fmt.Sprintf("%d problems", n)}[n == 1]
		}
		fmt.Fprintf(std.out, "%d entries, root %s: %s (%.1f s)\n", report.Entries, report.Root, verdict, time.Since(began).Seconds())
	}
	if len(report.Problems) > 0 {
		return errFound
	}
	return nil
}

func printProblems(w io.Writer, report *engine.Report) {
	for _, p := range report.Problems {
		where := "database"
		if p.Seq > 0 {
			where = fmt.Sprintf("entry %d", p.Seq)
		}
		fmt.Fprintf(w, "%s: %s: %s\n", where, p.What, p.Detail)
	}
}

// extends checks that the ledger still begins with what a saved checkpoint says: neither cut off nor written anew since.
func (c *auditVerifyCmd) extends(ctx context.Context, st store.Store, report *engine.Report) error {
	text, err := os.ReadFile(c.Checkpoint)
	if err != nil {
		return err
	}
	keys := c.Key
	if len(keys) == 0 {
		signers, err := st.Documents(ctx, deal.SignerDocument)
		if err != nil {
			return err
		}
		for _, d := range signers {
			keys = append(keys, d.Body)
		}
	}
	cp, err := ledger.OpenCheckpoint(string(text), keys...)
	if err != nil {
		return fmt.Errorf("--checkpoint %s: %w", c.Checkpoint, err)
	}
	found := func(format string, args ...any) {
		report.Problems = append(report.Problems, engine.Problem{What: "history", Detail: fmt.Sprintf(format, args...)})
	}
	if cp.Size > report.Entries {
		found("the checkpoint is of %d entries, the ledger has %d: entries are gone", cp.Size, report.Entries)
		return nil
	}
	root, err := ledger.RootOf(cp.Size, func(ix []int64) ([]ledger.Hash, error) { return st.Nodes(ctx, ix) })
	if err != nil {
		return err
	}
	if root != cp.Root {
		found("the first %d entries are not those of the checkpoint", cp.Size)
	}
	return nil
}

// receipt verifies a file offline: the receipt, and, when the answer came with it, that it is the answer proved.
func (c *auditVerifyCmd) receipt(std stdio) error {
	raw, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	var answer map[string]json.RawMessage
	if err := json.Unmarshal(raw, &answer); err != nil {
		return fmt.Errorf("%s is not JSON: %w", c.File, err)
	}
	whole := answer["receipt"] != nil
	var r ledger.Receipt
	part := raw
	if whole {
		part = answer["receipt"]
	}
	if err := json.Unmarshal(part, &r); err != nil {
		return fmt.Errorf("%s holds no receipt: %w", c.File, err)
	}
	leaf, cp, err := r.Verify(c.Key...)
	if err == nil && whole {
		delete(answer, "receipt")
		err = proves(leaf, answer)
	}
	if err != nil {
		fmt.Fprintf(std.out, "%s: not proved: %v\n", c.File, err)
		return errFound
	}
	if c.Format == "json" {
		return writeJSON(std.out, map[string]any{"sequence": leaf.Seq, "at": leaf.At, "kind": leaf.Kind, "subject": leaf.Subject, "answer": whole, "log": cp.Origin, "size": cp.Size})
	}
	what := "receipt"
	if whole {
		what = "answer and receipt"
	}
	fmt.Fprintf(std.out, "%s: %s proved: entry %d of %q, %s, %s of %s; log of %d entries\n", c.File, what, leaf.Seq, cp.Origin,
		leaf.At.Format(time.RFC3339Nano), leaf.Kind, leaf.Subject, cp.Size)
	if len(c.Key) == 0 {
		fmt.Fprintln(std.err, "verified with the key in the receipt itself; give --key with the key the vendor publishes")
	}
	return nil
}

// proves compares the answer with the digest in the leaf, in its canonical form (RFC 8785), which does not depend on
// how the JSON was stored or printed since.
func proves(leaf ledger.Leaf, answer map[string]json.RawMessage) error {
	b, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	canonical, err := jcs.Transform(b)
	if err != nil {
		return err
	}
	if sha256.Sum256(canonical) != leaf.Answer {
		return errors.New("the answer is not the one that was recorded")
	}
	return nil
}
