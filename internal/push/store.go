package push

// The groups, and the rules by which what is pushed fits together: one type for
// each name, no series twice, no name that another family's parts have. They are
// those that client_golang applies to a gathering (prometheus.Gatherers), kept as
// an index, so that a push is checked against all groups at the cost of itself.

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/proto"
)

// The two families that each group has besides what was pushed, as pushgateway
// calls them.
const (
	pushName   = "push_time_seconds"
	pushHelp   = "Time of the last push into this group that succeeded, 0 without one."
	failedName = "push_failure_time_seconds"
	failedHelp = "Time of the last push into this group that was refused, 0 without one."
)

// errFull is of a push that is sound but finds no room.
var errFull = errors.New("no room")

var errTimestamp = errors.New("pushed metrics must not have timestamps")

// family is one family of a group.
type family struct {
	at     time.Time // of the push
	mf     *dto.MetricFamily
	hashes []uint64 // of its series
}

// group is what was pushed under one grouping key.
type group struct {
	labels   map[string]string
	families map[string]family
}

// name is what is known of a family over all groups.
type name struct {
	kind   dto.MetricType
	groups int // that have it
}

// store holds the groups. It is not safe for use by several goroutines.
type store struct {
	scheme    model.ValidationScheme
	maxGroups int
	maxSeries int

	groups map[string]*group // by key
	names  map[string]name
	series map[uint64]struct{} // of all groups
	seed   maphash.Seed
}

func newStore(scheme model.ValidationScheme, maxGroups, maxSeries int) *store {
	return &store{
		scheme: scheme, maxGroups: maxGroups, maxSeries: maxSeries,
		groups: make(map[string]*group), names: make(map[string]name), series: make(map[uint64]struct{}), seed: maphash.MakeSeed(),
	}
}

// keyOf is one text for a set of labels. The separator occurs in no UTF-8 text.
func keyOf(labels map[string]string) string {
	var b strings.Builder
	for _, n := range slices.Sorted(maps.Keys(labels)) {
		b.WriteString(n)
		b.WriteByte(model.SeparatorByte)
		b.WriteString(labels[n])
		b.WriteByte(model.SeparatorByte)
	}
	return b.String()
}

// push puts families into the group of labels: in place of all it has, or of
// those of the same names alone. What does not fit changes nothing but the
// group's time of failure. It takes the families over.
func (s *store) push(labels map[string]string, families map[string]*dto.MetricFamily, replace bool, now time.Time) error {
	err := s.check(families)
	if err == nil {
		err = s.put(labels, families, replace, now)
	}
	if err != nil && !errors.Is(err, errFull) {
		// Where even that does not fit, nobody could tell it from another group's.
		_ = s.stamp(labels, now)
	}
	return err
}

