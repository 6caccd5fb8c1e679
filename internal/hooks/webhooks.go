package hooks

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

const (
	// keepSecret is how long a secret goes on signing beside the one that took its place.
	keepSecret = 24 * time.Hour
	maxURL     = 2000
	maxList    = 200 // types, and partners, of one webhook
)

// Settings are what can be set of a webhook. In a change, what is empty stays as it is.
type Settings struct {
	URL        string
	Note       string
	Types      []string // of events: dibs.registration.protected.v1, dibs.registration.*, *
	PartnerIDs []string // whose registrations; * for all of them, and for cases
	Status     string
}

func (s Settings) on(w *store.Webhook) {
	for _, f := range []struct{ to, from *string }{{&w.URL, &s.URL}, {&w.Note, &s.Note}, {&w.Status, &s.Status}} {
		if *f.from != "" {
			*f.to = *f.from
		}
	}
	for _, f := range []struct{ to, from *[]string }{{&w.Types, &s.Types}, {&w.PartnerIDs, &s.PartnerIDs}} {
		if len(*f.from) > 0 {
			*f.to = *f.from
		}
	}
	if w.Status == store.WebhookEnabled {
		w.Reason = ""
	}
}

// Create makes a webhook. What is returned holds its secret. Errors: deal.FieldErrors.
func (h *Hooks) Create(ctx context.Context, by deal.Actor, s Settings) (store.Webhook, error) {
	now := h.now()
	secret, err := newSecret()
	if err != nil {
		return store.Webhook{}, err
	}
	w := store.Webhook{ID: deal.NewID(deal.WebhookID), Status: store.WebhookEnabled, Secrets: []store.Secret{secret}, CreatedAt: now, CreatedBy: by.KeyID, ChangedAt: now}
	s.on(&w)
	if err := h.check(ctx, &w); err != nil {
		return store.Webhook{}, err
	}
	stored := w
	if err := each(&stored, h.cfg.Vault.seal); err != nil {
		return store.Webhook{}, err
	}
	if err := h.record(ctx, by, deal.EntryWebhook, &w); err != nil {
		return store.Webhook{}, err
	}
	return w, h.cfg.Store.AddWebhook(ctx, stored)
}

// Change sets what s names. One that is disabled is told again of what happens after it is enabled; what it missed meanwhile
// was not kept for it.
func (h *Hooks) Change(ctx context.Context, by deal.Actor, id string, s Settings) (store.Webhook, error) {
	now := h.now()
	// Checked before the row is locked: partners are looked up on other connections.
	before, err := h.cfg.Store.Webhook(ctx, id)
	if err != nil {
		return before, err
	}
	set := func(w *store.Webhook) {
		s.on(w)
		if w.Status == store.WebhookDisabled && s.Status == store.WebhookDisabled {
			w.Reason = "disabled by hand"
		}
	}
	set(&before)
	if err := h.check(ctx, &before); err != nil {
		return store.Webhook{}, err
	}
	if err := h.record(ctx, by, deal.EntryWebhookChanged, &before); err != nil {
		return store.Webhook{}, err
	}
	return h.cfg.Store.ChangeWebhook(ctx, id, func(w *store.Webhook) error {
		set(w)
		w.ChangedAt = now
		return limited(w).Err()
	})
}

// Rotate gives the webhook a new secret, which the first of what is returned is. The one before signs for a day more, beside it; older ones no longer do.
func (h *Hooks) Rotate(ctx context.Context, by deal.Actor, id string) (store.Webhook, error) {
	secret, err := newSecret()
	if err != nil {
		return store.Webhook{}, err
	}
	now := h.now()
	w, err := h.cfg.Store.Webhook(ctx, id)
	if err == nil {
		err = h.record(ctx, by, deal.EntryWebhookRotated, &w)
	}
	if err != nil {
		return store.Webhook{}, err
	}
	w, err = h.cfg.Store.ChangeWebhook(ctx, id, func(w *store.Webhook) error {
		before := w.Secrets[0]
		before.Until = now.Add(keepSecret)
		w.Secrets, w.ChangedAt = []store.Secret{secret}, now
		if err := each(w, h.cfg.Vault.seal); err != nil {
			return err
		}
		w.Secrets = append(w.Secrets, before) // as it was sealed: it need not be opened to be left behind
		return nil
	})
	if err == nil {
		w.Secrets[0] = secret // shown this once
	}
	return w, err
}

// Delete forgets a webhook, and what was sent to it.
func (h *Hooks) Delete(ctx context.Context, by deal.Actor, id string) error {
	w, err := h.cfg.Store.Webhook(ctx, id)
	if err == nil {
		err = h.record(ctx, by, deal.EntryWebhookDeleted, &w)
	}
	if err != nil {
		return err
	}
	return h.cfg.Store.DropWebhook(ctx, id)
}

func newSecret() (store.Secret, error) {
	b := make([]byte, 32)
	_, err := rand.Read(b)
	return store.Secret{Text: "whsec_" + base64.StdEncoding.EncodeToString(b)}, err
}

// Ping sends the webhook an event of its own, once, and returns the delivery.
func (h *Hooks) Ping(ctx context.Context, id string) (store.Job, error) {
	w, err := h.cfg.Store.Webhook(ctx, id)
	if err != nil {
		return store.Job{}, err
	}
	if w.Status != store.WebhookEnabled {
		return store.Job{}, errors.Join(deal.ErrNotPossible, errors.New("the webhook is disabled: enable it first"))
	}
	data, err := json.Marshal(map[string]string{"webhook_id": id})
	if err != nil {
		return store.Job{}, err
	}
	j, err := jobOf(message{Webhook: id, Event: deal.NewID(deal.EventID), Type: "dibs.webhook.ping.v1", Subject: id, Data: data}, h.now())
	if err != nil {
		return store.Job{}, err
	}
	if err := h.cfg.Store.Enqueue(ctx, j); err != nil {
		return store.Job{}, err
	}
	h.Nudge()
	return h.cfg.Store.Job(ctx, j.ID)
}

