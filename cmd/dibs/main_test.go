package main

import (
	"strings"
	"testing"
)

// TestHelp: without a command, and with help, all commands are listed, each in a line of 80 columns; help COMMAND is what
// COMMAND --help says, and a command that there is not names what may have been meant.
func TestHelp(t *testing.T) {
	t.Setenv("COLUMNS", "80")
	code, list, _ := dibs(t, "", nil)
	if _, same, _ := dibs(t, "", nil, "help"); code != exitOK || same != list {
		t.Errorf("without a command: %d %s\n%s", code, list, same)
	}
	_, commands, _ := strings.Cut(list, "Commands:\n")
	commands, _, _ = strings.Cut(commands, "\n\n")
	for _, line := range strings.Split(commands, "\n") {
		if strings.HasPrefix(line, "   ") || !strings.HasSuffix(line, ".") {
			t.Errorf("not in one line: %s", line)
		}
	}
	for _, want := range []string{"  serve ", "  policy publish ", "  audit verify ", "  help "} {
		if !strings.Contains(commands, want) {
			t.Errorf("the list lacks %s:\n%s", want, list)
		}
	}
	for _, command := range [][]string{{"serve"}, {"policy"}, {"policy", "publish"}} {
		_, flag, _ := dibs(t, "", nil, append(command, "--help")...)
		if code, help, _ := dibs(t, "", nil, append([]string{"help"}, command...)...); code != exitOK || help != flag || !strings.Contains(help, "Usage: dibs "+strings.Join(command, " ")) {
			t.Errorf("help %v: %d %s", command, code, help)
		}
	}
	for line, want := range map[string]string{
		"polcy":             `did you mean "policy"?`,
		"help polcy":        `did you mean "policy"?`,
		"verify answer":     "did you mean dibs audit verify?",
		"frobnicate":        "dibs help lists the commands",
		"policy chek x":     `did you mean "check"?`,
		"policy":            "dibs help policy says what it takes",
		"serve --lisen x":   `did you mean "--listen"?`,
		"keys create":       "dibs help keys create says",
		"help policy chekk": `did you mean "check"?`,
	} {
		if code, out, errs := dibs(t, "", nil, strings.Fields(line)...); code != exitUsage || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%s: %d, want %s: %s%s", line, code, want, out, errs)
		}
	}
}
