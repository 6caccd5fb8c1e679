package server

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/dibs-deals/dibs/api"
	"github.com/dibs-deals/dibs/internal/hooks"
	"github.com/dibs-deals/dibs/internal/store"
)

// Webhooks and the work beside the ledger: what only an administrator calls.

// webhookView is a webhook without its secrets.
type webhookView struct {
	ID         string       `json:"id"`
	URL        string       `json:"url"`
	Note       string       `json:"note,omitempty"`
	Types      []string     `json:"types"`
	PartnerIDs []string     `json:"partner_ids"`
	Status     string       `json:"status"`
	Reason     string       `json:"reason,omitempty"`
	Secrets    []secretView `json:"secrets"`
	CreatedAt  time.Time    `json:"created_at"`
	CreatedBy  string       `json:"created_by"`
	ChangedAt  time.Time    `json:"changed_at"`
}

type secretView struct {
	Until time.Time `json:"until,omitzero"`
}

func viewWebhook(w store.Webhook, now time.Time) webhookView {
	v := webhookView{ID: w.ID, URL: w.URL, Note: w.Note, Types: w.Types, PartnerIDs: w.PartnerIDs, Status: w.Status, Reason: w.Reason,
		Secrets: []secretView{}, CreatedAt: w.CreatedAt, CreatedBy: w.CreatedBy, ChangedAt: w.ChangedAt}
	for _, s := range w.Secrets {
		if s.Until.IsZero() || now.Before(s.Until) {
			v.Secrets = append(v.Secrets, secretView{s.Until})
		}
	}
	return v
}

// withSecret shows a webhook and its newest secret, once.
func (s *Server) withSecret(status int, w store.Webhook) (reply, error) {
	return answer(status, struct {
		Webhook webhookView `json:"webhook"`
		Secret  string      `json:"secret"`
	}{viewWebhook(w, s.engine.Now()), w.Secrets[0].Text})
}

// ListWebhooks lists webhooks.
func (s handlers) ListWebhooks(ctx context.Context, _ api.ListWebhooksRequestObject) (api.ListWebhooksResponseObject, error) {
	all, err := s.engine.Store().Webhooks(ctx)
	if err != nil {
		return nil, err
	}
	items := make([]webhookView, len(all))
	for i, w := range all {
		items[i] = viewWebhook(w, s.engine.Now())
	}
	return whole(items)
}

// CreateWebhook makes a webhook.
func (s handlers) CreateWebhook(ctx context.Context, q api.CreateWebhookRequestObject) (api.CreateWebhookResponseObject, error) {
	w, err := s.hooks.Create(ctx, callOf(ctx).actor(), hooks.Settings{URL: q.Body.URL, Note: q.Body.Note, Types: q.Body.Types, PartnerIDs: q.Body.PartnerIds})
	if err != nil {
		return nil, err
	}
	return s.withSecret(http.StatusCreated, w)
}

// GetWebhook reads one webhook.
func (s handlers) GetWebhook(ctx context.Context, q api.GetWebhookRequestObject) (api.GetWebhookResponseObject, error) {
	w, err := s.engine.Store().Webhook(ctx, q.ID)
	if err != nil {
		return nil, err
	}
	return ok(viewWebhook(w, s.engine.Now()))
}

// ChangeWebhook changes what the body names.
func (s handlers) ChangeWebhook(ctx context.Context, q api.ChangeWebhookRequestObject) (api.ChangeWebhookResponseObject, error) {
	w, err := s.hooks.Change(ctx, callOf(ctx).actor(), q.ID, hooks.Settings{URL: q.Body.URL, Note: q.Body.Note, Types: q.Body.Types, PartnerIDs: q.Body.PartnerIds, Status: string(q.Body.Status)})
	if err != nil {
		return nil, err
	}
	return ok(viewWebhook(w, s.engine.Now()))
}

// DeleteWebhook forgets a webhook and its deliveries.
func (s handlers) DeleteWebhook(ctx context.Context, q api.DeleteWebhookRequestObject) (api.DeleteWebhookResponseObject, error) {
	if err := s.hooks.Delete(ctx, callOf(ctx).actor(), q.ID); err != nil {
		return nil, err
	}
	return reply{status: http.StatusNoContent}, nil
}

