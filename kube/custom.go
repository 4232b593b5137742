package kube

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"watchpost/internal/expo"
)

// Custom resources by the configuration format of kube-state-metrics (kind
// CustomResourceStateMetrics; docs/metrics/extend/customresourcestate-metrics.md of
// kubernetes/kube-state-metrics 2.20): read and checked here, made into resources
// as those of the table, found in the cluster by customWatch, rendered by
// customFamily. docs/custom-resources.md is for its readers.

// maxCustom is how long a configuration may be, in bytes: ten times that of Flux,
// Cluster API and Crossplane together.
const maxCustom = 4 << 20

// CustomConfig is a configuration of custom resources, checked.
type CustomConfig struct {
	entries []customEntry
	unknown []string
}

// Unknown are the fields that the format does not have, each with its line. They are
// without effect, and most of them are misspelt.
func (c *CustomConfig) Unknown() []string { return c.unknown }

// customFile and what it holds have the names of the format.
type customFile struct {
	Kind string
	Spec struct{ Resources []customEntry }
}

type customEntry struct {
	customLabels     `yaml:",inline"`
	GroupVersionKind struct{ Group, Version, Kind string } `yaml:"groupVersionKind"`
	// ResourcePlural is accepted and not needed: the definition in the cluster says it.
	ResourcePlural   string         `yaml:"resourcePlural"`
	MetricNamePrefix *string        `yaml:"metricNamePrefix"`
	ErrorLogV        int            `yaml:"errorLogV"`
	Metrics          []customMetric `yaml:"metrics"`
}

type customMetric struct {
	customLabels `yaml:",inline"`
	Name, Help   string
	ErrorLogV    int `yaml:"errorLogV"`
	Each         struct {
		Type     string
		Gauge    *customGauge
		Info     *customInfo
		StateSet *customStateSet `yaml:"stateSet"`
	}
}

type customLabels struct {
	CommonLabels   map[string]string   `yaml:"commonLabels"`
	LabelsFromPath map[string][]string `yaml:"labelsFromPath"`
}

type customMeta struct {
	Path           []string
	LabelsFromPath map[string][]string `yaml:"labelsFromPath"`
	// NilIsZero is of gauges; others accept it, as Cluster API's own configuration has
	// it in state sets.
	NilIsZero bool `yaml:"nilIsZero"`
}

type customGauge struct {
	customMeta   `yaml:",inline"`
	ValueFrom    []string `yaml:"valueFrom"`
	ValueType    string   `yaml:"valueType"` // ours: kube-state-metrics has it proposed (#3017)
	LabelFromKey string   `yaml:"labelFromKey"`
}

type customInfo struct {
	customMeta   `yaml:",inline"`
	LabelFromKey string `yaml:"labelFromKey"`
}

type customStateSet struct {
	customMeta `yaml:",inline"`
	LabelName  string   `yaml:"labelName"`
	List       []string `yaml:"list"`
	ValueFrom  []string `yaml:"valueFrom"`
}

// ParseCustom reads and checks a configuration of custom resources. The error is
// one line, which names the line or the place in the configuration.
func ParseCustom(text []byte) (*CustomConfig, error) {
	if len(text) > maxCustom {
		return nil, fmt.Errorf("custom resources: %d bytes of configuration; at most %d are read", len(text), maxCustom)
	}
	var file customFile
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&file); errors.Is(err, io.EOF) {
		return nil, errors.New("custom resources: the configuration is empty")
	} else if err != nil {
		return nil, fmt.Errorf("custom resources: %s", yamlMistake(err))
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("custom resources: the configuration has more than one YAML document; only one is read")
	}
	if file.Kind != "" && file.Kind != "CustomResourceStateMetrics" {
		return nil, fmt.Errorf("custom resources: kind is %.60q, not CustomResourceStateMetrics", file.Kind)
	}
	for i := range file.Spec.Resources {
		if at, err := file.Spec.Resources[i].check(); err != nil {
			return nil, fmt.Errorf("custom resources: %sspec.resources[%d]%s: %w", lineOf(text, i, at), i, at, err)
		}
	}
	return &CustomConfig{file.Spec.Resources, unknownFields(text)}, nil
}

// maxUnknown bounds how many unknown fields are told.
const maxUnknown = 20

// unknownFields are those of a configuration that can be read.
func unknownFields(text []byte) (fields []string) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	var several *yaml.TypeError
	if err := d.Decode(new(customFile)); !errors.As(err, &several) {
		return nil
	}
	for _, mistake := range several.Errors {
		where, _, unknown := strings.Cut(mistake, " not found in type ")
		line, field, _ := strings.Cut(where, ": field ")
		if unknown && len(fields) < maxUnknown {
			fields = append(fields, fmt.Sprintf("%s: %.60q", line, field))
		}
	}
	return fields
}

