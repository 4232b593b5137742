package containers

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// ParseRules reads a file of rules, whose format is in docs/filter.md. file is its
// name, for errors and as the rules' origin. All mistakes are told, each as
// file:line: reason.
func ParseRules(file string, text []byte) (Rules, error) {
	var r Rules
	p := parser{file: file}
	if root := p.document(text); root != nil {
		p.fields(root, map[string]func(*yaml.Node){
			"profile":    func(n *yaml.Node) { r.Profile = p.text(n) },
			"timestamps": func(n *yaml.Node) { r.Timestamps = Timestamps(p.text(n)) },
			"max-age":    func(n *yaml.Node) { r.MaxAge = p.duration(n) },
			"labels":     func(n *yaml.Node) { r.Static = p.texts(n) },
			"pod-labels": func(n *yaml.Node) { r.Pods.Labels = p.list(n) },
			"pod-annotations": func(n *yaml.Node) {
				r.Pods.Annotations = p.list(n)
			},
			"series":      func(n *yaml.Node) { p.items(n, func(n *yaml.Node) { r.Series = append(r.Series, p.seriesRule(n)) }) },
			"label-rules": func(n *yaml.Node) { p.items(n, func(n *yaml.Node) { r.Labels = append(r.Labels, p.labelRule(n)) }) },
		})
	}
	if len(p.mistakes) > 0 {
		return Rules{}, errors.Join(p.mistakes...)
	}
	if _, err := NewFilter(r, nil); err != nil { // the errors of rules name their lines
		if !strings.HasPrefix(err.Error(), file+":") {
			err = fmt.Errorf("%s: %w", file, err)
		}
		return Rules{}, err
	}
	return r, nil
}

// ParseSeriesRule reads one rule for series as it would stand in a file, such as
// `{drop: container_fs_*, where: {device: /dev/loop.*}}`. origin names it in errors.
func ParseSeriesRule(origin, text string) (r SeriesRule, err error) {
	p := parser{origin: origin}
	if n := p.document([]byte(text)); n != nil {
		r = p.seriesRule(n)
	}
	if len(p.mistakes) == 0 {
		if _, err = NewFilter(Rules{Series: []SeriesRule{r}}, nil); err == nil {
			return r, nil
		}
		return r, err
	}
	return r, errors.Join(p.mistakes...)
}

// ParseLabelRule reads one rule for labels as it would stand in a file, such as
// `{metric: container_*, drop: [id, name]}`. origin names it in errors.
func ParseLabelRule(origin, text string) (r LabelRule, err error) {
	p := parser{origin: origin}
	if n := p.document([]byte(text)); n != nil {
		r = p.labelRule(n)
	}
	if len(p.mistakes) == 0 {
		if _, err = NewFilter(Rules{Labels: []LabelRule{r}}, nil); err == nil {
			return r, nil
		}
		return r, err
	}
	return r, errors.Join(p.mistakes...)
}

// parser walks over YAML nodes and collects mistakes.
type parser struct {
	file, origin string // one of them is ""
	mistakes     []error
}

func (p *parser) at(line int) string {
	if p.file == "" {
		return p.origin
	}
	return p.file + ":" + strconv.Itoa(line)
}

func (p *parser) wrong(n *yaml.Node, format string, args ...any) {
	p.mistakes = append(p.mistakes, fmt.Errorf("%s: %s", p.at(n.Line), fmt.Sprintf(format, args...)))
}

// document is the root of the text's only document; nil where it is empty.
func (p *parser) document(text []byte) *yaml.Node {
	var doc, more yaml.Node
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	if err := d.Decode(&doc); err != nil {
		if err.Error() != "EOF" {
			p.mistakes = append(p.mistakes, fmt.Errorf("%s: %s", strings.TrimSuffix(p.file+p.origin, ":"), strings.ReplaceAll(err.Error(), "\n", " ")))
		} else if p.file == "" {
			p.mistakes = append(p.mistakes, fmt.Errorf("%s: an empty rule", p.origin))
		}
		return nil
	}
	if d.Decode(&more) == nil {
		p.wrong(&more, "a second document")
	}
	if root := doc.Content[0]; root.Tag != "!!null" {
		return root
	}
	return nil
}