// check looks at the families alone.
func (s *store) check(families map[string]*dto.MetricFamily) error {
	for _, n := range slices.Sorted(maps.Keys(families)) {
		mf := families[n]
		if !s.scheme.IsValidMetricName(n) {
			return fmt.Errorf("invalid metric name %q", n)
		}
		switch mf.GetType() {
		case dto.MetricType_COUNTER, dto.MetricType_GAUGE, dto.MetricType_SUMMARY, dto.MetricType_UNTYPED, dto.MetricType_HISTOGRAM:
		default:
			return fmt.Errorf("metric %q has the type %s, which the text format does not know", n, mf.GetType())
		}
		if !utf8.ValidString(mf.GetHelp()) {
			return fmt.Errorf("the help text of metric %q is not UTF-8", n)
		}
		for _, m := range mf.GetMetric() {
			if err := s.checkMetric(n, mf.GetType(), m); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *store) checkMetric(n string, kind dto.MetricType, m *dto.Metric) error {
	if m.TimestampMs != nil {
		return errTimestamp
	}
	if kind == dto.MetricType_GAUGE && m.Gauge == nil || kind == dto.MetricType_COUNTER && m.Counter == nil ||
		kind == dto.MetricType_SUMMARY && m.Summary == nil || kind == dto.MetricType_HISTOGRAM && m.Histogram == nil ||
		kind == dto.MetricType_UNTYPED && m.Untyped == nil {
		return fmt.Errorf("metric %q { %s} is not a %s", n, m, kind)
	}
	slices.SortFunc(m.Label, byName)
	for i, l := range m.GetLabel() {
		switch {
		case !s.scheme.IsValidLabelName(l.GetName()) || strings.HasPrefix(l.GetName(), model.ReservedLabelPrefix):
			return fmt.Errorf("metric %q { %s} has a label with an invalid name: %q", n, m, l.GetName())
		case i > 0 && m.Label[i-1].GetName() == l.GetName():
			return fmt.Errorf("metric %q { %s} has two or more labels with the same name: %s", n, m, l.GetName())
		case kind == dto.MetricType_SUMMARY && l.GetName() == model.QuantileLabel, kind == dto.MetricType_HISTOGRAM && l.GetName() == model.BucketLabel:
			return fmt.Errorf("metric %q { %s} must not have an explicit %q label", n, m, l.GetName())
		case !utf8.ValidString(l.GetValue()):
			return fmt.Errorf("metric %q has a label %s whose value is not UTF-8: %q", n, l.GetName(), l.GetValue())
		}
	}
	return nil
}

func byName(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) }

// put is push for families that are sound by themselves.
func (s *store) put(labels map[string]string, families map[string]*dto.MetricFamily, replace bool, now time.Time) error {
	key := keyOf(labels)
	old := s.groups[key]
	if old == nil && len(s.groups) >= s.maxGroups {
		return fmt.Errorf("%w: there are %d groups already", errFull, len(s.groups))
	}
	next := &group{labels: labels, families: make(map[string]family)}
	if old != nil {
		for n, f := range old.families {
			if !replace || n == failedName {
				next.families[n] = f
			}
		}
	}
	families[pushName] = timestamp(pushName, pushHelp, now)
	if _, told := next.families[failedName]; !told {
		families[failedName] = timestamp(failedName, failedHelp, time.Time{})
	}
	shared, none := pairs(labels), noInstance()
	for n, mf := range families {
		if len(mf.GetMetric()) == 0 {
			delete(next.families, n)
			continue
		}
		f := family{at: now, mf: mf, hashes: make([]uint64, 0, len(mf.Metric))}
		for _, m := range mf.Metric {
			m.Label = label(m.Label, shared, none)
			f.hashes = append(f.hashes, s.hash(n, m.Label))
		}
		next.families[n] = f
	}
	return s.swap(key, old, next)
}

// stamp notes a failure in the group of labels.
func (s *store) stamp(labels map[string]string, now time.Time) error {
	key := keyOf(labels)
	old := s.groups[key]
	if old == nil && len(s.groups) >= s.maxGroups {
		return errFull
	}
	next := &group{labels: labels, families: make(map[string]family)}
	if old != nil {
		maps.Copy(next.families, old.families)
	}
	add := func(n, help string, at time.Time) {
		mf := timestamp(n, help, at)
		mf.Metric[0].Label = label(nil, pairs(labels), noInstance())
		next.families[n] = family{at: now, mf: mf, hashes: []uint64{s.hash(n, mf.Metric[0].Label)}}
	}
	add(failedName, failedHelp, now)
	if _, pushed := next.families[pushName]; !pushed {
		add(pushName, pushHelp, time.Time{})
	}
	return s.swap(key, old, next)
}

func timestamp(n, help string, at time.Time) *dto.MetricFamily {
	var seconds float64
	if !at.IsZero() {
		seconds = float64(at.UnixNano()) / 1e9
	}
	return &dto.MetricFamily{
		Name: proto.String(n), Help: proto.String(help), Type: dto.MetricType_GAUGE.Enum(),
		Metric: []*dto.Metric{{Gauge: &dto.Gauge{Value: proto.Float64(seconds)}}},
	}
}

// pairs are the labels of a group as its series have them, which share them.
func pairs(labels map[string]string) []*dto.LabelPair {
	all := make([]*dto.LabelPair, 0, len(labels))
	for n, v := range labels {
		all = append(all, &dto.LabelPair{Name: proto.String(n), Value: proto.String(v)})
	}
	return all
}

// noInstance is the label instance of a series that has none, be it empty: a scraper
// with honor_labels does not put its own there then.
func noInstance() *dto.LabelPair {
	return &dto.LabelPair{Name: proto.String(model.InstanceLabel), Value: proto.String("")}
}

// label is a series' labels, sorted by name, with those of its group in place of its
// own, and with an instance.
func label(own, group []*dto.LabelPair, none *dto.LabelPair) []*dto.LabelPair {
	all := append(make([]*dto.LabelPair, 0, len(own)+len(group)+1), group...)
	for _, l := range own {
		if !slices.ContainsFunc(group, func(g *dto.LabelPair) bool { return g.GetName() == l.GetName() }) {
			all = append(all, l)
		}
	}
	if !slices.ContainsFunc(all, func(l *dto.LabelPair) bool { return l.GetName() == model.InstanceLabel }) {
		all = append(all, none)
	}
	slices.SortFunc(all, byName)
	return all
}

func (s *store) hash(n string, labels []*dto.LabelPair) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	h.WriteString(n)
	h.WriteByte(model.SeparatorByte)
	for _, l := range labels {
		if l.GetValue() == "" {
			continue // to a scraper it is not there
		}
		h.WriteString(l.GetName())
		h.WriteByte(model.SeparatorByte)
		h.WriteString(l.GetValue())
		h.WriteByte(model.SeparatorByte)
	}
	return h.Sum64()
}

