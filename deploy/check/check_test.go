// Package check holds the deployment files to the types of those who read them, without a container engine. It is a
// module of its own, so that the service carries none of theirs.
package check

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	compose "github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	promql "github.com/prometheus/prometheus/promql/parser"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// TestDockerfile parses the file as the builder does, lets its linter speak, and looks at what the linter leaves out.
func TestDockerfile(t *testing.T) {
	b, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.Parse(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, text string, _ []parser.Range) { t.Errorf("%s: %s", rule, text) }})
	stages, _, err := instructions.Parse(parsed.AST, lint)
	if err != nil {
		t.Fatal(err)
	}
	last := stages[len(stages)-1]
	user, health := "", false
	for _, c := range last.Commands {
		switch c := c.(type) {
		case *instructions.UserCommand:
			user = c.User
		case *instructions.HealthCheckCommand:
			health = len(c.Health.Test) > 0 && c.Health.Test[0] == "CMD"
		case *instructions.EntrypointCommand:
			if c.PrependShell {
				t.Error("the entry point needs a shell, and the image has none")
			}
		case *instructions.RunCommand:
			t.Error("the last image cannot run anything while it is built")
		}
	}
	if !strings.HasPrefix(user, "nonroot") || !health || !strings.Contains(last.BaseName, "distroless/static") {
		t.Errorf("user %q, health check %v, base %s", user, health, last.BaseName)
	}
}

// TestCompose loads the project as docker compose does.
func TestCompose(t *testing.T) {
	p, err := compose.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: "..", Environment: map[string]string{"DIBS_POSTGRES_PASSWORD": "x"},
		ConfigFiles: []types.ConfigFile{{Filename: "../compose.yaml"}},
	}, func(o *compose.Options) { o.SetProjectName("dibs", true); o.Profiles = []string{"observability"} })
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dibs-1", "dibs-2", "postgres", "redis", "prometheus", "grafana"} {
		if _, err := p.GetService(name); err != nil {
			t.Error(err)
		}
	}
	for _, s := range p.Services {
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s is open to everybody at %s", s.Name, port.Published)
			}
		}
	}
	scrapes, err := os.ReadFile("../prometheus/prometheus.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dibs-1", "dibs-2"} {
		_, port, _ := strings.Cut(*p.Services[name].Environment["DIBS_OPS_LISTEN"], ":")
		if !strings.Contains(string(scrapes), name+":"+port) {
			t.Errorf("Prometheus does not ask %s on port %s", name, port)
		}
		for _, published := range p.Services[name].Ports {
			if fmt.Sprint(published.Target) == port {
				t.Errorf("%s publishes metrics and readiness", name)
			}
		}
	}
	_, err = compose.LoadWithContext(t.Context(), types.ConfigDetails{WorkingDir: "..", ConfigFiles: []types.ConfigFile{{Filename: "../compose.yaml"}}}, func(o *compose.Options) { o.SetProjectName("dibs", true) })
	if err == nil || !strings.Contains(err.Error(), "give a password") {
		t.Errorf("without a password: %v", err)
	}
}

const manifests = "../k8s/dibs.yaml"

var update = flag.Bool("update", false, "write the manifests of k8s anew")

// render renders the chart as helm template does, and returns the objects in the order in which they are applied.
func render(t *testing.T, given string) ([]string, error) {
	t.Helper()
	chart, err := loader.Load("../helm/dibs")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]any{}
	if err := yaml.Unmarshal([]byte(given), &values); err != nil {
		t.Fatal(err)
	}
	all, err := util.ToRenderValues(chart, values, common.ReleaseOptions{Name: "dibs", Namespace: "default", Revision: 1, IsInstall: true}, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(chart, all)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range []string{"service", "deployment", "disruption", "autoscaler", "ingress", "network", "monitor"} {
		if text := strings.TrimSpace(files["dibs/templates/"+name+".yaml"]); text != "" {
			out = append(out, text+"\n")
		}
		delete(files, "dibs/templates/"+name+".yaml")
	}
	delete(files, "dibs/templates/NOTES.txt")
	for name, text := range files {
		if strings.TrimSpace(text) != "" {
			t.Errorf("%s is not checked", name)
		}
	}
	return out, nil
}

