package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const sample = `# comment
FROM --platform=$BUILDPLATFORM golang AS build
RUN anything 'goes' here
FROM scratch AS base
ARG VERSION=unknown SOURCE
# in the middle
LABEL a.version=$VERSION \
      # of a line
      a.source=${SOURCE} a.text="it's one, two"
COPY --from=build /out/ca.crt /etc/ssl/
USER 65534:65534
FROM base AS one
LABEL a.text=one
COPY --from=build --chown=1:2 /out/one /out/data /
EXPOSE 80 81
VOLUME /data /more
ENTRYPOINT ["/one", "--flag=a b"]
FROM base AS two
`

func TestParseDockerfile(t *testing.T) {
	got, err := parseDockerfile(sample, map[string]string{"SOURCE": "https://example.org", "OTHER": "is not asked for"})
	if err != nil {
		t.Fatal(err)
	}
	common := copied{0, 0, []string{"/out/ca.crt"}, "/etc/ssl/"}
	labels := map[string]string{"a.version": "unknown", "a.source": "https://example.org", "a.text": "it's one, two"}
	want := []stage{
		{name: "base", base: "scratch", labels: labels, user: "65534:65534", copies: []copied{common}},
		{
			name: "one", base: "base", labels: map[string]string{"a.version": "unknown", "a.source": "https://example.org", "a.text": "one"}, user: "65534:65534",
			copies: []copied{common, {1, 2, []string{"/out/one", "/out/data"}, "/"}}, ports: []string{"80/tcp", "81/tcp"}, volumes: []string{"/data", "/more"},
			entrypoint: []string{"/one", "--flag=a b"},
		},
		{name: "two", base: "base", labels: labels, user: "65534:65534", copies: []copied{common}},
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("stages:\n%+v\nwant:\n%+v", got, want)
			break
		}
	}
}

func TestParseDockerfileRefuses(t *testing.T) {
	const begin = "FROM scratch AS a\n"
	for text, want := range map[string]string{
		"":                                       "no stage begins with scratch",
		"FROM golang AS build\n":                 "no stage begins with scratch",
		"FROM scratch\n":                         "needs a name",
		"FROM\n":                                 "want FROM IMAGE AS NAME",
		begin + "FROM scratch AS a\n":            `two stages "a"`,
		begin + "RUN true\n":                     "line 2: RUN true: not known",
		begin + "ENV a=b\n":                      "not known",
		begin + "HEALTHCHECK NONE\n":             "not known",
		begin + "USER nobody\n":                  "want numbers",
		begin + "USER 65534\n":                   "want numbers", // root's group
		begin + "USER\n":                         "nothing follows",
		begin + "EXPOSE http\n":                  "want a TCP port",
		begin + "EXPOSE 0\n":                     "want a TCP port",
		begin + "EXPOSE 65536\n":                 "want a TCP port",
		begin + "VOLUME [\"/data\"]\n":           "want an absolute path",
		begin + "ENTRYPOINT /a b\n":              "there is no shell",
		begin + "ENTRYPOINT []\n":                "there is no shell",
		begin + "LABEL a\n":                      "want NAME=VALUE",
		begin + "LABEL a=$B\n":                   "no ARG B",
		begin + "LABEL a=${B\n":                  "want $NAME",
		begin + "LABEL a=$\n":                    "want $NAME",
		begin + "LABEL a=\"b\n":                  "is not closed",
		begin + "LABEL a='b'\n":                  "' is not known",
		begin + "COPY a /b\n":                    "want --from",
		begin + "COPY --from=b /a\n":             "what to copy, and where to",
		begin + "COPY --from=b a /b\n":           "want absolute paths",
		begin + "COPY --from=b /a* /b\n":         "want absolute paths",
		begin + "COPY --from=b /a/../../c /b\n":  "want absolute paths",
		begin + "COPY --from=b /a /c /b\n":       "several sources need a folder",
		begin + "COPY --from=b --chmod=1 /a /\n": "--chmod is not known",
		begin + "COPY --from=b --chown=x /a /\n": "want numbers",
	} {
		if _, err := parseDockerfile(text, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// The Dockerfile has an image for each program of the repository, with what a user of
// images looks for.
func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages, err := parseDockerfile(string(text), map[string]string{"VERSION": "v1", "REVISION": "abc", "CREATED": "2026-01-01T00:00:00Z", "SOURCE": "https://example.org"})
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob("../../cmd/*/main.go")
	if err != nil {
		t.Fatal(err)
	}
	var programs, images []string
	for _, f := range found {
		programs = append(programs, filepath.Base(filepath.Dir(f)))
	}
	for _, s := range stages {
		if s.entrypoint == nil {
			continue
		}
		images = append(images, s.name)
		if s.entrypoint[0] != "/"+s.name || !slices.ContainsFunc(s.copies, func(c copied) bool { return slices.Equal(c.sources, []string{stagedAt + "/" + s.name}) }) {
			t.Errorf("%s: begins with %q of %+v", s.name, s.entrypoint, s.copies)
		}
		if uid, gid, err := owner(s.user); uid == 0 || gid == 0 || err != nil {
			t.Errorf("%s: user %q", s.name, s.user)
		}
		if len(s.ports) == 0 {
			t.Errorf("%s: no port", s.name)
		}
		for _, label := range []string{"title", "description", "version", "revision", "created", "source", "licenses", "vendor"} {
			if s.labels["org.opencontainers.image."+label] == "" {
				t.Errorf("%s: no label %s", s.name, label)
			}
		}
		if _, err := os.Stat("../../LICENSE"); err != nil || s.labels["org.opencontainers.image.licenses"] != "Apache-2.0" {
			t.Errorf("%s: licence %q, %v", s.name, s.labels["org.opencontainers.image.licenses"], err)
		}
	}
	slices.Sort(images)
	if !slices.Equal(images, programs) {
		t.Errorf("images %q, programs %q", images, programs)
	}
}

func FuzzDockerfile(f *testing.F) {
	f.Add(sample)
	f.Add("FROM scratch AS a\nLABEL a=\"${")
	f.Add("FROM scratch AS a\n\\\nUSER 1:2 \\")
	f.Fuzz(func(t *testing.T, text string) {
		stages, err := parseDockerfile(text, map[string]string{"VERSION": "v"})
		if (err == nil) != (len(stages) > 0) {
			t.Fatalf("%d stages and %v", len(stages), err)
		}
		for _, s := range stages {
			if s.name == "" {
				t.Fatal("a stage without a name")
			}
			for _, c := range s.copies {
				if len(c.sources) == 0 || c.dest == "" {
					t.Fatalf("nothing to copy: %+v", c)
				}
			}
		}
	})
}
