package kube

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"watchpost/internal/expo"
	"watchpost/internal/testkit"
)

// TestDocs: each resource has a page, with what it asks the API server for and
// every family. With -update these are written anew.
func TestDocs(t *testing.T) {
	for _, r := range resources {
		t.Run(r.name, func(t *testing.T) {
			testkit.Page(t, filepath.Join("..", "docs", "metrics", "kube", r.name+".md"), documented(t, r))
		})
	}
	if pages, _ := filepath.Glob("../docs/metrics/kube/*.md"); len(pages) != len(resources) {
		t.Errorf("%d pages for %d resources: one is left over", len(pages), len(resources))
	}
}

// documented is what the table says of a resource.
func documented(t *testing.T, r *resource) string {
	scope, group, asked, on := "the whole cluster's", "the core API group", "whole objects", "by default"
	if r.namespaced {
		scope = "in namespaces"
	}
	if r.version.Group != "" {
		group = "the API group `" + r.version.Group + "`"
	}
	switch r.fetch {
	case fetchMetadata:
		asked = "the metadata of the objects, nothing else of them"
	case fetchColumns:
		asked = "the metadata of the objects and the columns that `kubectl get` prints"
	}
	if !r.on {
		on = "where `--resources` names it"
	}
	var rows [][]string
	for _, f := range r.families {
		kind, help := described(t, f.Family)
		labels := slices.Concat(r.labels, f.Labels())
		written := "on"
		switch {
		case f.keys == labelKeys:
			labels, written = append(labels, "label_*"), "`--metric-labels-allowlist`"
		case f.keys == annotationKeys:
			labels, written = append(labels, "annotation_*"), "`--metric-annotations-allowlist`"
		case f.optIn:
			written = "`--metric-opt-in-list`"
		}
		rows = append(rows, []string{"`" + f.Name() + "`", kind, strings.Join(labels, ", "), written, help})
	}
	return "- API: `" + r.version.String() + "`, `" + r.kind + "`, " + scope + ".\n" +
		"- Permissions: `list` and `watch` of `" + r.name + "` in " + group + ".\n" +
		"- Asked for: " + asked + ".\n" +
		"- On: " + on + ".\n\n" +
		testkit.Table([]string{"metric", "type", "labels", "on, or with", "meaning"}, rows)
}

// described are the type and the help text of a family, as it is written.
func described(t *testing.T, f *expo.Family) (kind, help string) {
	t.Helper()
	lines := strings.Split(string(f.AppendHeader(nil, expo.Text)), "\n")
	help, isHelp := strings.CutPrefix(lines[0], "# HELP "+f.Name()+" ")
	kind, isType := strings.CutPrefix(lines[1], "# TYPE "+f.Name()+" ")
	if !isHelp || !isType || help == "" {
		t.Fatalf("header of %s: %q", f.Name(), lines)
	}
	return kind, help
}
