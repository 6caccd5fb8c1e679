package replica

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TestConnect reads URLs of every kind.
func TestConnect(t *testing.T) {
	open := func(t *testing.T, url string) redis.UniversalClient {
		t.Helper()
		c, err := connect(url, slowTimeouts)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	t.Run("one", func(t *testing.T) {
		o := open(t, "rediss://us%40er:p%3Aw@cache.example/3?read_timeout=7s").(*redis.Client).Options()
		if o.Addr != "cache.example:6379" || o.Username != "us@er" || o.Password != "p:w" || o.DB != 3 || o.TLSConfig == nil || o.TLSConfig.InsecureSkipVerify || o.TLSConfig.ServerName != "cache.example" {
			t.Errorf("%+v", o)
		}
		if o.MaxRetries > 0 || o.ReadTimeout != 7*time.Second || o.WriteTimeout != slowTimeouts.io || o.DialTimeout != slowTimeouts.dial {
			t.Errorf("retries %d, timeouts %v %v %v", o.MaxRetries, o.ReadTimeout, o.WriteTimeout, o.DialTimeout)
		}
		if o := open(t, "redis://h:1").(*redis.Client).Options(); o.TLSConfig != nil || o.Addr != "h:1" {
			t.Errorf("%+v", o)
		}
	})
	t.Run("cluster", func(t *testing.T) {
		o := open(t, "rediss+cluster://user:pw@a,b:7000,[::1],[::2]:7001?skip_verify=true").(*redis.ClusterClient).Options()
		if want := []string{"a:6379", "b:7000", "[::1]:6379", "[::2]:7001"}; !slices.Equal(o.Addrs, want) || o.Username != "user" || o.Password != "pw" || !o.TLSConfig.InsecureSkipVerify || o.TLSConfig.ServerName != "" {
			t.Errorf("%+v", o)
		}
	})
	t.Run("sentinel", func(t *testing.T) {
		c := open(t, "redis+sentinel://user:p%40w@s1,s2:1,s3/primary/2?sentinel_username=su&sentinel_password=sp&read_timeout=1s")
		o := c.(*redis.Client).Options()
		if o.Addr != "FailoverClient" || o.Username != "user" || o.Password != "p@w" || o.DB != 2 || o.ReadTimeout != time.Second || o.MaxRetries > 0 {
			t.Errorf("%+v", o)
		}
	})
	for url, says := range map[string]string{
		"localhost:6379":                "is not the URL of a Redis",
		"user:hunter2@h":                "is not the URL of a Redis",
		"http://h":                      "is not one of",
		"redis+x://h":                   "is not one of",
		"redis+sentinel://a,b":          "names no master",
		"redis+cluster://a,,b":          "empty host",
		"redis+cluster://a/1":           "no numbered databases",
		"redis://h/x":                   "invalid database number",
		"redis://h?nonsense=1":          "unexpected option",
		"redis://u:hunter2@h:port":      "cannot be read",
		"redis+sentinel://h/m?a=%zz":    "cannot be read",
		"redis+cluster://u:hunter2@h:x": "cannot be read",
	} {
		_, err := connect(url, slowTimeouts)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", url, err, says)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the password is in the message: %v", url, err)
		}
	}
}
