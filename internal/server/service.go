package server

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/dibs-deals/dibs/api"
	"github.com/dibs-deals/dibs/internal/deal"
)

// GetHealth says that the process runs, and nothing about what it stands on.
func (s handlers) GetHealth(context.Context, api.GetHealthRequestObject) (api.GetHealthResponseObject, error) {
	return ok(api.Health{Status: api.Ok, Version: s.version})
}

// GetReadiness says whether a decision could be made now, and is 503 when not, so that a balancer looks elsewhere.
func (s handlers) GetReadiness(ctx context.Context, _ api.GetReadinessRequestObject) (api.GetReadinessResponseObject, error) {
	r := s.engine.Ready(ctx)
	if s.draining.Load() {
		r.Ready, r.Detail = false, "shutting down"
	}
	if !r.Ready {
		return answer(http.StatusServiceUnavailable, r)
	}
	return ok(r)
}

// metrics answers a scrape.
type metrics struct {
	handler http.Handler
	request *http.Request
}

// VisitGetMetricsResponse leaves the format to the client library, which knows what the scraper accepts.
func (m metrics) VisitGetMetricsResponse(w http.ResponseWriter) error {
	m.handler.ServeHTTP(w, m.request)
	return nil
}

// GetMetrics answers a scrape.
func (s handlers) GetMetrics(ctx context.Context, _ api.GetMetricsRequestObject) (api.GetMetricsResponseObject, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return nil, err
	}
	r.Header = callOf(ctx).header
	return metrics{promhttp.HandlerFor(s.tel.all, promhttp.HandlerOpts{EnableOpenMetrics: true}), r}, nil
}

// GetSpec answers with the specification this server was made from.
func (s handlers) GetSpec(context.Context, api.GetSpecRequestObject) (api.GetSpecResponseObject, error) {
	return text("application/yaml", api.Spec), nil
}

//go:embed assets/docs.html assets/docs.js assets/scalar.js.gz
var assets embed.FS

// asset is a file of the documentation page.
type asset struct {
	body  []byte
	etag  string
	media string
	gzip  bool
}

var docs = map[string]asset{
	"docs.html": load("docs.html", "text/html; charset=utf-8", false),
	"docs.js":   load("docs.js", "text/javascript; charset=utf-8", false),
	"scalar.js": load("scalar.js.gz", "text/javascript; charset=utf-8", true),
}

func load(name, media string, gzip bool) asset {
	b, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(b)
	return asset{b, `"` + hex.EncodeToString(sum[:8]) + `"`, media, gzip}
}

// docsPolicy lets the page run its own scripts and read this server, and nothing else. The reference styles its
// elements inline and draws its icons as data URLs.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func serveAsset(c *call, name string) (reply, error) {
	a, found := docs[name]
	if !found {
		return reply{}, deal.ErrNotFound
	}
	r := text(a.media, a.body)
	r.header = [][2]string{{"ETag", a.etag}, {"Cache-Control", "no-cache"}, {"Content-Security-Policy", docsPolicy}}
	if a.gzip {
		r.header = append(r.header, [2]string{"Content-Encoding", "gzip"})
	}
	if c.header.Get("If-None-Match") == a.etag {
		r.status, r.body = http.StatusNotModified, nil
	}
	return r, nil
}

// GetDocs answers with the page.
func (s handlers) GetDocs(ctx context.Context, _ api.GetDocsRequestObject) (api.GetDocsResponseObject, error) {
	return serveAsset(callOf(ctx), "docs.html")
}

// GetDocsAsset answers with a file of the page.
func (s handlers) GetDocsAsset(ctx context.Context, q api.GetDocsAssetRequestObject) (api.GetDocsAssetResponseObject, error) {
	return serveAsset(callOf(ctx), string(q.Asset))
}
