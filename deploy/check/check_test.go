// Package check holds the deployment files to the types of those who read them, without a container engine. It is a
// module of its own, so that the service carries none of theirs.
package check

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
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
	p, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: "..", Environment: map[string]string{"DIBS_POSTGRES_PASSWORD": "x"},
		ConfigFiles: []types.ConfigFile{{Filename: "../compose.yaml"}},
	}, func(o *loader.Options) { o.SetProjectName("dibs", true); o.Profiles = []string{"observability"} })
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
	_, err = loader.LoadWithContext(t.Context(), types.ConfigDetails{WorkingDir: "..", ConfigFiles: []types.ConfigFile{{Filename: "../compose.yaml"}}}, func(o *loader.Options) { o.SetProjectName("dibs", true) })
	if err == nil || !strings.Contains(err.Error(), "give a password") {
		t.Errorf("without a password: %v", err)
	}
}

// TestManifests decodes each object into its type; a field that is not there is an error.
func TestManifests(t *testing.T) {
	b, err := os.ReadFile("../k8s/dibs.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var deployment appsv1.Deployment
	objects := []any{&corev1.Service{}, &deployment, &policyv1.PodDisruptionBudget{}}
	docs := strings.Split(string(b), "\n---\n")
	if len(docs) != len(objects) {
		t.Fatalf("%d objects", len(docs))
	}
	for i, doc := range docs {
		if err := yaml.UnmarshalStrict([]byte(doc), objects[i]); err != nil {
			t.Error(err)
		}
	}
	if err := yaml.UnmarshalStrict([]byte(strings.Replace(docs[1], "replicas:", "replica:", 1)), &appsv1.Deployment{}); err == nil {
		t.Error("a field that is not there is not noticed")
	}
	pod := deployment.Spec.Template
	if deployment.Spec.Selector.MatchLabels["app.kubernetes.io/name"] != pod.Labels["app.kubernetes.io/name"] {
		t.Error("the deployment does not select its own pods")
	}
	c := pod.Spec.Containers[0]
	if c.LivenessProbe.HTTPGet.Path != "/healthz" || c.ReadinessProbe.HTTPGet.Path != "/readyz" || c.Lifecycle.PreStop.Sleep == nil || !*c.SecurityContext.ReadOnlyRootFilesystem || !*pod.Spec.SecurityContext.RunAsNonRoot {
		t.Errorf("probes or security context: %+v", c)
	}
	if *pod.Spec.TerminationGracePeriodSeconds < c.Lifecycle.PreStop.Sleep.Seconds+50 {
		t.Error("pods are killed before they can have finished")
	}
}
