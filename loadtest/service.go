package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"sync"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/world"
)

// service is a dibs under test, as its HTTP API: nothing else of it is used.
type service struct {
	urls []string // of its replicas
	key  string   // of an administrator
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// call makes one request, and returns the answer's status and body.
func (s *service) call(ctx context.Context, replica int, method, path, media string, header http.Header, body io.Reader) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.urls[replica%len(s.urls)]+path, body)
	if err != nil {
		return 0, nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	if media != "" {
		req.Header.Set("Content-Type", media)
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, b, err
}

// mustCall is call where only success will do.
func (s *service) mustCall(ctx context.Context, method, path, media string, body io.Reader, into any) error {
	status, b, err := s.call(ctx, 0, method, path, media, nil, body)
	if err != nil {
		return err
	}
	if status/100 != 2 {
		return fmt.Errorf("%s %s: %d %.1000s", method, path, status, b)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(b, into)
}

// rowsAtOnce is how many rows one import request carries.
const rowsAtOnce = 20_000

// importRows sends records; every row must land.
func importRows[T deal.Record](ctx context.Context, s *service, kind string, rows iter.Seq[T]) error {
	var buf bytes.Buffer
	n := 0
	flush := func() error {
		if n == 0 {
			return nil
		}
		var is struct {
			Rejected int `json:"rejected"`
			Errors   any `json:"errors"`
		}
		err := s.mustCall(ctx, http.MethodPost, "/v1/"+kind+"/import", "application/x-ndjson", &buf, &is)
		if err == nil && is.Rejected > 0 {
			err = fmt.Errorf("importing %s: %d rows refused: %v", kind, is.Rejected, is.Errors)
		}
		buf, n = bytes.Buffer{}, 0
		return err
	}
	enc := func() *json.Encoder { return json.NewEncoder(&buf) }
	for r := range rows {
		if err := enc().Encode(r); err != nil {
			return err
		}
		if n++; n == rowsAtOnce {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// populate tells the service of the vendor's world, and publishes the plan.
func (s *service) populate(ctx context.Context, v *vendor) error {
	if err := importRows(ctx, s, "partners", valuesOf(v.partners)); err != nil {
		return err
	}
	if err := importRows(ctx, s, "products", valuesOf(v.products)); err != nil {
		return err
	}
	if err := importRows(ctx, s, "rates", world.Rates()); err != nil {
		return err
	}
	if err := importRows(ctx, s, "people", world.People()); err != nil {
		return err
	}
	if err := importRows(ctx, s, "accounts", v.accounts()); err != nil {
		return err
	}
	if err := importRows(ctx, s, "opportunities", valuesOf(v.opportunities)); err != nil {
		return err
	}
	return s.publish(ctx, v.document)
}

func valuesOf[T any](list []T) iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, x := range list {
			if !yield(x) {
				return
			}
		}
	}
}

// publish makes the plan the live one.
func (s *service) publish(ctx context.Context, document []byte) error {
	var saved struct {
		Version int `json:"version"`
	}
	if err := s.mustCall(ctx, http.MethodPost, "/v1/territories", "application/yaml", bytes.NewReader(document), &saved); err != nil {
		return fmt.Errorf("the territory plan is not accepted (dibs policy check says why): %w", err)
	}
	return s.mustCall(ctx, http.MethodPost, fmt.Sprintf("/v1/territories/%d/publish", saved.Version), "application/json", nil, nil)
}

// file files one registration.
func (s *service) file(ctx context.Context, replica int, f *filed) (reply, []byte, error) {
	body, err := json.Marshal(f.Filing)
	if err != nil {
		return reply{}, nil, err
	}
	status, b, err := s.call(ctx, replica, http.MethodPost, "/v1/registrations", "application/json", http.Header{"Idempotency-Key": {f.Key}}, bytes.NewReader(body))
	if err != nil {
		return reply{}, nil, err
	}
	r := reply{Case: f.ID, Replica: replica, Status: status}
	if status != http.StatusCreated {
		r.Problem = string(b)
		return r, b, nil
	}
	var a struct {
		ID       string `json:"id"`
		Sequence uint64 `json:"sequence"`
		Decision struct {
			Outcome     string   `json:"outcome"`
			ReasonCodes []string `json:"reason_codes"`
			Route       *struct {
				Disposition string `json:"disposition"`
			} `json:"route"`
		} `json:"decision"`
	}
	if err := json.Unmarshal(b, &a); err != nil || len(a.Decision.ReasonCodes) == 0 {
		return r, b, fmt.Errorf("an answer that is none: %.500s: %w", b, err)
	}
	r.ID, r.Sequence, r.Outcome, r.Reason = a.ID, a.Sequence, a.Decision.Outcome, a.Decision.ReasonCodes[0]
	if a.Decision.Route != nil {
		r.Disposition = a.Decision.Route.Disposition
	}
	return r, b, nil
}

// decisions reads the first decision of every registration, in full. One that is not found is left out.
func (s *service) decisions(ctx context.Context, replies []reply) (map[string]*deal.Decision, error) {
	out := make(map[string]*deal.Decision, len(replies))
	var mu sync.Mutex
	var first error
	work := make(chan int)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for i := range work {
				id := replies[i].ID
				status, b, err := s.call(ctx, i, http.MethodGet, "/v1/registrations/"+id+"/decision", "", nil, nil)
				var is struct {
					Decisions []*deal.Decision `json:"decisions"`
				}
				if err == nil && status == http.StatusOK {
					err = json.Unmarshal(b, &is)
				}
				mu.Lock()
				switch {
				case err != nil:
					first = fmt.Errorf("reading the decision on %s: %w", id, err)
				case len(is.Decisions) > 0:
					out[id] = is.Decisions[len(is.Decisions)-1]
				}
				mu.Unlock()
			}
		})
	}
	for i := range replies {
		if replies[i].ID != "" {
			work <- i
		}
	}
	close(work)
	workers.Wait()
	return out, first
}
