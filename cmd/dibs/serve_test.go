package main

import "testing"

// TestHealthURL: health asks where the service answers, as its environment says, on this machine.
func TestHealthURL(t *testing.T) {
	for want, c := range map[string]healthCmd{
		"http://127.0.0.1:8080/readyz":    {},
		"http://127.0.0.1:9000/readyz":    {Listen: "0.0.0.0:9000"},
		"http://127.0.0.1:9080/readyz":    {Listen: "0.0.0.0:9000", OpsListen: ":9080"},
		"http://127.0.0.1:9081/readyz":    {OpsListen: "[::]:9081"},
		"http://10.0.0.7:9080/readyz":     {OpsListen: "10.0.0.7:9080"},
		"http://elsewhere.example/readyz": {URL: "http://elsewhere.example/readyz", OpsListen: ":9080"},
	} {
		if got := c.url(); got != want {
			t.Errorf("%+v asks %s, want %s", c, got, want)
		}
	}
}
