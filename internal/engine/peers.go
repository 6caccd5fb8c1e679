package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/dibs-deals/dibs/internal/book"
	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/match"
	"github.com/dibs-deals/dibs/internal/store"
)

// Peers is the way to the other replicas of the store. Nothing it says is believed: it says when to look, and offers a
// picture of the accounts that the store vouches for. All but Fetch return at once.
type Peers interface {
	// Fetch returns the newest snapshot of the format whose digest the store names, with the entry it is of. No sections
	// and no error: there is none to be had. An error: what there was is not the snapshot.
	Fetch(ctx context.Context, format string) (store.Base, [][]byte, error)
	// Source is what the last snapshot was fetched from: redis or store.
	Source() string
	// Loaded is told how the world was read: on top of what Fetch returned, or not and why.
	Loaded(warm bool, err error)
	// Moved is told where the view is now, and whether by this replica's own commit.
	Moved(head store.Head, own bool)
	// Wake delivers when others may have committed what the view has not. It always returns the same channel.
	Wake() <-chan struct{}
	// State is up, down, or off when there is no Redis.
	State() string
}

// picture is the accounts and their index at one committed entry.
type picture struct {
	store.Base
	accounts book.Picture
	index    match.Picture
	err      error
}

// picture takes a picture of the view. The committer calls it, between commits.
func (e *Engine) picture() picture {
	v := e.view
	if e.broken.Load() || v.changes != v.anchored {
		return picture{err: deal.ErrUnavailable}
	}
	return picture{Base: v.base, accounts: v.accounts.Picture(), index: v.accountIndex.Picture()}
}

// Snapshot returns a picture of the accounts and their index as of one committed entry, in SnapshotFormat. The sections
// share the engine's memory and must not be changed. They hold no keys and no data of people.
func (e *Engine) Snapshot(ctx context.Context) (store.Base, [][]byte, error) {
	taken := make(chan picture, 1)
	select {
	case e.pictures <- taken:
	case <-e.stopped:
		return store.Base{}, nil, deal.ErrUnavailable
	case <-ctx.Done():
		return store.Base{}, nil, ctx.Err()
	}
	p := <-taken
	if p.err != nil {
		return store.Base{}, nil, p.err
	}
	accounts := p.accounts.Sections()
	if accounts == nil {
		return store.Base{}, nil, fmt.Errorf("the accounts do not fit in a snapshot")
	}
	return p.Base, append(append([][]byte{snapshotHead(e.SnapshotFormat(), p.Base)}, accounts...), p.index.Sections()...), nil
}

// snapshotHead is the first section: what the others are.
func snapshotHead(format string, b store.Base) []byte {
	return fmt.Appendf(nil, "dibs accounts\n%s\n%d %x\n", format, b.Seq, b.Chain)
}

// SnapshotFormat names what can read a snapshot of this engine: the layout of its sections, the matcher's model, and how
// this program reads names. Two programs with one format make the same of one account.
func (e *Engine) SnapshotFormat() string { return e.format() }

func snapshotFormat(m *match.Model) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %v\n", Generation, m.Ref())
	x := match.NewIndex(m)
	b := book.NewBuilder()
	for i := range samples {
		a := &samples[i]
		x.Upsert(match.FromAccount(a))
		b.Add(a)
	}
	for _, s := range append(b.Book().Picture().Sections(), x.Picture().Sections()...) {
		fmt.Fprintf(h, "%d\n", len(s))
		h.Write(s)
	}
	return fmt.Sprintf("%d.%d-%x", book.Version, match.SnapshotVersion, h.Sum(nil)[:12])
}

// samples are accounts that show how names and fields are read: a program that reads them otherwise makes other bytes of
// them, and so another format.
var samples = []deal.Account{
	{ID: "1", Name: "Siemens Energy AG & Co. KG", Aliases: []string{"Siemens Gas and Power (formerly)", "SE"}, Domain: "siemens-energy.com", Website: "https://www.siemens-energy.com", Country: "DE",
		Region: "DE-BY", City: "München", PostalCode: "81739", Street: "Otto-Hahn-Ring 6", Phone: "+49 (0)89 207084040", TaxID: "DE 325 765 444", Industry: "energy", Employees: 90000, Status: "customer", Owner: "u-1", Named: true},
	{ID: "2", Name: "St. Mary's Hosp. Dist. d/b/a Mercy Health Ctr", Domains: []string{"mercy.org", "http://intranet.mercy.example/x"}, Country: "US", Region: "TX", City: "St. Louis", DUNS: "08-146-6849", ParentID: "1"},
	{ID: "3", Name: "株式会社日立製作所", Country: "JP", City: "東京"},
	{ID: "4", Name: "ОАО «Газпром нефть»", Country: "RU", AnnualRevenue: "120000.50"},
	{ID: "5", Name: "Société Générale S.A.", LEI: "O2RNE8IBXP4R0TD8PU41", Country: "FR"},
	{ID: "6", Name: "广东美的集团股份有限公司", Aliases: []string{"Guangdong Midea Group Co., Ltd."}},
	{ID: "7", Name: "3M", Country: "US"}, {ID: "8", Name: "J.P.Morgan Chase Natl Assn II", Country: "US"}, {ID: "9", Name: "Intl Bus. Machines Corp (IBM)"},
	{ID: "10", Name: "Ørsted Vind A/S", Country: "DK"}, {ID: "11", Name: "University of California, Los Angeles - Dept. of Comp. Sci."}, {ID: "12", Name: "THE ACME GROUP OF COMPANIES (PTY) LTD T/A Acme"},
	{ID: "13", Name: "شركة أرامكو السعودية"}, {ID: "14", Name: "Ελληνική Τράπεζα"}, {ID: "15", Name: "삼성전자 주식회사"}, {ID: "16", Name: "Straßenbau Groß-Gerau e.K."}, {ID: "17", Name: "A"}, {ID: "18", Name: "!!!"},
}

// fetch returns the newest snapshot that the store vouches for, opened; nil: there is none to be had.
func (e *Engine) fetch(ctx context.Context) (*origin, error) {
	format := e.SnapshotFormat()
	base, sections, err := e.cfg.Peers.Fetch(ctx, format)
	if err != nil || sections == nil {
		return nil, err
	}
	return openOrigin(e.model, format, base, sections)
}

// openOrigin reads what Snapshot wrote.
func openOrigin(m *match.Model, format string, base store.Base, sections [][]byte) (*origin, error) {
	if len(sections) < 1+book.Sections || !bytes.Equal(sections[0], snapshotHead(format, base)) {
		return nil, fmt.Errorf("it is not a snapshot of entry %d in format %s", base.Seq, format)
	}
	on := &origin{Base: base}
	var err error
	if on.accounts, err = book.Open(sections[1 : 1+book.Sections]); err != nil {
		return nil, fmt.Errorf("its accounts cannot be read: %w", err)
	}
	if on.index, err = match.OpenIndex(m, sections[1+book.Sections:]); err != nil {
		return nil, fmt.Errorf("its index cannot be read: %w", err)
	}
	return on, nil
}

// Accounts returns how many accounts the view holds, and how many changes of accounts it has taken since it was read.
func (e *Engine) Accounts() (n int, changes uint64) {
	v := e.current.Load()
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.accounts.Len(), v.changes
}