// yamlMistake is the first of a YAML error's lines, in words for people who do not
// know the types of this program.
func yamlMistake(err error) string {
	var several *yaml.TypeError
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	more := ""
	if errors.As(err, &several) && len(several.Errors) > 0 {
		text = several.Errors[0]
		if n := len(several.Errors) - 1; n > 0 {
			more = fmt.Sprintf(" (and %d more)", n)
		}
	}
	text, _, _ = strings.Cut(text, " into kube.")
	return strings.Join(strings.Fields(text), " ") + more
}

// customPlace is where in an entry a mistake is: in a metric, or none.
type customPlace struct{ metric int }

func (p customPlace) String() string {
	if p.metric < 0 {
		return ""
	}
	return fmt.Sprintf(".metrics[%d]", p.metric)
}

// lineOf is "line N: " of a place in a configuration, "" where it is not found, as
// in a configuration with aliases.
func lineOf(text []byte, entry int, at customPlace) string {
	var doc yaml.Node
	if yaml.Unmarshal(text, &doc) != nil || len(doc.Content) == 0 {
		return ""
	}
	n := yamlElement(yamlField(yamlField(doc.Content[0], "spec"), "resources"), entry)
	if at.metric >= 0 {
		n = yamlElement(yamlField(n, "metrics"), at.metric)
	}
	if n == nil {
		return ""
	}
	return fmt.Sprintf("line %d: ", n.Line)
}

func yamlField(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func yamlElement(n *yaml.Node, i int) *yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode || i >= len(n.Content) {
		return nil
	}
	return n.Content[i]
}

// check compiles all of an entry, as for a resource.
func (e *customEntry) check() (customPlace, error) {
	whole := customPlace{-1}
	if g := e.GroupVersionKind.Group; g == "" || g == "*" {
		return whole, errors.New("groupVersionKind.group has to be named; only version and kind may be *")
	}
	if err := e.customLabels.check(); err != nil {
		return whole, err
	}
	for i := range e.Metrics {
		if _, err := e.compile(&e.Metrics[i], definition{}, "", nil); err != nil {
			return customPlace{i}, err
		}
	}
	return whole, nil
}

func (l *customLabels) check() error {
	for name := range l.CommonLabels {
		if !validLabel(name) {
			return fmt.Errorf("commonLabels: %.60q is no name for a label", name)
		}
	}
	_, err := compileLabels(l.LabelsFromPath)
	return err
}

// matches tells whether the entry is about a version of a definition.
func (e *customEntry) matches(d definition, version string) bool {
	fits := func(pattern, s string) bool { return pattern == "" || pattern == "*" || pattern == s }
	w := &e.GroupVersionKind
	return w.Group == d.group && fits(w.Version, version) && fits(w.Kind, d.kind)
}

// resourceOf is the resource that a version of a definition becomes: all the
// families of all the entries that are about it, those of one name as one. It is
// nil where no entry is.
func (c *CustomConfig) resourceOf(d definition, version string, stats *CustomStats) *resource {
	var families []*customFamily
	found := false
	for i := range c.entries {
		e := &c.entries[i]
		if !e.matches(d, version) {
			continue
		}
		found = true
		for j := range e.Metrics {
			m := &e.Metrics[j]
			part, err := e.compile(m, d, version, stats)
			if err != nil {
				continue // cannot be: ParseCustom compiled it
			}
			name := e.fullName(m)
			at := slices.IndexFunc(families, func(f *customFamily) bool { return f.Name() == name })
			if at < 0 {
				at = len(families)
				families = append(families, &customFamily{Family: expo.Gauge(name, m.Help)})
			}
			families[at].parts = append(families[at].parts, part)
		}
	}
	if !found {
		return nil
	}
	r := &resource{
		name: d.plural, version: schema.GroupVersion{Group: d.group, Version: version}, kind: d.kind,
		namespaced: d.namespaced, on: true, fetch: fetchAny,
	}
	for _, f := range families {
		r.families = append(r.families, family{Family: f.Family, write: f.write})
	}
	return r
}

// fullName is a metric's name behind the entry's prefix.
func (e *customEntry) fullName(m *customMetric) string {
	prefix := "kube_customresource"
	if e.MetricNamePrefix != nil {
		prefix = *e.MetricNamePrefix
	}
	if prefix == "" {
		return m.Name
	}
	return prefix + "_" + m.Name
}

