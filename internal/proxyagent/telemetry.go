package proxyagent

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/version"

	"watchpost/internal/containers"
	"watchpost/internal/expo"
)

// What the proxy tells of itself.
var (
	buildInfo      = expo.Gauge("watchpost_proxy_build_info", "Which build of the program this is; always 1.", "revision", "version")
	sourceUp       = expo.Gauge("watchpost_proxy_source_up", "Whether the last answer of a source came whole; absent before the first.", "source")
	sourceSeconds  = expo.Gauge("watchpost_proxy_source_last_duration_seconds", "How long the last answer of a source took, with passing it on.", "source")
	sourceFetches  = expo.Counter("watchpost_proxy_source_fetches_total", "How often a source was asked.", "source")
	sourceFailures = expo.Counter("watchpost_proxy_source_failures_total", "Answers of a source that did not come whole, by reason.", "source", "reason")
	seriesIn       = expo.Counter("watchpost_proxy_series_in_total", "Series read from a source.", "source")
	seriesOut      = expo.Counter("watchpost_proxy_series_out_total", "Series of a source that were passed on.", "source")
	bytesIn        = expo.Counter("watchpost_proxy_bytes_in_total", "Bytes of text read from a source.", "source")
	bytesOut       = expo.Counter("watchpost_proxy_bytes_out_total", "Bytes of text of a source that were passed on.", "source")
	seriesDropped  = expo.Counter("watchpost_proxy_series_dropped_total", "Series of a source that a rule dropped.", "source", "rule")
	bytesDropped   = expo.Counter("watchpost_proxy_bytes_dropped_total", "Bytes of text of a source that a rule dropped, as they were read.", "source", "rule")
	seriesKept     = expo.Counter("watchpost_proxy_series_kept_total", "Series of a source that a rule kept, whatever comes after it.", "source", "rule")
	bytesKept      = expo.Counter("watchpost_proxy_bytes_kept_total", "Bytes of text of a source that a rule kept, as they were read.", "source", "rule")
	seriesStale    = expo.Counter("watchpost_proxy_series_stale_total", "Series left out because their timestamp was too old.", "source")
	seriesUnknown  = expo.Counter("watchpost_proxy_series_pod_unknown_total", "Series that name a pod which is not known.", "source")
	seriesClashed  = expo.Counter("watchpost_proxy_series_clashes_total", "Series left out because label rules made them equal to another.", "source")
	joinRefused    = expo.Counter("watchpost_proxy_join_refused_total", "Series left out where all sources are joined: another source had them, or their family with another type.")
	scrapesTotal   = expo.Counter("watchpost_proxy_scrapes_total", "Requests for metrics, by path and HTTP status; aborted is one that was not sent whole.", "path", "code")
	podPages       = expo.Gauge("watchpost_proxy_pod_sources", "Pages of pods that ask to be scraped, those that are asked.")
	podPagesLeft   = expo.Gauge("watchpost_proxy_pod_sources_left_out", "Pages of pods that ask to be scraped, beyond as many as are asked.")
	podUp          = expo.Gauge("watchpost_proxy_pod_source_up", "Whether the last answer of a pod that asks to be scraped came whole; absent before the first.", "namespace", "pod", "pod_ip", "upstream")
	podSeconds     = expo.Gauge("watchpost_proxy_pod_source_last_duration_seconds", "How long that answer took, with passing it on.", "namespace", "pod", "pod_ip", "upstream")
	podsKnown      = expo.Gauge("watchpost_proxy_pods", "Pods of this node that are known, with those that are gone for a short time.")
	podsCurrent    = expo.Gauge("watchpost_proxy_pods_up", "Whether the pods are as the API server or the kubelet has them.")
	podEvents      = expo.Counter("watchpost_proxy_pod_events_total", "Changes of pods that were told.")
)

