package hooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/store"
)

// The limits of one delivery. What takes longer failed.
const (
	dialLimit   = 5 * time.Second
	headerLimit = 10 * time.Second // from the request to the first line of the answer
	sendLimit   = 15 * time.Second
	maxDrain    = 4 << 10 // an answer longer than this costs its connection; none is read for what it says
)

// What can come of an attempt.
const (
	delivered = "delivered"
	failed    = "failed" // and is tried again
	dead      = "dead"   // given up
	skipped   = "skipped"
)

// message is what a webhook job is about. Data is that of a ping; other events are read when they are sent.
type message struct {
	Webhook string          `json:"webhook"`
	Event   string          `json:"event"`
	Type    string          `json:"type"`
	Subject string          `json:"subject"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// fan makes a job for each webhook that asks for an event.
func (h *Hooks) fan(hooks []store.Webhook, events []store.Event) ([]store.Job, error) {
	var out []store.Job
	now := h.now()
	for i := range events {
		e := &events[i]
		for w := range hooks {
			if hooks[w].Status != store.WebhookEnabled || e.Seq <= hooks[w].After || !asksFor(&hooks[w], e) {
				continue
			}
			j, err := jobOf(message{Webhook: hooks[w].ID, Event: e.ID, Type: e.Type, Subject: e.Subject}, now)
			if err != nil {
				return nil, err
			}
			j.Lane = hooks[w].ID + "/" + e.RegistrationID
			out = append(out, j)
		}
	}
	return out, nil
}

func jobOf(m message, now time.Time) (store.Job, error) {
	payload, err := json.Marshal(m)
	return store.Job{ID: deal.NewID(deal.JobID), Kind: kindWebhook, Key: m.Webhook + "/" + m.Event, Topic: m.Webhook, Payload: payload, RunAt: now, CreatedAt: now}, err
}

// Types of event have one of these beginnings. Only registrations are a partner's to hear of.
const (
	aboutRegistrations = "dibs.registration."
	aboutCases         = "dibs.case."
)

// asksFor reports whether the webhook is to be told of the event.
func asksFor(w *store.Webhook, e *store.Event) bool {
	if !slices.ContainsFunc(w.Types, func(t string) bool {
		beginning, open := strings.CutSuffix(t, "*")
		return t == e.Type || open && strings.HasPrefix(e.Type, beginning)
	}) {
		return false
	}
	if slices.Contains(w.PartnerIDs, "*") {
		return true
	}
	return strings.HasPrefix(e.Type, aboutRegistrations) && e.PartnerID != "" &&
		(slices.Contains(w.PartnerIDs, e.PartnerID) || e.DistributorID != "" && slices.Contains(w.PartnerIDs, e.DistributorID))
}

// envelope is a CloudEvent 1.0 in structured JSON.
type envelope struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject"`
	Time            time.Time       `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	Sequence        string          `json:"sequence,omitempty"` // of the entry; later ones compare as greater texts
	Data            json.RawMessage `json:"data"`
}

// deliver sends one event to one webhook.
func (h *Hooks) deliver(ctx context.Context, j store.Job) store.Job {
	var m message
	if err := json.Unmarshal(j.Payload, &m); err != nil {
		return h.end(h.gaveUp(j, "the job cannot be read: "+err.Error()), store.JobDead)
	}
	w, err := h.cfg.Store.Webhook(ctx, m.Webhook)
	switch {
	case errors.Is(err, deal.ErrNotFound):
		return h.end(h.gaveUp(j, "the webhook is gone"), store.JobDead)
	case err != nil:
		return h.again(j, err.Error(), 0)
	case w.Status != store.WebhookEnabled:
		return h.end(h.gaveUp(j, "the webhook is disabled: enable it and send again"), store.JobDead)
	}
	if err := each(&w, h.cfg.Vault.open); err != nil { // nothing is wrong with the receiver
		h.log.Error("a webhook cannot be told", "webhook", w.ID, "error", err)
		return h.again(j, err.Error(), 0)
	}
	body := envelope{SpecVersion: "1.0", ID: m.Event, Source: h.cfg.Source, Type: m.Type, Subject: m.Subject, Time: j.CreatedAt, DataContentType: "application/json", Data: m.Data}
	if m.Data == nil {
		e, err := h.cfg.Store.Event(ctx, m.Event)
		if err != nil {
			return h.again(j, err.Error(), 0)
		}
		if !asksFor(&w, &e) { // it did when the job was made
			h.attempts.WithLabelValues(skipped).Inc()
			j.Error = "the webhook no longer asks for this event"
			return h.end(j, store.JobDone)
		}
		body.Time, body.Sequence, body.Data = e.At, fmt.Sprintf("%020d", e.Seq), e.Body
	}
	text, err := json.Marshal(body)
	if err != nil {
		return h.end(h.gaveUp(j, "the event cannot be written: "+err.Error()), store.JobDead)
	}
	began, now := time.Now(), h.now()
	status, wait, err := h.post(ctx, &w, m.Event, now, text)
	a := Attempt{At: now, Status: status, Millis: time.Since(began).Milliseconds()}
	if err != nil {
		a.Error = err.Error()
	}
	j = noted(j, a)
	if err == nil {
		h.attempts.WithLabelValues(delivered).Inc()
		h.answered(j.Topic)
		j.Error = ""
		return h.end(j, store.JobDone)
	}
	h.log.Warn("a webhook was not told", "webhook", w.ID, "job", j.ID, "event", m.Event, "attempt", j.Attempts, "status", status, "error", err)
	if status == http.StatusGone {
		h.disable(ctx, w.ID, now)
		return h.end(h.gaveUp(j, a.Error), store.JobDead)
	}
	if status < 400 || status >= 500 || status == http.StatusTooManyRequests {
		h.holdOff(ctx, j.Topic, now)
	}
	if m.Data != nil { // a ping asks how it is now
		return h.end(h.gaveUp(j, a.Error), store.JobDead)
	}
	if j = h.again(j, a.Error, wait); j.State == store.JobDead {
		h.gaveUp(j, a.Error)
	} else {
		h.attempts.WithLabelValues(failed).Inc()
	}
	return j
}

func (h *Hooks) gaveUp(j store.Job, why string) store.Job {
	h.attempts.WithLabelValues(dead).Inc()
	j.Error = why
	return j
}

// post sends the body once. wait is for how long the receiver asks to be left alone.
func (h *Hooks) post(ctx context.Context, w *store.Webhook, id string, at time.Time, body []byte) (status int, wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.Limit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return 0, 0, err
	}
	signature, err := sign(w.Secrets, id, at, body)
	if err != nil {
		return 0, 0, err
	}
	r.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	r.Header.Set("User-Agent", "dibs-webhooks/1")
	r.Header.Set(standardwebhooks.HeaderWebhookID, id)
	r.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	r.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	res, err := h.client[r.URL.Scheme == "http"].Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the address, whose query may hold a secret
		}
		if ctx.Err() != nil {
			err = fmt.Errorf("no answer within %s", h.cfg.Limit)
		}
		return 0, 0, err
	}
	// The status is the answer. What else there is, is read only where that lets the connection be used again.
	if res.ContentLength >= 0 && res.ContentLength <= maxDrain {
		_, _ = new(bytes.Buffer).ReadFrom(http.MaxBytesReader(nil, res.Body, maxDrain))
	}
	_ = res.Body.Close()
	switch {
	case res.StatusCode >= 200 && res.StatusCode < 300:
		return res.StatusCode, 0, nil
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return res.StatusCode, 0, fmt.Errorf("it answered %d: redirects are not followed; give the webhook its new address", res.StatusCode)
	}
	if n, nerr := strconv.Atoi(res.Header.Get("Retry-After")); nerr == nil && n > 0 {
		wait = min(time.Duration(n)*time.Second, 24*time.Hour)
	}
	return res.StatusCode, wait, fmt.Errorf("it answered %d", res.StatusCode)
}

// sign signs with every live secret, as Standard Webhooks wants it.
func sign(secrets []store.Secret, id string, at time.Time, body []byte) (string, error) {
	var out []string
	for _, s := range secrets {
		if !s.Until.IsZero() && !at.Before(s.Until) {
			continue
		}
		signer, err := standardwebhooks.NewWebhook(s.Text)
		if err != nil {
			return "", err
		}
		v, err := signer.Sign(id, at, body)
		if err != nil {
			return "", err
		}
		out = append(out, v)
	}
	return strings.Join(out, " "), nil
}

// holdAfter is how many failures one after the other put the other events of a webhook off too, and holdMost for how long at
// most: one that is down costs an attempt now and then, not one for each event.
const (
	holdAfter = 3
	holdMost  = time.Minute
)

// holdOff counts a failure of the receiver itself.
func (h *Hooks) holdOff(ctx context.Context, topic string, now time.Time) {
	h.mu.Lock()
	h.fails[topic]++
	n := h.fails[topic] - holdAfter
	h.mu.Unlock()
	if n < 0 {
		return
	}
	if err := h.cfg.Store.HoldOff(ctx, topic, now.Add(min(time.Second<<min(n, 10), holdMost))); err != nil {
		h.log.Error("a webhook that does not answer could not be held off", "webhook", topic, "error", err)
	}
}

func (h *Hooks) answered(topic string) {
	h.mu.Lock()
	delete(h.fails, topic)
	h.mu.Unlock()
}

// disable ends a webhook that says it is gone.
func (h *Hooks) disable(ctx context.Context, id string, now time.Time) {
	h.disabling.Lock()
	defer h.disabling.Unlock()
	set := func(w *store.Webhook) error {
		w.Status, w.Reason, w.ChangedAt = store.WebhookDisabled, "it answered 410 Gone", now
		return nil
	}
	w, err := h.cfg.Store.Webhook(ctx, id)
	if err == nil && w.Status == store.WebhookDisabled {
		return // by another delivery
	}
	if err == nil {
		_ = set(&w)
		err = h.record(ctx, deal.System, deal.EntryWebhookDisabled, &w)
	}
	if err == nil {
		_, err = h.cfg.Store.ChangeWebhook(ctx, id, set)
	}
	h.log.Warn("a webhook answered 410 Gone and is disabled", "webhook", id, "error", err)
}

// newClient makes a client that looks at every address before it connects, goes through no proxy, and follows nothing.
func newClient(cfg Config, plain bool) *http.Client {
	dialer := &net.Dialer{Timeout: dialLimit, KeepAlive: 30 * time.Second, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		return mayReach(address, cfg.Allow, plain)
	}}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: cfg.TLS, TLSHandshakeTimeout: dialLimit, ResponseHeaderTimeout: headerLimit,
			MaxResponseHeaderBytes: 16 << 10, DisableCompression: true, ForceAttemptHTTP2: true,
			MaxIdleConns: slots, MaxIdleConnsPerHost: atOnce, IdleConnTimeout: 30 * time.Second,
		},
	}
}

// closed are networks that are public by their number and not by their use: those that lead elsewhere, are for examples, or
// have a cloud's own services.
var closed = func() (out []netip.Prefix) {
	for _, s := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "168.63.129.16/32",
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}()

// global is what of IPv6 is assigned to the public.
var global = netip.MustParsePrefix("2000::/3")

// mayReach says why nothing is sent to an address, as host:port.
func mayReach(address string, allow []netip.Prefix, plain bool) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%s is not an address", address)
	}
	a := ap.Addr().Unmap()
	in := func(p netip.Prefix) bool { return p.Contains(a) }
	switch {
	case slices.ContainsFunc(allow, in):
		return nil
	case a.Zone() != "", a.IsLoopback(), a.IsPrivate(), a.IsLinkLocalUnicast(), !a.IsGlobalUnicast(), a.Is6() && !global.Contains(a), slices.ContainsFunc(closed, in):
		return fmt.Errorf("%s is not a public address; allow its network with --webhook-allow if it is meant", a)
	case plain:
		return errors.New("plain http is for networks named by --webhook-allow; use https")
	case ap.Port() < 1024 && ap.Port() != 443 && ap.Port() != 80:
		return fmt.Errorf("port %d is another service's; webhooks are at 443, 80, or from 1024 on", ap.Port())
	}
	return nil
}
