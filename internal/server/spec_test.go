package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/dibs-deals/dibs/api"
)

// spec is the specification as data, and a compiler of its schemas.
var spec = sync.OnceValue(func() (s struct {
	doc      map[string]any
	compiler *jsonschema.Compiler
	compiled *sync.Map
}) {
	var raw any
	if err := yaml.Unmarshal(api.Spec, &raw); err != nil {
		panic(err)
	}
	b, err := json.Marshal(raw)
	if err != nil {
		panic(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		panic(err)
	}
	s.doc, s.compiler, s.compiled = v.(map[string]any), jsonschema.NewCompiler(), &sync.Map{}
	s.compiler.AssertFormat()
	if err := s.compiler.AddResource("spec.json", v); err != nil {
		panic(err)
	}
	return s
})

var compiling sync.Mutex

// validate holds a JSON value to the schema at a pointer into the specification.
func validate(pointer string, body []byte) error {
	s := spec()
	c, ok := s.compiled.Load(pointer)
	if !ok {
		compiling.Lock()
		defer compiling.Unlock()
		compiled, err := s.compiler.Compile("spec.json#" + pointer)
		if err != nil {
			return err
		}
		c = compiled
		s.compiled.Store(pointer, c)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	if err := c.(*jsonschema.Schema).Validate(v); err != nil {
		return err
	}
	if extra := undocumented(at(s.doc, pointer), v, ""); len(extra) > 0 {
		return fmt.Errorf("not in the specification: %s", strings.Join(extra, ", "))
	}
	return nil
}

// at follows a pointer into the specification, through references.
func at(v any, pointer string) map[string]any {
	for token := range strings.SplitSeq(strings.Trim(pointer, "/"), "/") {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		m, _ := v.(map[string]any)
		v = deref(m[token])
	}
	m, _ := v.(map[string]any)
	return m
}

func deref(v any) any {
	if m, ok := v.(map[string]any); ok {
		if ref, ok := m["$ref"].(string); ok {
			return at(spec().doc, strings.TrimPrefix(ref, "#"))
		}
	}
	return v
}

// undocumented lists members of v that its schema does not name. Readers are told to ignore such members, so schemas
// allow them; we do not send them.
func undocumented(schema map[string]any, v any, path string) (out []string) {
	if alternatives, ok := schema["oneOf"].([]any); ok {
		schema, _ = deref(alternatives[0]).(map[string]any)
	}
	switch v := v.(type) {
	case map[string]any:
		props, _ := schema["properties"].(map[string]any)
		if props == nil {
			return nil
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			sub, ok := props[name]
			if !ok {
				out = append(out, path+"."+name)
				continue
			}
			m, _ := deref(sub).(map[string]any)
			out = append(out, undocumented(m, v[name], path+"."+name)...)
		}
	case []any:
		items, _ := deref(schema["items"]).(map[string]any)
		for _, x := range v {
			out = append(out, undocumented(items, x, path+"[]")...)
		}
	}
	return out
}

// described fails the test unless the specification has this answer: path, method, status, type and form.
func described(t testing.TB, g got) {
	t.Helper()
	path, _, _ := strings.Cut(g.path, "?")
	template := ""
	for p := range spec().doc["paths"].(map[string]any) {
		if matches(p, path) && (template == "" || strings.Count(p, "{") < strings.Count(template, "{")) {
			template = p
		}
	}
	method := strings.ToLower(g.method)
	if g.method == http.MethodHead {
		method = "get"
	}
	escaped := strings.NewReplacer("~", "~0", "/", "~1")
	base := "/paths/" + escaped.Replace(template) + "/" + method
	op := at(spec().doc, base)
	if template == "" || op == nil {
		if g.status != 404 && g.status != 405 {
			t.Errorf("%s: this is not in the specification", g)
		}
		base, op = "", nil
	}
	pointer := "/components/responses/ProblemReply"
	if op != nil {
		status := fmt.Sprint(g.status)
		responses := op["responses"].(map[string]any)
		if responses[status] == nil {
			if g.status < 400 && g.status != 304 {
				t.Errorf("%s: the specification has no %s for it", g, status)
				return
			}
			status = "default"
		}
		r := responses[status].(map[string]any)
		pointer = base + "/responses/" + status
		if ref, ok := r["$ref"].(string); ok {
			pointer = strings.TrimPrefix(ref, "#")
		}
	}
	content, _ := at(spec().doc, pointer)["content"].(map[string]any)
	media, _, _ := mime.ParseMediaType(g.header.Get("Content-Type"))
	if len(g.body) == 0 {
		return // 204, 304, HEAD
	}
	if content[media] == nil {
		t.Errorf("%s: the specification has no %s for it", g, media)
		return
	}
	if media == "application/json" || media == "application/problem+json" {
		if err := validate(pointer+"/content/"+escaped.Replace(media)+"/schema", g.body); err != nil {
			t.Errorf("%s\nis not as described: %v", g, err)
		}
	}
}

// matches reports whether a path is one of a template such as /v1/accounts/{id}.
func matches(template, path string) bool {
	a, b := strings.Split(template, "/"), strings.Split(path, "/")
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && (!strings.HasPrefix(a[i], "{") || b[i] == "") {
			return false
		}
	}
	return true
}

// TestSurface: the routes are the specification's operations, no more and no less, and each says who may call it.
func TestSurface(t *testing.T) {
	w := newWorld(t)
	routes := map[string]bool{}
	for _, r := range w.server.routes {
		routes[r.Method+" "+r.Path] = true
	}
	for path, methods := range spec().doc["paths"].(map[string]any) {
		for method, o := range methods.(map[string]any) {
			name := strings.ToUpper(method) + " " + strings.NewReplacer("{", ":", "}", "").Replace(path)
			if !routes[name] {
				t.Errorf("%s is described and not served", name)
			}
			delete(routes, name)
			op := o.(map[string]any)
			roles, _ := op["x-roles"].([]any)
			security, declared := op["security"].([]any)
			if public := declared && len(security) == 0; public == (len(roles) > 0) {
				t.Errorf("%s must have x-roles, or security: [] if everyone may call it", name)
			}
		}
	}
	for name := range routes {
		t.Errorf("%s is served and not described", name)
	}
}

// TestUndescribedRefused: a specification that leaves open who may call an operation is not served.
func TestUndescribedRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no roles":         "paths: {/x: {get: {operationId: x}}}",
		"roles and public": "paths: {/x: {get: {operationId: x, security: [], x-roles: [ops]}}}",
		"empty roles":      "paths: {/x: {get: {operationId: x, x-roles: []}}}",
		"unknown role":     "paths: {/x: {get: {operationId: x, x-roles: [root]}}}",
		"unlimited body":   "paths: {/x: {post: {operationId: x, x-roles: [ops], requestBody: {content: {application/xml: {}}}}}}",
	} {
		if _, err := operations([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestProblemsDocumented: every kind of problem has its section, under the address its type points to.
func TestProblemsDocumented(t *testing.T) {
	b, err := os.ReadFile("../../docs/problems.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]bool{}
	for line := range strings.SplitSeq(string(b), "\n") {
		if code, ok := strings.CutPrefix(line, "## "); ok {
			sections[code] = true
		}
	}
	for code, kind := range kinds {
		if !sections[code] {
			t.Errorf("docs/problems.md has no section %q", code)
		}
		if want := fmt.Sprintf("Status %d", kind.status); !strings.Contains(string(b), "## "+code+"\n\n"+want) {
			t.Errorf("docs/problems.md does not say %q under %q", want, code)
		}
		delete(sections, code)
	}
	for code := range sections {
		t.Errorf("docs/problems.md describes %q, which no answer has", code)
	}
}
