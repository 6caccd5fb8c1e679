package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/dibs-deals/dibs/api"
	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
)

// Policies and territory plans are documents: text with a version, of which one is live.

func (s *Server) listDocuments(ctx context.Context, kind, at string) (reply, error) {
	docs, err := s.engine.Documents(ctx, kind)
	if err == nil && at != "" {
		docs, err = engine.DecidedAt(docs, at)
	}
	if err != nil {
		return reply{}, err
	}
	slices.SortFunc(docs, func(a, b deal.Document) int { return b.Version - a.Version })
	items := make([]documentView, len(docs))
	for i, d := range docs {
		d.Body, d.Holidays = "", nil // a plan is megabytes; a list is for choosing
		items[i] = viewDocument(d)
	}
	return whole(items)
}

// documentView leaves the text out of a document when it has none.
type documentView struct {
	deal.Document
	Body string `json:"body,omitempty"`
}

func viewDocument(d deal.Document) documentView { return documentView{d, d.Body} }

func (s *Server) saveDocument(ctx context.Context, kind string, body io.Reader) (reply, error) {
	b, err := io.ReadAll(body)
	if err != nil {
		return reply{}, unreadable(err)
	}
	d, err := s.engine.SaveDocument(ctx, callOf(ctx).request(), kind, b)
	if err != nil {
		return reply{}, err
	}
	return answer(http.StatusCreated, viewDocument(d))
}

// documentVersion reads a version from a path: a number, or live.
func (s *Server) documentVersion(kind, v string) (int, error) {
	if v == "live" {
		d, err := s.engine.Live(kind)
		return d.Version, err
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		return 0, deal.ErrNotFound
	}
	return n, nil
}

func (s *Server) readDocument(ctx context.Context, kind, v string) (reply, error) {
	n, err := s.documentVersion(kind, v)
	if err != nil {
		return reply{}, err
	}
	d, err := s.engine.Document(ctx, kind, n)
	if err != nil {
		return reply{}, err
	}
	if callOf(ctx).wants("application/yaml", "text/yaml") != "" {
		return text("application/yaml", []byte(d.Body)), nil
	}
	return ok(viewDocument(d))
}

// publishDocument makes a version live at once, or from an instant on.
func (s *Server) publishDocument(ctx context.Context, kind, v, from string) (reply, error) {
	n, err := s.documentVersion(kind, v)
	if err != nil {
		return reply{}, err
	}
	d, err := s.engine.Document(ctx, kind, n)
	if err != nil {
		return reply{}, err
	}
	before, err := s.engine.Live(kind)
	if err != nil && !errors.Is(err, deal.ErrNotFound) {
		return reply{}, err
	}
	if from == "" {
		d, err = s.engine.Publish(ctx, callOf(ctx).request(), kind, n)
	} else if at, terr := engine.EffectiveFrom(&d, from); terr != nil {
		err = terr
	} else {
		d, err = s.engine.Schedule(ctx, callOf(ctx).request(), kind, n, at)
	}
	if err != nil {
		return reply{}, err
	}
	a, err := ok(viewDocument(d))
	if said := engine.Supplants(&before, &d); said != "" {
		a.warn(said)
	}
	return a, err
}

func (s *Server) cancelDocument(ctx context.Context, kind, v string) (reply, error) {
	n, err := s.documentVersion(kind, v)
	if err != nil {
		return reply{}, err
	}
	d, err := s.engine.Cancel(ctx, callOf(ctx).request(), kind, n)
	if err != nil {
		return reply{}, err
	}
	return ok(viewDocument(d))
}

// ListPolicies lists the versions of the policy.
func (s handlers) ListPolicies(ctx context.Context, q api.ListPoliciesRequestObject) (api.ListPoliciesResponseObject, error) {
	return s.listDocuments(ctx, deal.PolicyDocument, q.Params.At)
}

// CreatePolicy saves a draft.
func (s handlers) CreatePolicy(ctx context.Context, q api.CreatePolicyRequestObject) (api.CreatePolicyResponseObject, error) {
	return s.saveDocument(ctx, deal.PolicyDocument, q.Body)
}

// GetPolicy reads one version.
func (s handlers) GetPolicy(ctx context.Context, q api.GetPolicyRequestObject) (api.GetPolicyResponseObject, error) {
	return s.readDocument(ctx, deal.PolicyDocument, q.Version)
}

// PublishPolicy makes a version live, at once or from an instant on.
func (s handlers) PublishPolicy(ctx context.Context, q api.PublishPolicyRequestObject) (api.PublishPolicyResponseObject, error) {
	return s.publishDocument(ctx, deal.PolicyDocument, q.Version, q.Params.EffectiveFrom)
}

// CancelPolicy takes a version off the schedule.
func (s handlers) CancelPolicy(ctx context.Context, q api.CancelPolicyRequestObject) (api.CancelPolicyResponseObject, error) {
	return s.cancelDocument(ctx, deal.PolicyDocument, q.Version)
}

// ListTerritoryPlans lists the versions of the territory plan.
func (s handlers) ListTerritoryPlans(ctx context.Context, q api.ListTerritoryPlansRequestObject) (api.ListTerritoryPlansResponseObject, error) {
	return s.listDocuments(ctx, deal.TerritoryDocument, q.Params.At)
}

// CreateTerritoryPlan saves a draft.
func (s handlers) CreateTerritoryPlan(ctx context.Context, q api.CreateTerritoryPlanRequestObject) (api.CreateTerritoryPlanResponseObject, error) {
	return s.saveDocument(ctx, deal.TerritoryDocument, q.Body)
}

// GetTerritoryPlan reads one version.
func (s handlers) GetTerritoryPlan(ctx context.Context, q api.GetTerritoryPlanRequestObject) (api.GetTerritoryPlanResponseObject, error) {
	return s.readDocument(ctx, deal.TerritoryDocument, q.Version)
}

// PublishTerritoryPlan makes a version live, at once or from an instant on.
func (s handlers) PublishTerritoryPlan(ctx context.Context, q api.PublishTerritoryPlanRequestObject) (api.PublishTerritoryPlanResponseObject, error) {
	return s.publishDocument(ctx, deal.TerritoryDocument, q.Version, q.Params.EffectiveFrom)
}

// CancelTerritoryPlan takes a version off the schedule.
func (s handlers) CancelTerritoryPlan(ctx context.Context, q api.CancelTerritoryPlanRequestObject) (api.CancelTerritoryPlanResponseObject, error) {
	return s.cancelDocument(ctx, deal.TerritoryDocument, q.Version)
}
