package server

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/api"
	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

// API keys and the ledger: what only the vendor's own people call.

// ListKeys lists API keys without their secrets.
func (s handlers) ListKeys(ctx context.Context, _ api.ListKeysRequestObject) (api.ListKeysResponseObject, error) {
	keys, err := s.engine.Store().Keys(ctx)
	if err != nil {
		return nil, err
	}
	items := make([]api.Key, len(keys))
	for i, k := range keys {
		items[i] = keyView(k)
	}
	return whole(items)
}

// CreateKey makes an API key and shows its token, once.
func (s handlers) CreateKey(ctx context.Context, q api.CreateKeyRequestObject) (api.CreateKeyResponseObject, error) {
	role := string(q.Body.Role)
	var wrong deal.FieldErrors
	switch {
	case !slices.Contains(deal.Roles, role):
		wrong.Add("role", "must be one of %s", strings.Join(deal.Roles, ", "))
	case role == "portal" && len(q.Body.PartnerIds) == 0:
		wrong.Add("partner_ids", "a portal key needs the ids of its partners, or *")
	case role != "portal" && len(q.Body.PartnerIds) > 0:
		wrong.Add("partner_ids", "only a portal key has partners")
	}
	for i, id := range q.Body.PartnerIds {
		if strings.TrimSpace(id) != id || !plain(id, deal.MaxName) || id == "" {
			wrong.Add("partner_ids["+strconv.Itoa(i)+"]", "is not a partner id")
		}
	}
	if len(q.Body.PartnerIds) > 1000 {
		wrong.Add("partner_ids", "has more than 1000 elements; use *")
	}
	if id := q.Body.PersonID; strings.TrimSpace(id) != id || !plain(id, deal.MaxName) {
		wrong.Add("person_id", "is not a person id")
	}
	if !plain(q.Body.Note, deal.MaxName) {
		wrong.Add("note", "must be at most %d characters of plain text", deal.MaxName)
	}
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	key, token, err := s.engine.CreateKey(ctx, callOf(ctx).request(), deal.Key{Role: role, PartnerIDs: q.Body.PartnerIds, PersonID: q.Body.PersonID, Note: q.Body.Note})
	if err != nil {
		return nil, err
	}
	return answer(http.StatusCreated, api.NewKey{Key: keyView(key), Token: token})
}

// plain reports whether s is at most limit characters without control characters.
func plain(s string, limit int) bool {
	return len([]rune(s)) <= limit && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

// RevokeKey ends a key.
func (s handlers) RevokeKey(ctx context.Context, q api.RevokeKeyRequestObject) (api.RevokeKeyResponseObject, error) {
	if err := s.engine.RevokeKey(ctx, callOf(ctx).request(), q.ID); err != nil {
		return nil, err
	}
	return reply{status: http.StatusNoContent}, nil
}

// GetCheckpoint reads the signed head of the ledger.
func (s handlers) GetCheckpoint(ctx context.Context, _ api.GetCheckpointRequestObject) (api.GetCheckpointResponseObject, error) {
	t, err := s.engine.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	return text("text/plain; charset=utf-8", []byte(t)), nil
}

// GetProof proves the entry of a registration's decision, or any entry by its sequence.
func (s handlers) GetProof(ctx context.Context, q api.GetProofRequestObject) (api.GetProofResponseObject, error) {
	if seq, err := strconv.ParseUint(q.ID, 10, 64); err == nil {
		r, err := s.engine.Proof(ctx, seq)
		if err != nil {
			return nil, err
		}
		return ok(r)
	}
	r, err := s.engine.Receipt(ctx, q.ID)
	if err != nil {
		return nil, err
	}
	return ok(r)
}

// entryView is one line of the ledger as an auditor reads it.
type entryView struct {
	Seq     uint64          `json:"seq"`
	At      time.Time       `json:"at"`
	Kind    string          `json:"kind"`
	Subject string          `json:"subject"`
	Actor   deal.Actor      `json:"actor"`
	Leaf    []byte          `json:"leaf"`
	Chain   string          `json:"chain"`
	Change  json.RawMessage `json:"change"`
}

func viewEntry(e store.Entry) (entryView, error) {
	change := json.RawMessage(e.Body)
	if len(change) == 0 {
		change = json.RawMessage("{}")
	}
	if bytes.Contains(change, []byte(`"secret_hash"`)) { // of a key: of no use to a reader, so nobody reads it
		c, err := deal.DecodeChange(e.Body)
		if err != nil {
			return entryView{}, err
		}
		for i := range c.Keys {
			c.Keys[i].SecretHash = nil
		}
		if change, err = c.Encode(); err != nil {
			return entryView{}, err
		}
	}
	return entryView{Seq: e.Seq, At: e.At, Kind: e.Kind, Subject: e.Subject, Actor: e.Actor, Leaf: e.Leaf, Chain: hex.EncodeToString(e.Chain[:]), Change: change}, nil
}

// ListEntries lists the ledger: all of it, or what has to do with one subject, or is of one kind.
func (s handlers) ListEntries(ctx context.Context, q api.ListEntriesRequestObject) (api.ListEntriesResponseObject, error) {
	filter := struct{ Subject, Kind string }{q.Params.Subject, q.Params.Kind}
	return list(ctx, q.Params.Cursor, q.Params.Limit, listing[entryView]{
		filter: filter,
		key:    func(e entryView) string { return strconv.FormatUint(e.Seq, 10) },
		fetch: func(ctx context.Context, p store.Page) (out []entryView, err error) {
			after := uint64(0)
			if p.After != "" {
				if after, err = strconv.ParseUint(p.After, 10, 64); err != nil {
					return nil, problem{code: "bad-parameter", detail: "the cursor is not one of this list"}
				}
			}
			for e, err := range s.engine.EntriesAbout(ctx, filter.Subject, filter.Kind, after) {
				if err != nil {
					return nil, err
				}
				v, err := viewEntry(e)
				if err != nil {
					return nil, err
				}
				if out = append(out, v); len(out) == p.Limit {
					break
				}
			}
			return out, nil
		},
	})
}
