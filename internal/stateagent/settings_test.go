package stateagent

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseKeys(t *testing.T) {
	for list, want := range map[string]map[string][]string{
		"":                        {},
		"pods=[*]":                {"pods": {"*"}},
		"pods=[]":                 {"pods": {}},
		"pods=[app, team/x-*]":    {"pods": {"app", "team/x-*"}},
		"pods=[a,b],nodes=[c]":    {"pods": {"a", "b"}, "nodes": {"c"}},
		" pods=[a] , nodes=[ * ]": {"pods": {"a"}, "nodes": {"*"}},
		"*=[*],pods=[app]":        {"*": {"*"}, "pods": {"app"}},
	} {
		if got, err := ParseKeys(list); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v, want %v", list, got, err, want)
		}
	}
	for _, list := range []string{"pods", "pods=a", "pods=[a", "=[a]", "pods=[a],", "pods=[a],,nodes=[b]", "pods=[a]nodes=[b]", "pods=[a,]", "pods=[,a]", "pods=[a],pods=[b]", "pods=[[a]]", "a,b=[c]"} {
		if got, err := ParseKeys(list); err == nil || !strings.Contains(err.Error(), list) {
			t.Errorf("%q: %v, %v", list, got, err)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add("pods=[a,b],nodes=[*]")
	f.Fuzz(func(t *testing.T, list string) {
		keys, err := ParseKeys(list)
		if err != nil {
			return
		}
		for resource, of := range keys {
			if strings.TrimSpace(resource) == "" || strings.ContainsAny(resource, ",[]") {
				t.Errorf("%q: resource %q", list, resource)
			}
			for _, key := range of {
				if key == "" || strings.ContainsAny(key, ",[]") {
					t.Errorf("%q: key %q", list, key)
				}
			}
		}
	})
}