// own is what the proxy tells of itself.
func (a *Agent) own() []byte {
	var w expo.Writer
	w.Reset(expo.Text)
	w.SetConstLabels(a.labels)
	w.Sample(buildInfo, 1, version.GetRevision(), version.Version)
	pages := a.pods.all()
	counted := a.sources
	if a.pods != nil {
		counted = append(slices.Clip(counted), a.pods.total)
	}
	each := func(write func(*source)) {
		for _, s := range counted {
			s.mu.Lock()
			write(s)
			s.mu.Unlock()
		}
	}
	each(func(s *source) {
		if s.heard {
			w.Sample(sourceUp, number(s.up), s.Name)
		}
	})
	each(func(s *source) {
		if s.heard {
			w.Sample(sourceSeconds, s.took.Round(time.Microsecond).Seconds(), s.Name)
		}
	})
	each(func(s *source) { w.Uint(sourceFetches, s.fetches, s.Name) })
	each(func(s *source) {
		for i, n := range s.failures {
			if i == misdescribed && s.Name != podSource {
				continue // others have no annotations
			}
			w.Uint(sourceFailures, n, s.Name, reasons[i])
		}
	})
	for _, c := range []struct {
		family *expo.Family
		value  func(*source) uint64
	}{
		{seriesIn, func(s *source) uint64 { return s.counts.SeriesIn }},
		{seriesOut, func(s *source) uint64 { return s.counts.SeriesOut }},
		{bytesIn, func(s *source) uint64 { return s.counts.BytesIn }},
		{bytesOut, func(s *source) uint64 { return s.counts.BytesOut }},
		{seriesStale, func(s *source) uint64 { return s.counts.Stale }},
		{seriesUnknown, func(s *source) uint64 { return s.counts.PodUnknown }},
		{seriesClashed, func(s *source) uint64 { return s.counts.Clashes }},
	} {
		each(func(s *source) { w.Uint(c.family, c.value(s), s.Name) })
	}
	for _, c := range []struct {
		family *expo.Family
		keep   bool
		value  func(containers.RuleCount) uint64
	}{
		{seriesDropped, false, func(c containers.RuleCount) uint64 { return c.Series }},
		{bytesDropped, false, func(c containers.RuleCount) uint64 { return c.Bytes }},
		{seriesKept, true, func(c containers.RuleCount) uint64 { return c.Series }},
		{bytesKept, true, func(c containers.RuleCount) uint64 { return c.Bytes }},
	} {
		each(func(s *source) {
			for i, rule := range s.asked {
				if rule.Keep == c.keep && slices.Index(s.asked, rule) == i { // the same rule given twice never fits
					w.Uint(c.family, c.value(s.counts.ByRule[i]), s.Name, rule.Origin)
				}
			}
		})
	}
	if a.pods != nil {
		n, left := a.pods.counted()
		w.Sample(podPages, float64(n))
		w.Sample(podPagesLeft, float64(left))
	}
	for _, c := range []struct {
		family *expo.Family
		value  func(*source) float64
	}{
		{podUp, func(s *source) float64 { return number(s.up) }},
		{podSeconds, func(s *source) float64 { return s.took.Round(time.Microsecond).Seconds() }},
	} {
		for _, s := range pages {
			s.mu.Lock()
			if s.heard {
				w.Sample(c.family, c.value(s), s.pod.namespace, s.pod.pod, s.pod.page.ip, s.pod.portTag)
			}
			s.mu.Unlock()
		}
	}
	for _, s := range a.sources {
		if s.Own != nil {
			s.Own(&w)
		}
	}
	a.mu.Lock()
	w.Uint(joinRefused, a.refused)
	for _, key := range slices.Sorted(maps.Keys(a.scrapes)) {
		path, code, _ := strings.Cut(key, " ")
		w.Uint(scrapesTotal, a.scrapes[key], path, code)
	}
	a.mu.Unlock()
	if a.cfg.Pods != nil {
		w.Sample(podsKnown, float64(a.cfg.Pods.Len()))
		w.Sample(podsCurrent, number(a.cfg.Pods.Current()))
		w.Uint(podEvents, a.cfg.Pods.Events())
	}
	if err := a.self.Write(&w); err != nil {
		a.cfg.Log.Debug("The metrics of this program are not complete", "error", err)
	}
	return w.Bytes()
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
