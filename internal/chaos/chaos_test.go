package chaos

import (
	"testing"
)

func TestRound(t *testing.T) {
	folder := t.TempDir()
	clean, err := Build(t.Context(), folder, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	program, err := Build(t.Context(), folder, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Quick("sqlite")
	cfg.Seed, cfg.Program, cfg.Clean = 1, program, clean
	cfg.Keep = "/tmp/chaostry/keep"
	res, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(res)
	t.Log(res.Points)
	for _, v := range res.Violations {
		t.Errorf("%s: %s", v.Check, v.Detail)
	}
}
