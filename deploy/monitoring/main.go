// Command monitoring writes the Grafana dashboards into the folder dashboards, from
// the table below: go run . in this folder. Rules and their tests are files of their
// own (rules/, tests/). A test runs every query of all of them.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	for _, d := range dashboards {
		text, err := d.render()
		if err == nil {
			err = os.WriteFile(d.file(), text, 0o644)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// dashboard is one page.
type dashboard struct {
	name      string // of its file and address
	title     string
	about     string
	variables []variable // chosen at its top
	rows      []row
}

// variable is a choice: values of a label of a metric, all of them at first.
type variable struct{ name, metric, label string }

// row is some panels side by side, under a heading.
type row struct {
	title  string
	panels []panel
}

// panel is one graph, number or table.
type panel struct {
	title  string
	kind   string // "timeseries", "stat" or "table"
	unit   string // Grafana's name of it
	series []series
}

// series is a query with the text that names its lines.
type series struct{ legend, expr string }

func graph(title, unit string, s ...series) panel { return panel{title, "timeseries", unit, s} }
func stat(title, unit, expr string) panel         { return panel{title, "stat", unit, []series{{"", expr}}} }
func table(title, unit, expr string) panel        { return panel{title, "table", unit, []series{{"", expr}}} }

// file is where a dashboard is written.
func (d dashboard) file() string { return filepath.Join("dashboards", d.name+".json") }

// Sizes in Grafana's grid of 24 columns.
const (
	columns    = 24
	statHeight = 4
	height     = 8
)

type object = map[string]any

// render is the dashboard as Grafana imports it.
func (d dashboard) render() ([]byte, error) {
	source := object{"type": "prometheus", "uid": "${datasource}"}
	choices := []object{{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}}
	for i, v := range d.variables {
		var within []string
		for _, before := range d.variables[:i] {
			within = append(within, fmt.Sprintf("%s=~\"$%s\"", before.label, before.name))
		}
		choices = append(choices, object{
			"name": v.name, "type": "query", "datasource": source, "includeAll": true, "multi": true, "allValue": ".*", "refresh": 2, "sort": 1,
			"query":   fmt.Sprintf("label_values(%s{%s}, %s)", v.metric, strings.Join(within, ", "), v.label),
			"current": object{"text": "All", "value": "$__all"},
		})
	}
	var panels []object
	y := 0
	add := func(p object, x, width, height int) {
		p["id"] = len(panels) + 1
		p["gridPos"] = object{"x": x, "y": y, "w": width, "h": height}
		panels = append(panels, p)
	}
	for _, r := range d.rows {
		add(object{"type": "row", "title": r.title, "collapsed": false, "panels": []object{}}, 0, columns, 1)
		y++
		tall, width := statHeight, columns/len(r.panels)
		for i, p := range r.panels {
			h := height
			if p.kind == "stat" {
				h = statHeight
			}
			tall = max(tall, h)
			add(p.render(source), i*width, width, h)
		}
		y += tall
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", " ")
	e.SetEscapeHTML(false)
	err := e.Encode(object{
		"uid": "watchpost-" + d.name, "title": d.title, "description": d.about, "tags": []string{"watchpost"},
		"schemaVersion": 39, "editable": true, "refresh": "1m", "time": object{"from": "now-3h", "to": "now"},
		"templating": object{"list": choices}, "panels": panels,
	})
	return b.Bytes(), err
}

func (p panel) render(source object) object {
	var targets []object
	for i, s := range p.series {
		t := object{"refId": string(rune('A' + i)), "expr": s.expr, "datasource": source, "legendFormat": s.legend}
		if p.kind != "timeseries" {
			t["instant"] = true
		}
		if p.kind == "table" {
			t["format"] = "table"
		}
		targets = append(targets, t)
	}
	return object{
		"type": p.kind, "title": p.title, "datasource": source, "targets": targets,
		"fieldConfig": object{"defaults": object{"unit": p.unit}, "overrides": []object{}},
	}
}

// queries are all expressions of a dashboard, with everything chosen.
func (d dashboard) queries() []string {
	var all []string
	everything := []string{"$__rate_interval", "5m"}
	for _, v := range d.variables {
		everything = append(everything, "$"+v.name, ".*")
	}
	chosen := strings.NewReplacer(everything...)
	for _, r := range d.rows {
		for _, p := range r.panels {
			for _, s := range p.series {
				all = append(all, chosen.Replace(s.expr))
			}
		}
	}
	return slices.Compact(all)
}
