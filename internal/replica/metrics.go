package replica

import "github.com/prometheus/client_golang/prometheus"

// metrics are what the replica counts.
type metrics struct {
	boots    *prometheus.CounterVec
	signals  *prometheus.CounterVec
	publish  *prometheus.CounterVec
	limits   *prometheus.CounterVec
	rejected prometheus.Counter
	bytes    prometheus.Gauge
	up       prometheus.GaugeFunc
}

func newMetrics(r *Replica) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "dibs", Subsystem: "replica", Name: name, Help: help}, labels)
	}
	m := &metrics{
		boots:    counter("boots_total", "How the world was read: on top of a snapshot in Redis or in the store (warm), or without one, because there was none (cold) or it was refused (rejected).", "source", "outcome"),
		signals:  counter("signals_total", "Signals of commits: sent, lost (Redis was down), heard, and heeded (they spoke of what this replica had not).", "event"),
		publish:  counter("snapshot_publishes_total", "Attempts to publish a snapshot: published, leased (another replica is at it), failed.", "outcome"),
		limits:   counter("limits_total", "Answers of Redis to whether a caller may go on: allowed, refused, unknown (this replica's own limit alone decides).", "answer"),
		rejected: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "dibs", Subsystem: "replica", Name: "snapshots_rejected_total", Help: "Snapshots in Redis that were not what the store says was published."}),
		bytes:    prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "dibs", Subsystem: "replica", Name: "snapshot_bytes", Help: "Size of the last snapshot published or fetched."}),
	}
	m.up = prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "dibs", Subsystem: "replica", Name: "redis_up", Help: "1 while Redis answers."}, func() float64 {
		if r.state.Load() == up {
			return 1
		}
		return 0
	})
	for _, labels := range [][2]string{{"redis", "warm"}, {"store", "warm"}, {"store", "cold"}, {"store", "rejected"}} {
		m.boots.WithLabelValues(labels[0], labels[1])
	}
	return m
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.boots, m.signals, m.publish, m.limits, m.rejected, m.bytes, m.up}
}

// Describe implements prometheus.Collector.
func (r *Replica) Describe(to chan<- *prometheus.Desc) {
	for _, c := range r.metrics.all() {
		c.Describe(to)
	}
}

// Collect implements prometheus.Collector.
func (r *Replica) Collect(to chan<- prometheus.Metric) {
	for _, c := range r.metrics.all() {
		c.Collect(to)
	}
}