// TestManifests holds the manifests to what the chart makes of its defaults.
func TestManifests(t *testing.T) {
	docs, err := render(t, "")
	if err != nil {
		t.Fatal(err)
	}
	want := "# The chart of ../helm/dibs with its defaults, for those without Helm: two replicas behind one service. Before it: a Secret \"dibs\"\n" +
		"# with DIBS_DATABASE and DIBS_REDIS (URLs with their passwords) and DIBS_WEBHOOK_KEYS, and a Secret \"dibs-ledger\" with ledger.key, made once by\n" +
		"# `dibs serve` anywhere and kept safe: the same key for all replicas.\n" + strings.Join(docs, "---\n")
	if *update {
		if err := os.WriteFile(manifests, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(manifests); err != nil || string(got) != want {
		t.Errorf("%s is not what the chart makes (%v); write it by: go -C deploy/check test -run Manifests -update .", manifests, err)
	}
}

// TestChart lets Helm's linter speak, and decodes each object into its type, with the defaults and with everything switched on;
// a field that is not there is an error.
func TestChart(t *testing.T) {
	for _, m := range lint.RunAll("../helm/dibs", nil, "default").Messages {
		if m.Severity > support.InfoSev {
			t.Error(m)
		}
	}
	const everything = `
replicas: 3
image: {repository: registry.example/dibs, tag: "1.2", pullSecrets: [pull]}
env: [{name: OTEL_EXPORTER_OTLP_ENDPOINT, value: "http://collector:4318"}]
ingress: {enabled: true, className: nginx, host: dibs.example, tlsSecret: dibs-tls, desk: true}
autoscaling: {enabled: true}
networkPolicy: {enabled: true, from: [{namespaceSelector: {}}], to: [{to: [{podSelector: {}}]}]}
serviceMonitor: {enabled: true}
`
	for _, c := range []struct {
		values string
		kinds  string
	}{
		{"", "Service Deployment PodDisruptionBudget"},
		{everything, "Service Deployment PodDisruptionBudget HorizontalPodAutoscaler Ingress NetworkPolicy ServiceMonitor"},
		{"networkPolicy: {enabled: true}", "Service Deployment PodDisruptionBudget NetworkPolicy"},
	} {
		docs, err := render(t, c.values)
		if err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for _, doc := range docs {
			var head struct{ Kind string }
			if err := yaml.Unmarshal([]byte(doc), &head); err != nil {
				t.Fatalf("%v\n%s", err, doc)
			}
			kinds = append(kinds, head.Kind)
			object := map[string]any{"Service": &corev1.Service{}, "Deployment": &appsv1.Deployment{}, "PodDisruptionBudget": &policyv1.PodDisruptionBudget{},
				"HorizontalPodAutoscaler": &autoscalingv2.HorizontalPodAutoscaler{}, "Ingress": &networkingv1.Ingress{}, "NetworkPolicy": &networkingv1.NetworkPolicy{}, "ServiceMonitor": &map[string]any{}}[head.Kind]
			if err := yaml.UnmarshalStrict([]byte(doc), object); err != nil {
				t.Errorf("%v\n%s", err, doc)
			}
			if d, ok := object.(*appsv1.Deployment); ok {
				sound(t, d)
				if err := yaml.UnmarshalStrict([]byte(strings.Replace(doc, "strategy:", "strategies:", 1)), d); err == nil {
					t.Error("a field that is not there is not noticed")
				}
				if autoscaled := strings.Contains(c.kinds, "Autoscaler"); (d.Spec.Replicas == nil) != autoscaled {
					t.Error("the autoscaler and the deployment both say how many replicas there are, or neither")
				}
			}
			if s, ok := object.(*corev1.Service); ok && (len(s.Spec.Ports) != 1 || s.Spec.Ports[0].TargetPort.StrVal != "http") {
				t.Errorf("the service leads to %+v: metrics and readiness are not for those who call", s.Spec.Ports)
			}
			if i, ok := object.(*networkingv1.Ingress); ok {
				var paths []string
				for _, p := range i.Spec.Rules[0].HTTP.Paths {
					paths = append(paths, p.Path)
				}
				if got := strings.Join(paths, " "); got != "/v1 /docs /openapi.yaml /desk" {
					t.Errorf("open to everybody: %s", got)
				}
			}
		}
		if got := strings.Join(kinds, " "); got != c.kinds {
			t.Errorf("with %s there are %s, want %s", c.values, got, c.kinds)
		}
	}
	for values, want := range map[string]string{"replica: 3": "replica", "ingress: {enabled: true, host: dibs.example}": "tlsSecret"} {
		if _, err := render(t, values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, which should name %s", values, err, want)
		}
	}
}

// sound looks at what a type does not say.
func sound(t *testing.T, d *appsv1.Deployment) {
	t.Helper()
	pod := d.Spec.Template
	for k, v := range d.Spec.Selector.MatchLabels {
		if pod.Labels[k] != v {
			t.Error("the deployment does not select its own pods")
		}
	}
	c := pod.Spec.Containers[0]
	if c.LivenessProbe.HTTPGet.Path != "/healthz" || c.ReadinessProbe.HTTPGet.Path != "/readyz" || c.Lifecycle.PreStop.Sleep == nil || !*c.SecurityContext.ReadOnlyRootFilesystem || !*pod.Spec.SecurityContext.RunAsNonRoot {
		t.Errorf("probes or security context: %+v", c)
	}
	for _, probe := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		if probe.HTTPGet.Port.StrVal != "ops" {
			t.Errorf("%s is asked on %s, where it is not answered", probe.HTTPGet.Path, &probe.HTTPGet.Port)
		}
	}
	if *pod.Spec.TerminationGracePeriodSeconds < c.Lifecycle.PreStop.Sleep.Seconds+50 {
		t.Error("pods are killed before they can have finished")
	}
}

// TestQueries parses what the dashboard and the alerts ask, by Prometheus's own parser. That there is something to ask it of is
// the rolling restart's test.
func TestQueries(t *testing.T) {
	queries := promql.NewParser(promql.Options{})
	n := 0
	check := func(where, expr string) {
		n++
		if _, err := queries.ParseExpr(strings.NewReplacer("$__rate_interval", "5m", "$instance", "x").Replace(expr)); err != nil {
			t.Errorf("%s: %v", where, err)
		}
	}
	for _, file := range []string{"../grafana/dibs.json", "../prometheus/alerts.yaml"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var doc any
		if err := yaml.Unmarshal(b, &doc); err != nil {
			t.Fatal(err)
		}
		var walk func(v any)
		walk = func(v any) {
			switch v := v.(type) {
			case map[string]any:
				if expr, ok := v["expr"].(string); ok {
					check(file, expr)
				}
				for _, inner := range v {
					walk(inner)
				}
			case []any:
				for _, inner := range v {
					walk(inner)
				}
			}
		}
		walk(doc)
	}
	if n < 15 {
		t.Errorf("only %d queries were found", n)
	}
	if _, err := queries.ParseExpr("sum(rate(dibs_decisions_total[5m])"); err == nil {
		t.Error("a query without its end is not noticed")
	}
}