// Resend sends a delivery again, under the id it had: a receiver that has seen it drops it.
func (h *Hooks) Resend(ctx context.Context, webhook, delivery string) (store.Job, error) {
	j, err := h.cfg.Store.Job(ctx, delivery)
	if err == nil && (j.Kind != kindWebhook || j.Topic != webhook) {
		err = deal.ErrNotFound
	}
	if err != nil {
		return store.Job{}, err
	}
	return h.Retry(ctx, delivery)
}

// Retry lets a job that is done or dead be done again.
func (h *Hooks) Retry(ctx context.Context, id string) (store.Job, error) {
	if err := h.cfg.Store.Retry(ctx, id, h.now()); err != nil {
		return store.Job{}, err
	}
	h.Nudge()
	return h.cfg.Store.Job(ctx, id)
}

// Delivery is what is to be read of a webhook's job.
type Delivery struct {
	ID        string         `json:"id"`
	EventID   string         `json:"event_id"`
	Type      string         `json:"type"`
	Subject   string         `json:"subject"`
	State     store.JobState `json:"state"`
	Attempts  int            `json:"attempts"`
	NextAt    time.Time      `json:"next_at,omitzero"` // while it waits
	Error     string         `json:"error,omitempty"`  // of the last attempt
	Log       []Attempt      `json:"log"`
	CreatedAt time.Time      `json:"created_at"`
	EndedAt   time.Time      `json:"ended_at,omitzero"`
}

// DeliveryOf reads a webhook's job.
func DeliveryOf(j *store.Job) Delivery {
	var m message
	_ = json.Unmarshal(j.Payload, &m) // what cannot be read has no event, and says so in its error
	d := Delivery{ID: j.ID, EventID: m.Event, Type: m.Type, Subject: m.Subject, State: j.State, Attempts: j.Attempts, Error: j.Error, Log: []Attempt{}, CreatedAt: j.CreatedAt, EndedAt: j.DoneAt}
	if j.State == store.JobWaiting {
		d.NextAt = j.RunAt
	}
	_ = json.Unmarshal(j.Log, &d.Log)
	return d
}

// typePattern is an event's type, or the beginning of some.
var typePattern = regexp.MustCompile(`^(\*|dibs\.(\*|(registration|case)\.(\*|[a-z_]+\.(v\d+|\*))))$`)

// check says what is wrong with a webhook's settings.
func (h *Hooks) check(ctx context.Context, w *store.Webhook) error {
	wrong := h.checkURL(w.URL)
	if len(w.Types) == 0 {
		wrong.Add("types", "is required: name the events, as dibs.registration.* or dibs.registration.protected.v1, or * for all")
	}
	for _, t := range w.Types {
		if !typePattern.MatchString(t) {
			wrong.Add("types", "%q is no type of event: write *, dibs.registration.*, dibs.case.*, or one such as dibs.registration.protected.v1", t)
		}
	}
	if len(w.PartnerIDs) == 0 {
		wrong.Add("partner_ids", "is required: the partners whose registrations it is told of, or * for all")
	}
	for name, list := range map[string][]string{"types": w.Types, "partner_ids": w.PartnerIDs} {
		if len(list) > maxList {
			wrong.Add(name, "has more than %d elements", maxList)
		}
	}
	if w.Status != store.WebhookEnabled && w.Status != store.WebhookDisabled {
		wrong.Add("status", "is enabled or disabled")
	}
	if len([]rune(w.Note)) > deal.MaxName || strings.ContainsFunc(w.Note, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		wrong.Add("note", "must be at most %d characters of plain text", deal.MaxName)
	}
	wrong = append(wrong, limited(w)...)
	if len(wrong) == 0 && !slices.Contains(w.PartnerIDs, "*") {
		for _, id := range w.PartnerIDs {
			if _, err := h.cfg.Store.Record(ctx, deal.Partners, id); errors.Is(err, deal.ErrNotFound) {
				wrong.Add("partner_ids", "there is no partner %q", id)
			} else if err != nil {
				return err
			}
		}
	}
	return wrong.Err()
}

// limited says what a webhook of some partners cannot be told of.
func limited(w *store.Webhook) (wrong deal.FieldErrors) {
	if slices.Contains(w.PartnerIDs, "*") {
		return nil
	}
	for _, t := range w.Types {
		if strings.HasPrefix(t, aboutCases) {
			wrong.Add("types", "%s is not for partners: a webhook that is limited to some is told of registrations", t)
		}
	}
	return wrong
}

// checkURL says at once what would fail at every delivery. Names are looked up only then.
func (h *Hooks) checkURL(text string) (wrong deal.FieldErrors) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		wrong.Add("url", "is required")
	case len(text) > maxURL:
		wrong.Add("url", "is longer than %d characters", maxURL)
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "":
		wrong.Add("url", "is not an address such as https://portal.example.com/dibs")
	case u.User != nil:
		wrong.Add("url", "must not hold a password: every delivery is signed instead")
	case u.Fragment != "":
		wrong.Add("url", "must not have a fragment")
	case u.Scheme == "http" && len(h.cfg.Allow) > 0, u.Scheme == "https":
		port := u.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
		}
		if _, err := netip.ParseAddr(u.Hostname()); err == nil {
			if err := mayReach(net.JoinHostPort(u.Hostname(), port), h.cfg.Allow, u.Scheme == "http"); err != nil {
				wrong.Add("url", "%v", err)
			}
		}
	default:
		wrong.Add("url", "must begin with https://")
	}
	return wrong
}
