package chaos

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dibs-deals/dibs/internal/pack"
)

// entry is one row of the ledger, as the database holds it.
type entry struct {
	seq         uint64
	at          time.Time
	kind        string
	subject     string
	keyID, role string
	personID    string
	idem        string
	requestHash []byte
	answer      []byte
	body        []byte
	leaf        []byte
	chain       []byte
	size        uint64
	personal    []personal
	change      change
}

type personal struct {
	Field string `json:"field"`
	Salt  string `json:"salt"` // hexadecimal
	Value string `json:"value"`
}

// change is what a checker needs of an entry's body.
type change struct {
	Registrations []registration `json:"registrations"`
	Decision      *struct {
		RegistrationID string    `json:"registration_id"`
		Sequence       uint64    `json:"sequence"`
		At             time.Time `json:"at"`
		Outcome        string    `json:"outcome"`
		ReasonCodes    []string  `json:"reason_codes"`
	} `json:"decision"`
	Accounts []struct {
		ID            string `json:"id"`
		AnnualRevenue string `json:"annual_revenue"`
	} `json:"accounts"`
	Documents []struct {
		Kind   string `json:"kind"`
		Status string `json:"status"`
		Body   string `json:"body"`
	} `json:"documents"`
}

type registration struct {
	ID       string `json:"id"`
	Sequence uint64 `json:"sequence"`
	Status   string `json:"status"`
	Filing   struct {
		PartnerID string `json:"partner_id"`
	} `json:"filing"`
	Protection *window `json:"protection"`
	Hold       *window `json:"hold"`
}

type window struct {
	Scope struct {
		Lines []string `json:"lines"`
		Sites []string `json:"sites"`
	} `json:"scope"`
	StartsAt time.Time `json:"starts_at"`
	EndsAt   time.Time `json:"ends_at"`
	Shared   bool      `json:"shared"`
}

// event is something the outside was to be told.
type event struct {
	id   string
	seq  uint64
	kind string
}

// record is everything a checker looks at: the database when nobody writes to it any more.
type record struct {
	entries []entry
	events  []event
	head    struct {
		seq         uint64
		chain, root []byte
	}
	holders int // rows of live claims
}

// readRecord reads the database with statements of its own. micros is how it says an entry's time in microseconds.
func readRecord(ctx context.Context, db *sql.DB, micros string) (*record, error) {
	rec := &record{}
	dec, err := pack.New()
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	micro := func(n int64) time.Time { return time.UnixMicro(n).UTC() }
	err = each(ctx, db, `SELECT seq, `+micros+`, kind, subject, key_id, role, coalesce(person_id, ''), coalesce(idem_key, ''), request_hash, answer, encoding, body, leaf, chain, size FROM entry ORDER BY seq`,
		func(rows *sql.Rows) error {
			var e entry
			var at int64
			var encoding int
			err := rows.Scan(&e.seq, &at, &e.kind, &e.subject, &e.keyID, &e.role, &e.personID, &e.idem, &e.requestHash, &e.answer, &encoding, &e.body, &e.leaf, &e.chain, &e.size)
			if err != nil {
				return err
			}
			if e.body, err = dec.Unpack(encoding, e.body); err != nil {
				return fmt.Errorf("body of entry %d: %w", e.seq, err)
			}
			e.at = micro(at)
			if err := json.Unmarshal(e.body, &e.change); err != nil {
				return fmt.Errorf("body of entry %d: %w", e.seq, err)
			}
			rec.entries = append(rec.entries, e)
			return nil
		})
	if err != nil {
		return nil, err
	}
	at := make(map[uint64]int, len(rec.entries))
	for i := range rec.entries {
		at[rec.entries[i].seq] = i
	}
	err = each(ctx, db, `SELECT seq, doc FROM personal`, func(rows *sql.Rows) error {
		var seq uint64
		var doc []byte
		if err := rows.Scan(&seq, &doc); err != nil {
			return err
		}
		i, ok := at[seq]
		if !ok {
			return fmt.Errorf("personal data of entry %d, which is not there", seq)
		}
		if err := json.Unmarshal(doc, &rec.entries[i].personal); err != nil {
			return fmt.Errorf("personal data of entry %d: %w", seq, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, db, `SELECT id, seq, type FROM event ORDER BY seq`, func(rows *sql.Rows) error {
		var e event
		err := rows.Scan(&e.id, &e.seq, &e.kind)
		rec.events = append(rec.events, e)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := db.QueryRowContext(ctx, `SELECT seq, chain, root FROM head`).Scan(&rec.head.seq, &rec.head.chain, &rec.head.root); err != nil {
		return nil, err
	}
	return rec, db.QueryRowContext(ctx, `SELECT count(*) FROM holder`).Scan(&rec.holders)
}

// each visits the rows of a query.
func each(ctx context.Context, db *sql.DB, query string, visit func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := visit(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