// RotateWebhook gives a webhook a new secret.
func (s handlers) RotateWebhook(ctx context.Context, q api.RotateWebhookRequestObject) (api.RotateWebhookResponseObject, error) {
	w, err := s.hooks.Rotate(ctx, callOf(ctx).actor(), q.ID)
	if err != nil {
		return nil, err
	}
	return s.withSecret(http.StatusOK, w)
}

// PingWebhook sends a test.
func (s handlers) PingWebhook(ctx context.Context, q api.PingWebhookRequestObject) (api.PingWebhookResponseObject, error) {
	j, err := s.hooks.Ping(ctx, q.ID)
	if err != nil {
		return nil, err
	}
	return answer(http.StatusAccepted, hooks.DeliveryOf(&j))
}

// ResendDelivery sends a delivery again.
func (s handlers) ResendDelivery(ctx context.Context, q api.ResendDeliveryRequestObject) (api.ResendDeliveryResponseObject, error) {
	j, err := s.hooks.Resend(ctx, q.ID, q.Body.DeliveryID)
	if err != nil {
		return nil, err
	}
	return answer(http.StatusAccepted, hooks.DeliveryOf(&j))
}

// ListDeliveries lists what was sent to a webhook.
func (s handlers) ListDeliveries(ctx context.Context, q api.ListDeliveriesRequestObject) (api.ListDeliveriesResponseObject, error) {
	if _, err := s.engine.Store().Webhook(ctx, q.ID); err != nil {
		return nil, err
	}
	return listJobs(ctx, s, q.Params.Cursor, q.Params.Limit, store.JobFilter{Topic: q.ID, State: store.JobState(q.Params.State)},
		func(j store.Job) placed[hooks.Delivery] { return placed[hooks.Delivery]{hooks.DeliveryOf(&j), j.N} })
}

// jobView is a job as an administrator reads it.
type jobView struct {
	ID          string         `json:"id"`
	Kind        string         `json:"kind"`
	Topic       string         `json:"topic,omitempty"`
	State       store.JobState `json:"state"`
	Attempts    int            `json:"attempts"`
	RunAt       time.Time      `json:"run_at"`
	LeasedUntil time.Time      `json:"leased_until,omitzero"`
	Error       string         `json:"error,omitempty"`
	CreatedAt   time.Time      `json:"created_at"`
	EndedAt     time.Time      `json:"ended_at,omitzero"`
}

func viewJob(j store.Job) jobView {
	return jobView{j.ID, j.Kind, j.Topic, j.State, j.Attempts, j.RunAt, j.LeasedUntil, j.Error, j.CreatedAt, j.DoneAt}
}

// ListJobs lists jobs.
func (s handlers) ListJobs(ctx context.Context, q api.ListJobsRequestObject) (api.ListJobsResponseObject, error) {
	return listJobs(ctx, s, q.Params.Cursor, q.Params.Limit, store.JobFilter{Kind: q.Params.Kind, State: store.JobState(q.Params.State)},
		func(j store.Job) placed[jobView] { return placed[jobView]{viewJob(j), j.N} })
}

// RetryJob lets a job be done again.
func (s handlers) RetryJob(ctx context.Context, q api.RetryJobRequestObject) (api.RetryJobResponseObject, error) {
	j, err := s.hooks.Retry(ctx, q.ID)
	if err != nil {
		return nil, err
	}
	return answer(http.StatusAccepted, viewJob(j))
}

// placed is a view of a job with its place in the list, which is not shown.
type placed[V any] struct {
	view V
	n    uint64
}

// MarshalJSON shows the view.
func (p placed[V]) MarshalJSON() ([]byte, error) { return json.Marshal(p.view) }

func listJobs[V any](ctx context.Context, s handlers, cursor string, limit int, f store.JobFilter, view func(store.Job) placed[V]) (reply, error) {
	return list(ctx, cursor, limit, listing[placed[V]]{
		filter: f, key: func(p placed[V]) string { return strconv.FormatUint(p.n, 10) },
		fetch: func(ctx context.Context, p store.Page) ([]placed[V], error) {
			f.Page = p
			jobs, err := s.engine.Store().Jobs(ctx, f)
			out := make([]placed[V], len(jobs))
			for i, j := range jobs {
				out[i] = view(j)
			}
			return out, err
		},
	})
}
