package replica

import "github.com/prometheus/client_golang/prometheus"

// Counter returns one of the replica's counters.
func (r *Replica) Counter(name string, labels ...string) prometheus.Counter {
	if name == "snapshots_rejected" {
		return r.metrics.rejected
	}
	return map[string]*prometheus.CounterVec{"boots": r.metrics.boots, "signals": r.metrics.signals, "publish": r.metrics.publish, "limits": r.metrics.limits}[name].WithLabelValues(labels...)
}

// From has snapshots of n accounts and more kept, at once.
func (k *Kept) From(n int) { k.from, k.wait = n, 0 }