// compile makes a metric of the entry ready for the objects of a resource.
func (e *customEntry) compile(m *customMetric, d definition, version string, stats *CustomStats) (*customPart, error) {
	name := e.fullName(m)
	if m.Name == "" || !expo.ValidName(name) {
		return nil, fmt.Errorf("name: %.60q is no name for a metric", name)
	}
	if err := m.customLabels.check(); err != nil {
		return nil, err
	}
	common := map[string]string{}
	maps.Copy(common, e.CommonLabels)
	maps.Copy(common, map[string]string{"customresource_group": d.group, "customresource_version": version, "customresource_kind": d.kind})
	maps.Copy(common, m.CommonLabels)
	paths := map[string][]string{}
	maps.Copy(paths, e.LabelsFromPath)
	maps.Copy(paths, m.LabelsFromPath)

	p := &customPart{
		family: name, resource: d.plural + "." + version + "." + d.group, stats: stats,
		quiet: cmp.Or(m.ErrorLogV, e.ErrorLogV) > 0, value: numberOf,
	}
	for _, name := range slices.Sorted(maps.Keys(common)) {
		p.common = append(p.common, pair{name, common[name]})
	}
	var err error
	if p.labels, err = compileLabels(paths); err != nil {
		return nil, err
	}
	return p, p.compileEach(m)
}

// compileEach reads what a metric says of its type.
func (p *customPart) compileEach(m *customMetric) error {
	var meta *customMeta
	var valueFrom []string
	e := &m.Each
	switch strings.ToLower(e.Type) {
	case "gauge":
		if e.Gauge == nil {
			return errors.New("each: the type is Gauge and there is no gauge")
		}
		p.each, p.labelFromKey, p.nilIsZero = (*customPart).gauge, e.Gauge.LabelFromKey, e.Gauge.NilIsZero
		meta, valueFrom = &e.Gauge.customMeta, e.Gauge.ValueFrom
		switch e.Gauge.ValueType {
		case "", "auto":
		case "duration":
			p.value = durationOf
		default:
			return fmt.Errorf("each.gauge.valueType: %.60q is neither auto nor duration", e.Gauge.ValueType)
		}
		if len(valueFrom) == 1 && !strings.Contains(valueFrom[0], ",") {
			p.valueKey = valueFrom[0]
		}
	case "info":
		if e.Info == nil {
			return errors.New("each: the type is Info and there is no info")
		}
		p.each, p.labelFromKey, meta = (*customPart).info, e.Info.LabelFromKey, &e.Info.customMeta
	case "stateset":
		if e.StateSet == nil {
			return errors.New("each: the type is StateSet and there is no stateSet")
		}
		p.each, p.labelName, p.list = (*customPart).stateSet, e.StateSet.LabelName, e.StateSet.List
		meta, valueFrom = &e.StateSet.customMeta, e.StateSet.ValueFrom
		if !validLabel(p.labelName) {
			return fmt.Errorf("each.stateSet.labelName: %.60q is no name for a label", p.labelName)
		}
		for i, state := range p.list {
			if slices.Contains(p.list[:i], state) {
				return fmt.Errorf("each.stateSet.list: %.60q is in it twice", state)
			}
		}
	default:
		return fmt.Errorf("each.type: %.60q is none of Gauge, Info and StateSet", e.Type)
	}
	if p.labelFromKey != "" && !validLabel(p.labelFromKey) {
		return fmt.Errorf("each: labelFromKey: %.60q is no name for a label", p.labelFromKey)
	}
	var err error
	if p.path, err = compilePath(meta.Path); err != nil {
		return fmt.Errorf("each: path: %w", err)
	}
	if p.valueFrom, err = compilePath(valueFrom); err != nil {
		return fmt.Errorf("each: valueFrom: %w", err)
	}
	if p.eachLabels, err = compileLabels(meta.LabelsFromPath); err != nil {
		return fmt.Errorf("each: %w", err)
	}
	return nil
}

// labelPath is a label, or with a star one for each entry of a map.
type labelPath struct {
	name string // with a star: what stands before the names of the entries
	star bool
	path fieldPath
}

// compileLabels reads the labels of labelsFromPath: those with stars first, so that
// the others come over them.
func compileLabels(from map[string][]string) ([]labelPath, error) {
	var stars, plain []labelPath
	for _, name := range slices.Sorted(maps.Keys(from)) {
		p, err := compilePath(from[name])
		if err != nil {
			return nil, fmt.Errorf("labelsFromPath: %.60q: %w", name, err)
		}
		prefix, atEnd := strings.CutSuffix(name, "*")
		switch {
		case name == "":
			return nil, errors.New(`labelsFromPath: "" is no name for a label`)
		case atEnd:
			stars = append(stars, labelPath{prefix, true, p})
		case name[0] == '*':
			stars = append(stars, labelPath{"", true, p})
		default:
			plain = append(plain, labelPath{cleanLabel(name), false, p})
		}
	}
	return append(stars, plain...), nil
}
