package test

import (
	"os"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"watchpost/deploy/grants"
)

// granted are the grants of manifests, by program.
func granted(t *testing.T, manifests []*unstructured.Unstructured) map[string][]string {
	t.Helper()
	all, err := grants.Of(manifests)
	if err != nil {
		t.Fatal(err)
	}
	of := make(map[string][]string)
	for _, g := range all {
		of[g.Program] = append(of[g.Program], g.What)
	}
	return of
}

// Every grant has its line in docs/privileges.md, and every line a grant: those of the
// base, and those that a component adds.
func TestPrivileges(t *testing.T) {
	text, err := os.ReadFile("../../docs/privileges.md")
	if err != nil {
		t.Fatal(err)
	}
	tables, err := grants.Tables(string(text))
	if err != nil {
		t.Fatal(err)
	}
	_, manifests := build(t, "..")
	base := granted(t, manifests)
	seen := make(map[string]bool)
	hold := func(section string, of []string) {
		seen[section] = true
		for _, err := range grants.Differ(section, tables[section], of) {
			t.Errorf("docs/privileges.md: %v", err)
		}
	}
	for program, of := range base {
		hold(program, of)
	}
	components, err := os.ReadDir("../components")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range components {
		for program, of := range granted(t, variant{components: []string{c.Name()}}.kustomize(t)) {
			more := slices.DeleteFunc(of, func(what string) bool { return slices.Contains(base[program], what) })
			if len(more) > 0 {
				hold(program+" "+c.Name(), more)
			}
		}
	}
	for section := range tables {
		if !seen[section] {
			t.Errorf("docs/privileges.md: there is no %s that is granted anything", section)
		}
	}
}
