package podmap

import (
	"fmt"
	"strings"
	"testing"
)

func TestTargets(t *testing.T) {
	tcp := func(numbers ...int) (ports []port) {
		for _, n := range numbers {
			ports = append(ports, port{n, "TCP"})
		}
		return ports
	}
	for _, c := range []struct {
		annotations string // without what all begin with
		ports       []port
		want        string
	}{
		{"scrape=true port=9121", tcp(6379), "http://10.0.0.1:9121/metrics"},
		{"scrape=true", tcp(6379, 9121, 6379), "http://10.0.0.1:6379/metrics http://10.0.0.1:9121/metrics"},
		{"scrape=true", []port{{53, "UDP"}, {9153, ""}}, "http://10.0.0.1:9153/metrics"},
		{"scrape=true", nil, "http://10.0.0.1:80/metrics"},
		{"scrape=true scheme=https", nil, "https://10.0.0.1:443/metrics"},
		{"scrape=true port=8443 scheme=https path=stats?a=b", nil, "https://10.0.0.1:8443/stats?a=b"},
		{"scrape=false port=9121", nil, ""},
		{"scrape=True", nil, ""},
		{"port=9121", nil, ""},
		{"scrape=true port=http", nil, `annotation prometheus.io/port: "http" is not a port`},
		{"scrape=true port=65536", nil, `annotation prometheus.io/port: "65536" is not a port`},
		{"scrape=true port=1 scheme=ftp", nil, `annotation prometheus.io/scheme: "ftp" is neither http nor https`},
		{"scrape=true port=1 path=/a#b", nil, `annotation prometheus.io/path: "/a#b" is not a path`},
		{"scrape=true", tcp(0, 70000), "http://10.0.0.1:80/metrics"},
	} {
		annotations := make(map[string]string)
		for pair := range strings.FieldsSeq(c.annotations) {
			name, value, _ := strings.Cut(pair, "=")
			annotations["prometheus.io/"+name] = value
		}
		found, more := targets(annotations, c.ports)
		var got []string
		for _, t := range found {
			text := t.Problem
			if text == "" {
				text = t.URL("10.0.0.1")
			}
			got = append(got, text)
		}
		if strings.Join(got, " ") != c.want || more != 0 {
			t.Errorf("%s: got %q, %d more", c.annotations, got, more)
		}
	}
	if found, more := targets(map[string]string{"prometheus.io/scrape": "true"}, tcp(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)); len(found) != maxTargets || more != 2 {
		t.Errorf("%d, %d more", len(found), more)
	}
	if got := (Target{Scheme: "http", Port: 80, Path: "/m"}).URL("fd00::1"); got != "http://[fd00::1]:80/m" {
		t.Error(got)
	}
}

// FuzzTargets: what is taken can be asked for, the rest has a problem, and there is an
// end to both.
func FuzzTargets(f *testing.F) {
	f.Add("true", "9121", "/metrics", "http", 80)
	f.Add("true", "", "stats?a=%zz", "https", -1)
	f.Fuzz(func(t *testing.T, scrape, portText, path, scheme string, declared int) {
		found, _ := targets(map[string]string{"prometheus.io/scrape": scrape, "prometheus.io/port": portText, "prometheus.io/path": path, "prometheus.io/scheme": scheme},
			[]port{{declared, ""}, {declared + 1, "TCP"}})
		if (len(found) > 0) != (scrape == "true") || len(found) > maxTargets {
			t.Fatal(found)
		}
		for _, page := range found {
			if page.Problem == "" && (page.Port < 1 || page.Port > 65535 || !strings.HasPrefix(page.URL("10.0.0.1"), fmt.Sprintf("%s://10.0.0.1:%d/", page.Scheme, page.Port))) {
				t.Errorf("%+v", page)
			}
		}
	})
}
