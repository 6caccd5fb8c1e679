package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestConfig: every setting of dibs serve is there with its value, where that comes from and what it means, and nothing that opens something.
func TestConfig(t *testing.T) {
	t.Setenv("DIBS_REDIS", "redis+sentinel://user:s3cret@h1:26379,h2:26379/master?sentinel_password=s3cret2")
	t.Setenv("DIBS_DATABASE", "postgres://dibs:s3c@r?et3@db1,db2/dibs?sslmode=require")
	t.Setenv("DIBS_WEBHOOK_KEYS", strings.Repeat("A", 43)+"=")
	t.Setenv("DIBS_LISTN", "s3cret4")
	t.Setenv("DIBS_KEY", "s3cret5")
	t.Setenv("PGPASSWORD", "s3cret6")
	t.Setenv("PGPASSFILE", "/etc/pgpass")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=s3cret7")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:s3cret8@collector:4318")
	args := []string{"config", "--listen", "0.0.0.0:80", "--redis", "redis://u:s3cret9@h/0?password=s3cret10", "--webhook-allow", "10.0.0.0/8"}
	code, text, errs := dibs(t, "", nil, args...)
	if code != exitOK {
		t.Fatalf("%d %s", code, errs)
	}
	code, out, errs := dibs(t, "", nil, append(args, "--format", "json")...)
	if code != exitOK {
		t.Fatalf("%d %s", code, errs)
	}
	for _, s := range []string{text, out} {
		if strings.Contains(s, "s3c") || strings.Contains(s, "et3") || strings.Contains(s, "AAAA") {
			t.Errorf("a secret is shown: %s", s)
		}
	}
	var got struct {
		Settings    []setting
		Environment []beside
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	settings, env := map[string]setting{}, map[string]beside{}
	for _, s := range got.Settings {
		settings[s.Flag] = s
		if s.Meaning == "" || !strings.Contains(text, s.Flag) || !strings.Contains(text, s.Meaning) {
			t.Errorf("%+v is not in the text, or has no meaning", s)
		}
	}
	for _, e := range got.Environment {
		env[e.Name] = e
	}
	for flag, want := range map[string][3]string{
		"--listen": {"0.0.0.0:80", "flag", "DIBS_LISTEN"}, "--redis": {"redis://u:(hidden)@h/0?password=(hidden)", "flag", "DIBS_REDIS"},
		"--database": {"postgres://dibs:(hidden)@db1,db2/dibs?sslmode=require", "environment", "DIBS_DATABASE"}, "--webhook-keys": {hidden, "environment", "DIBS_WEBHOOK_KEYS"},
		"--checks-per-minute": {"60", "default", "DIBS_CHECKS_PER_MINUTE"}, "--signing-key": {"dibs-data/ledger.key", "default", "DIBS_SIGNING_KEY"},
		"--webhook-allow": {"10.0.0.0/8", "flag", "DIBS_WEBHOOK_ALLOW"}, "--log-level": {"INFO", "default", "DIBS_LOG_LEVEL"}, "--policy": {"", "default", "DIBS_POLICY"},
	} {
		if s := settings[flag]; [3]string{s.Value, s.Source, s.Env} != want {
			t.Errorf("%s: %+v, want %v", flag, s, want)
		}
	}
	_, help, _ := dibs(t, "", nil, "serve", "--help")
	for _, word := range strings.Fields(help) {
		flag, _, _ := strings.Cut(strings.NewReplacer("[no-]", "", ",", "").Replace(word), "=")
		if strings.HasPrefix(flag, "--") && flag != "--help" && settings[flag].Flag == "" && !strings.Contains(settings["--policy"].Meaning+settings["--model"].Meaning, flag) && flag != "--listen." {
			t.Errorf("%s of dibs serve is no setting", flag)
		}
	}
	if env["PGPASSFILE"].Value != "/etc/pgpass" || env["OTEL_EXPORTER_OTLP_ENDPOINT"].Value != "http://me:(hidden)@collector:4318" || env["DIBS_LISTN"].Note != "no setting has this name; did you mean DIBS_LISTEN?" || env["DIBS_KEY"].Note == "" {
		t.Errorf("%+v", env)
	}
	for _, bad := range []string{"host=db password=s3cret", "mysql://me:s3cret@h/x"} {
		if code, out, errs := dibs(t, "", nil, "config", "--database", bad); code != exitUsage || strings.Contains(out+errs, "s3cret") || !strings.Contains(errs, "--database") {
			t.Errorf("%s: %d %s%s", bad, code, out, errs)
		}
	}
}
