package replica

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// timeouts are those of one client.
type timeouts struct {
	dial, io    time.Duration
	connections int
}

var (
	slowTimeouts = timeouts{dial: 2 * time.Second, io: 3 * time.Second, connections: 8}
	fastTimeouts = timeouts{dial: 500 * time.Millisecond, io: 100 * time.Millisecond, connections: 16}
)

// connect makes a client of the Redis that a URL names:
//
//	redis://[USER:PASSWORD@]HOST[:6379][/DB]                                     one server; rediss:// with TLS
//	redis+sentinel://[USER:PASSWORD@]HOST[:26379][,HOST…]/MASTER[/DB]            found through Sentinels
//	redis+cluster://[USER:PASSWORD@]HOST[:6379][,HOST…]                          a cluster
//
// rediss+sentinel and rediss+cluster are with TLS. ?skip_verify=true leaves the server's certificate unchecked;
// sentinel_username and sentinel_password are those of the Sentinels. Other parameters are those of go-redis's ParseURL.
func connect(text string, t timeouts) (redis.UniversalClient, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return nil, fmt.Errorf("%q is not the URL of a Redis: redis://HOST:6379, rediss://, redis+sentinel://HOST,HOST/MASTER or redis+cluster://HOST,HOST", redacted(text))
	}
	plain, kind, _ := strings.Cut(scheme, "+")
	if plain != "redis" && plain != "rediss" || kind != "" && kind != "sentinel" && kind != "cluster" {
		return nil, fmt.Errorf("%s:// is not one of redis, rediss, redis+sentinel, rediss+sentinel, redis+cluster, rediss+cluster", scheme)
	}
	if kind == "" {
		o, err := redis.ParseURL(text)
		if err != nil {
			return nil, wrong(err)
		}
		t.set(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolSize)
		o.MaxRetries, o.DialerRetries, o.ContextTimeoutEnabled, o.DisableIdentity, o.PipelinePoolSize = -1, 1, true, true, -1
		o.MaintNotificationsConfig = noNotifications
		return redis.NewClient(o), nil
	}

	// A URL has one host. What is said of all of them is read with the first.
	access, where := "", rest
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		access, where = rest[:i+1], rest[i+1:]
	}
	end := strings.IndexAny(where, "/?")
	if end < 0 {
		end = len(where)
	}
	hosts, tail := strings.Split(where[:end], ","), where[end:]
	port := "6379"
	master := ""
	if kind == "sentinel" {
		port = "26379"
		path, query, _ := strings.Cut(tail, "?")
		parts := strings.SplitN(strings.Trim(path, "/"), "/", 2)
		if master = parts[0]; master == "" {
			return nil, errors.New("redis+sentinel:// names no master: redis+sentinel://HOST,HOST/MASTER")
		}
		tail = ""
		if len(parts) == 2 {
			tail = "/" + parts[1]
		}
		if query != "" {
			tail += "?" + query
		}
	}
	var extra url.Values
	if path, query, ok := strings.Cut(tail, "?"); ok && kind == "sentinel" {
		var err error
		if extra, err = url.ParseQuery(query); err != nil {
			return nil, wrong(err)
		}
		others := url.Values{}
		for k, v := range extra {
			if !strings.HasPrefix(k, "sentinel_") {
				others[k] = v
			}
		}
		tail = path + "?" + others.Encode()
	}
	for i, h := range hosts {
		if h == "" {
			return nil, fmt.Errorf("%s:// with an empty host", scheme)
		}
		if _, _, err := net.SplitHostPort(h); err != nil {
			hosts[i] = net.JoinHostPort(strings.Trim(h, "[]"), port)
		}
	}
	o, err := redis.ParseURL(plain + "://" + access + hosts[0] + tail)
	if err != nil {
		return nil, wrong(err)
	}
	if o.TLSConfig != nil {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.TLSConfig.InsecureSkipVerify} //nolint:gosec // asked for by ?skip_verify=true; the name is each host's own
	}
	t.set(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolSize)
	if kind == "cluster" {
		if o.DB != 0 {
			return nil, errors.New("a Redis cluster has no numbered databases: leave the path out")
		}
		return redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: hosts, Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, DisableIdentity: true,
			DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, PoolSize: o.PoolSize, MaintNotificationsConfig: noNotifications,
		}), nil
	}
	return redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: master, SentinelAddrs: hosts, SentinelUsername: extra.Get("sentinel_username"), SentinelPassword: extra.Get("sentinel_password"),
		Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: o.TLSConfig, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, DisableIdentity: true,
		DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, PoolSize: o.PoolSize,
	}), nil
}

// noNotifications: servers' announcements of their own maintenance are not asked for; the breaker finds out.
var noNotifications = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}

// set fills in what the URL leaves open.
func (t timeouts) set(dial, read, write *time.Duration, connections *int) {
	for to, from := range map[*time.Duration]time.Duration{dial: t.dial, read: t.io, write: t.io} {
		if *to == 0 {
			*to = from
		}
	}
	if *connections == 0 {
		*connections = t.connections
	}
}

// wrong keeps the URL, which may hold a password, out of the message.
func wrong(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("the URL of the Redis cannot be read: %w", err)
}

// redacted hides what may be a password.
func redacted(text string) string {
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		return "…" + text[i:]
	}
	return text
}
