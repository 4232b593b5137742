package push

import (
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/prometheus/common/model"
)

func TestParseKey(t *testing.T) {
	type labels = map[string]string
	for _, c := range []struct {
		path string
		want labels
		err  string
	}{
		{"/job/j", labels{"job": "j"}, ""},
		{"/job/j/", labels{"job": "j"}, ""},
		{"/job/j/instance/i", labels{"job": "j", "instance": "i"}, ""},
		{"/job/j/a/", labels{"job": "j", "a": ""}, ""},
		{"/job/j/a//b/2", labels{"job": "j", "a": "", "b": "2"}, ""},
		{"/job/j/a/../b/.", labels{"job": "j", "a": "..", "b": "."}, ""},
		{"/job/j/a/1/a/2", labels{"job": "j", "a": "2"}, ""},
		{"/job/j/job/other", labels{"job": "j"}, ""},
		{"/job@base64/L3Zhci90bXA", labels{"job": "/var/tmp"}, ""},
		{"/job@base64/L3Zhci90bXA=/path@base64/w7w", labels{"job": "/var/tmp", "path": "ü"}, ""},
		{"/job/j/empty@base64/=", labels{"job": "j", "empty": ""}, ""},
		{"/job/", nil, "job name is required"},
		{"/job", nil, "job name is required"},
		{"", nil, "job name is required"},
		{"/job//a/b", nil, "job name is required"},
		{"/job@base64/=", nil, "job name is required"},
		{"/job@base64/a+b", nil, "invalid base64 encoding in job name"},
		{"/job/j/a@base64/!", nil, "invalid base64 encoding for label a"},
		{"/job/j/a", nil, `odd number of components in label string "/a"`},
		{"/job/j/a/b/c", nil, "odd number of components"},
		{"/job/j//b", nil, `improper label name ""`},
		{"/job/j/a-b/c", nil, `improper label name "a-b"`},
		{"/job/j/__name__/c", nil, `improper label name "__name__"`},
		{"/job/\xff", nil, "not UTF-8"},
		{"/job/j/a/\xff", nil, "not UTF-8"},
	} {
		got, err := parseKey(c.path, model.LegacyValidation)
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: %v %v, want %q", c.path, got, err, c.err)
			}
		case err != nil || !maps.Equal(got, c.want):
			t.Errorf("%q: %v %v, want %v", c.path, got, err, c.want)
		}
	}
	if got, err := parseKey("/job/j/U__a_2e_b/c", model.UTF8Validation); err != nil || got["a.b"] != "c" {
		t.Errorf("an escaped name: %v %v", got, err)
	}
}

func FuzzParseKey(f *testing.F) {
	for _, path := range []string{"/job/j/instance/i", "/job@base64/L3Zhcg/a@base64/=", "/job/j/U__a_2e_b/c", "/job/j//"} {
		f.Add(path, true)
	}
	f.Fuzz(func(t *testing.T, path string, utf8Names bool) {
		scheme := model.LegacyValidation
		if utf8Names {
			scheme = model.UTF8Validation
		}
		labels, err := parseKey(path, scheme)
		if err != nil {
			return
		}
		if labels["job"] == "" {
			t.Errorf("%q has no job: %v", path, labels)
		}
		for n, v := range labels {
			if !scheme.IsValidLabelName(n) || strings.HasPrefix(n, "__") || !utf8.ValidString(v) {
				t.Errorf("%q gives the label %q=%q", path, n, v)
			}
		}
	})
}