// swap puts next in the place of old, or leaves everything as it is.
func (s *store) swap(key string, old, next *group) error {
	if old != nil {
		s.unlist(old)
	}
	if err := s.list(next); err != nil {
		if old != nil {
			if again := s.list(old); again != nil {
				return fmt.Errorf("BUG: what was there does not fit any more: %w", again)
			}
		}
		return err
	}
	s.groups[key] = next
	return nil
}

// list enters a group's families into the index, or none of them.
func (s *store) list(g *group) error {
	listed := &group{families: make(map[string]family, len(g.families))}
	for n, f := range g.families {
		if err := s.fits(n, f); err != nil {
			s.unlist(listed)
			return err
		}
		known := s.names[n]
		s.names[n] = name{kind: f.mf.GetType(), groups: known.groups + 1}
		for i, h := range f.hashes {
			if _, twice := s.series[h]; twice {
				f.hashes = f.hashes[:i]
				listed.families[n] = f
				s.unlist(listed)
				return fmt.Errorf("metric %q { %s} was collected before with the same name and label values", n, f.mf.Metric[i])
			}
			s.series[h] = struct{}{}
		}
		listed.families[n] = f
	}
	if len(s.series) > s.maxSeries {
		s.unlist(listed)
		return fmt.Errorf("%w: there would be more than %d series", errFull, s.maxSeries)
	}
	return nil
}

func (s *store) unlist(g *group) {
	for n, f := range g.families {
		if known := s.names[n]; known.groups > 1 {
			s.names[n] = name{kind: known.kind, groups: known.groups - 1}
		} else {
			delete(s.names, n)
		}
		for _, h := range f.hashes {
			delete(s.series, h)
		}
	}
}

// parts are the names that the series of a family have besides its own.
var parts = map[dto.MetricType][]string{
	dto.MetricType_SUMMARY:   {"_count", "_sum"},
	dto.MetricType_HISTOGRAM: {"_count", "_sum", "_bucket"},
}

// fits tells whether a family goes with the names there are.
func (s *store) fits(n string, f family) error {
	if known, ok := s.names[n]; ok && known.kind != f.mf.GetType() {
		return fmt.Errorf("metric %q is a %s here and a %s in another group", n, f.mf.GetType(), known.kind)
	}
	for _, part := range parts[f.mf.GetType()] {
		if _, ok := s.names[n+part]; ok {
			return fmt.Errorf("the %s %q collides with the metric %q", f.mf.GetType(), n, n+part)
		}
	}
	for _, part := range parts[dto.MetricType_HISTOGRAM] {
		whole, ok := strings.CutSuffix(n, part)
		if !ok {
			continue
		}
		if known, ok := s.names[whole]; ok && slices.Contains(parts[known.kind], part) {
			return fmt.Errorf("metric %q collides with the %s %q", n, known.kind, whole)
		}
	}
	return nil
}

// remove forgets a group.
func (s *store) remove(key string) {
	if g, ok := s.groups[key]; ok {
		s.unlist(g)
		delete(s.groups, key)
	}
}

// gather is all that was pushed, as one exposition: families by name, series by
// the values of their labels. Where groups have different help texts the one that
// was pushed last counts. What it returns is only read.
func (s *store) gather() []*dto.MetricFamily {
	type merged struct {
		mf *dto.MetricFamily
		at time.Time
	}
	byFamily := make(map[string]*merged, len(s.names))
	for _, g := range s.groups {
		for n, f := range g.families {
			all, ok := byFamily[n]
			if !ok {
				all = &merged{mf: &dto.MetricFamily{Name: f.mf.Name, Type: f.mf.Type, Unit: f.mf.Unit}}
				byFamily[n] = all
			}
			if f.mf.Help != nil && (all.mf.Help == nil || f.at.After(all.at)) {
				all.mf.Help, all.at = f.mf.Help, f.at
			}
			all.mf.Metric = append(all.mf.Metric, f.mf.Metric...)
		}
	}
	result := make([]*dto.MetricFamily, 0, len(byFamily))
	for _, n := range slices.Sorted(maps.Keys(byFamily)) {
		mf := byFamily[n].mf
		slices.SortFunc(mf.Metric, byLabels)
		result = append(result, mf)
	}
	return result
}

// byLabels orders series as client_golang does: by the number of their labels,
// then by the values.
func byLabels(a, b *dto.Metric) int {
	if c := cmp.Compare(len(a.Label), len(b.Label)); c != 0 {
		return c
	}
	for i := range a.Label {
		if c := strings.Compare(a.Label[i].GetValue(), b.Label[i].GetValue()); c != 0 {
			return c
		}
	}
	return 0
}