// fields gives each value of a group to the function for its key.
func (p *parser) fields(n *yaml.Node, known map[string]func(*yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		p.wrong(n, "want a group of settings")
		return
	}
	given := make(map[string]bool)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		take, found := known[key.Value]
		switch {
		case !found:
			p.wrong(key, "%s: there is no such setting", strconv.Quote(key.Value))
		case given[key.Value]:
			p.wrong(key, "%s: given twice", key.Value)
		default:
			given[key.Value] = true
			take(n.Content[i+1])
		}
	}
}

func (p *parser) items(n *yaml.Node, take func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		p.wrong(n, "want a list")
		return
	}
	for _, item := range n.Content {
		take(item)
	}
}

// text is a single value; numbers and the like are taken as they are written.
func (p *parser) text(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		p.wrong(n, "want one value")
		return ""
	}
	return n.Value
}

// list is one value or several.
func (p *parser) list(n *yaml.Node) (list []string) {
	if n.Kind == yaml.ScalarNode {
		return []string{p.text(n)}
	}
	p.items(n, func(n *yaml.Node) { list = append(list, p.text(n)) })
	return list
}

// texts is a group of names with values.
func (p *parser) texts(n *yaml.Node) map[string]string {
	if n.Kind != yaml.MappingNode {
		p.wrong(n, "want a group of names with values")
		return nil
	}
	texts := make(map[string]string)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := p.text(n.Content[i])
		if _, given := texts[name]; given {
			p.wrong(n.Content[i], "%s: given twice", name)
		}
		texts[name] = p.text(n.Content[i+1])
	}
	return texts
}

func (p *parser) duration(n *yaml.Node) time.Duration {
	d, err := time.ParseDuration(p.text(n))
	if err != nil || d <= 0 {
		p.wrong(n, "%s is no time such as 90s or 5m", strconv.Quote(n.Value))
	}
	return d
}

func (p *parser) truth(n *yaml.Node) (truth bool) {
	if n.Tag != "!!bool" || n.Decode(&truth) != nil {
		p.wrong(n, "want true or false")
	}
	return truth
}

func (p *parser) seriesRule(n *yaml.Node) SeriesRule {
	r := SeriesRule{Origin: p.at(n.Line)}
	ways := 0
	way := func(keep bool) func(*yaml.Node) {
		return func(n *yaml.Node) {
			ways++
			r.Metric, r.Keep = Pattern(p.text(n)), keep
			if r.Metric == "" {
				p.wrong(n, `a pattern that is empty: "*" is for all metrics`)
			}
		}
	}
	before := len(p.mistakes)
	p.fields(n, map[string]func(*yaml.Node){
		"drop":  way(false),
		"keep":  way(true),
		"where": func(n *yaml.Node) { r.Where = p.texts(n) },
		"value": func(n *yaml.Node) {
			if r.Value = p.text(n); r.Value == "" {
				p.wrong(n, "an empty value is no number")
			}
		},
	})
	if ways != 1 && len(p.mistakes) == before {
		p.wrong(n, "a rule for series has one of drop and keep, with the pattern of the metrics")
	}
	return r
}

func (p *parser) labelRule(n *yaml.Node) LabelRule {
	r := LabelRule{Origin: p.at(n.Line)}
	p.fields(n, map[string]func(*yaml.Node){
		"metric": func(n *yaml.Node) { r.Metric = Pattern(p.text(n)) },
		"drop":   func(n *yaml.Node) { r.Drop = p.list(n) },
		"keep":   func(n *yaml.Node) { r.Keep = p.list(n) },
		"rename": func(n *yaml.Node) { r.Rename = p.texts(n) },
		"sum":    func(n *yaml.Node) { r.Sum = p.truth(n) },
	})
	return r
}
