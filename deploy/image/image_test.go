package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// tool is this program, built; also an example of a program that has modules.
var tool string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "image-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		tool = filepath.Join(dir, "image")
		if out, err := exec.Command("go", "build", "-trimpath", "-o", tool, ".").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v: %s\n", err, out)
			return 1
		}
		return m.Run()
	}())
}

// A repository with one program, that says what it was stamped with.
var repository = map[string]string{
	"go.mod":                    "module example.org/hello\n\ngo 1.26.0\n\nrequire github.com/prometheus/common v0.0.0\n\nreplace github.com/prometheus/common => ./common\n",
	"common/go.mod":             "module github.com/prometheus/common\n\ngo 1.26.0\n",
	"common/version/version.go": "package version\n\nvar Version, Revision string\n",
	"cmd/hello/main.go": `package main

import "github.com/prometheus/common/version"

func main() { println(version.Version, version.Revision) }
`,
	"Dockerfile": `FROM scratch AS hello
ARG VERSION REVISION CREATED SOURCE
LABEL org.opencontainers.image.version=$VERSION org.opencontainers.image.revision=$REVISION org.opencontainers.image.source=$SOURCE
LABEL org.opencontainers.image.created=$CREATED org.opencontainers.image.licenses=MIT
COPY --from=build /out/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/hello /
COPY --from=build --chown=65534:65534 /out/data /data
USER 65534:65534
EXPOSE 80
VOLUME /data
ENTRYPOINT ["/hello", "--flag"]
`,
}

const committed = "2026-01-02T03:04:05Z"

// newRepository commits the files above, with a tag.
func newRepository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range repository {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git(t, dir, "init", "-q")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "first")
	git(t, dir, "tag", "v1.2.3")
	return dir
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	c := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"}, args...)...)
	c.Env = append(os.Environ(), "GIT_COMMITTER_DATE="+committed, "GIT_AUTHOR_DATE="+committed)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("git %q: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// run runs the tool.
func run(t *testing.T, env []string, args ...string) string {
	t.Helper()
	c := exec.Command(tool, args...)
	c.Env = append(os.Environ(), env...)
	c.Stderr = new(bytes.Buffer)
	out, err := c.Output()
	if err != nil {
		t.Fatalf("image %q: %v: %s", args, err, c.Stderr)
	}
	return string(out)
}

// Two clones in different places, of different branches, built with different settings of
// Go, give the same images, archives and bills of materials; what git does not know changes
// nothing.
func TestReproducible(t *testing.T) {
	first := newRepository(t)
	second := filepath.Join(t.TempDir(), "a", "clone")
	git(t, first, "clone", "-q", first, second)
	git(t, second, "checkout", "-q", "-b", "another")
	if err := os.WriteFile(filepath.Join(second, "untracked"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(second, "Dockerfile"), 0o600); err != nil {
		t.Fatal(err)
	}
	said := run(t, nil, "--root", first)
	again := run(t, []string{"GOAMD64=v3", "GOFLAGS=-tags=other", "TZ=Asia/Tokyo"}, "--root", second)
	if said != again {
		t.Errorf("first:\n%s\nsecond:\n%s", said, again)
	}
	for _, want := range []string{"watchpost/hello:v1.2.3", "linux/amd64", "linux/arm64", "sha256:"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in\n%s", want, said)
		}
	}
	compareFolders(t, filepath.Join(first, "bin/images"), filepath.Join(second, "bin/images"))
	before := said
	if err := os.WriteFile(filepath.Join(second, "cmd/hello/main.go"), []byte("package main\n\nfunc main() { println(1) }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if after := run(t, nil, "--root", second, "--version=v1.2.3"); after == before {
		t.Error("another program gives the same digest")
	}
	if after := run(t, nil, "--root", second, "--arch=amd64"); !strings.Contains(after, ":v1.2.3-dirty") {
		t.Errorf("changes that are not committed are not in the version:\n%s", after)
	}
}

func compareFolders(t *testing.T, a, b string) {
	t.Helper()
	read := func(dir string) map[string]string {
		files := map[string]string{}
		err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := os.ReadFile(name)
			files[strings.TrimPrefix(name, dir)] = string(content)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	left, right := read(a), read(b)
	for name, content := range left {
		if other, found := right[name]; !found || other != content {
			t.Errorf("%s differs, or is not there: %t", name, !found)
		}
	}
	if len(left) != len(right) || len(left) < 8 {
		t.Errorf("%d and %d files", len(left), len(right))
	}
}

func TestImages(t *testing.T) {
	root := newRepository(t)
	revision := git(t, root, "rev-parse", "HEAD")
	output := t.TempDir()
	run(t, nil, "--root", root, "--output", output, "--repository", "registry.example:5000/us", "--source=https://example.org/us")
	run(t, nil, "--root", root, "--output", output, "--repository", "registry.example:5000/us", "--source=https://example.org/us") // over what is there
	const name = "registry.example:5000/us/hello:v1.2.3"
	l, err := layout.FromPath(filepath.Join(output, "hello"))
	if err != nil {
		t.Fatal(err)
	}
	top, err := l.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	list, err := top.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Manifests) != 3 || list.Manifests[0].MediaType != types.OCIImageIndex || list.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "v1.2.3" ||
		list.Manifests[0].Annotations["io.containerd.image.name"] != name {
		t.Fatalf("index.json: %+v", list)
	}
	index, err := top.ImageIndex(list.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 2 {
		t.Fatalf("%d images", len(manifest.Manifests))
	}
	for i, want := range []struct {
		arch    string
		machine elf.Machine
	}{{"amd64", elf.EM_X86_64}, {"arm64", elf.EM_AARCH64}} {
		t.Run(want.arch, func(t *testing.T) {
			d := manifest.Manifests[i]
			if d.Platform == nil || d.Platform.OS != "linux" || d.Platform.Architecture != want.arch || d.ArtifactType != "" {
				t.Errorf("in the index: %+v", d)
			}
			image, err := index.Image(d.Digest)
			if err != nil {
				t.Fatal(err)
			}
			config, err := image.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			labels := map[string]string{
				"org.opencontainers.image.version": "v1.2.3", "org.opencontainers.image.revision": revision, "org.opencontainers.image.source": "https://example.org/us",
				"org.opencontainers.image.created": committed, "org.opencontainers.image.licenses": "MIT",
			}
			if c := config.Config; config.OS != "linux" || config.Architecture != want.arch || config.Created.Format(time.RFC3339) != committed || c.User != "65534:65534" ||
				!slices.Equal(c.Entrypoint, []string{"/hello", "--flag"}) || len(c.Cmd) > 0 || !reflect.DeepEqual(c.ExposedPorts, map[string]struct{}{"80/tcp": {}}) ||
				!reflect.DeepEqual(c.Volumes, map[string]struct{}{"/data": {}}) || !reflect.DeepEqual(c.Labels, labels) {
				t.Errorf("configuration: %+v", config)
			}
			m, err := image.Manifest()
			if err != nil {
				t.Fatal(err)
			}
			if m.MediaType != types.OCIManifestSchema1 || m.Config.MediaType != types.OCIConfigJSON || len(m.Layers) != 1 || m.Layers[0].MediaType != types.OCILayer ||
				!reflect.DeepEqual(m.Annotations, labels) {
				t.Errorf("manifest: %+v", m)
			}
			program := checkLayer(t, image)
			file, err := elf.NewFile(bytes.NewReader(program))
			if err != nil {
				t.Fatal(err)
			}
			if file.Machine != want.machine {
				t.Errorf("the program is for %s", file.Machine)
			}
			for _, p := range file.Progs {
				if p.Type == elf.PT_INTERP {
					t.Error("the program is not static")
				}
			}
			if !bytes.Contains(program, []byte(revision)) {
				t.Error("the program does not know its commit")
			}
			checkArchive(t, filepath.Join(output, "hello-"+want.arch+".tar"), name, d.Digest, image)
			checkAttached(t, l, list.Manifests[1+i], d, filepath.Join(output, "hello-"+want.arch+".spdx.json"))
		})
	}
}

// checkLayer returns the program.
func checkLayer(t *testing.T, image v1.Image) []byte {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	r, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got []string
	var program []byte
	for files := tar.NewReader(r); ; {
		h, err := files.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %o %d:%d", h.Name, h.Mode, h.Uid, h.Gid))
		if h.ModTime.UTC().Format(time.RFC3339) != committed || h.Uname != "" || h.Gname != "" {
			t.Errorf("%s: %s %q %q", h.Name, h.ModTime, h.Uname, h.Gname)
		}
		if h.Name == "hello" {
			if program, err = io.ReadAll(files); err != nil {
				t.Fatal(err)
			}
		}
	}
	if want := []string{"data/ 755 65534:65534", "etc/ 755 0:0", "etc/ssl/ 755 0:0", "etc/ssl/certs/ 755 0:0", "etc/ssl/certs/ca-certificates.crt 644 0:0", "hello 755 0:0"}; !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
	return program
}

// checkArchive reads the file as docker does, and as one that knows layouts.
func checkArchive(t *testing.T, file, name string, digest v1.Hash, image v1.Image) {
	t.Helper()
	old, err := tarball.ImageFromPath(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(old); err != nil {
		t.Error(err)
	}
	got, err := old.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	if want, err := image.ConfigName(); err != nil || got != want {
		t.Errorf("docker would read image %s, want %s, %v", got, want, err)
	}
	m, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(file) })
	if err != nil {
		t.Fatal(err)
	}
	if len(m) != 1 || !slices.Equal(m[0].RepoTags, []string{name}) {
		t.Errorf("manifest.json: %+v", m)
	}
	dir := t.TempDir()
	if out, err := exec.Command("tar", "-xf", file, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	l, err := layout.FromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	index, err := l.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	list, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Manifests) != 1 || list.Manifests[0].Digest != digest || list.Manifests[0].Annotations["io.containerd.image.name"] != name {
		t.Errorf("index.json of %s: %+v, want %s", file, list, digest)
	}
}

// checkAttached: the artifact is about the image, and is the file beside.
func checkAttached(t *testing.T, l layout.Path, artifact, subject v1.Descriptor, beside string) {
	t.Helper()
	text, err := l.Bytes(artifact.Digest)
	if err != nil {
		t.Fatal(err)
	}
	var m v1.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	if m.ArtifactType != spdxType || artifact.ArtifactType != spdxType || m.Subject == nil || m.Subject.Digest != subject.Digest || m.Subject.Size != subject.Size || len(m.Layers) != 1 {
		t.Fatalf("artifact: %s", text)
	}
	if config, err := l.Bytes(m.Config.Digest); err != nil || string(config) != "{}" {
		t.Errorf("its configuration: %s, %v", config, err)
	}
	bill, err := l.Bytes(m.Layers[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(beside)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bill, file) || int64(len(bill)) != m.Layers[0].Size {
		t.Error("the bill of materials differs from the file beside")
	}
	var doc spdxDocument
	if err := json.Unmarshal(bill, &doc); err != nil {
		t.Fatal(err)
	}
	checkSPDX(t, doc)
}

var spdxID = regexp.MustCompile(`^SPDXRef-[a-zA-Z0-9.-]+$`)

// checkSPDX holds a document to what the specification asks for.
func checkSPDX(t *testing.T, doc spdxDocument) {
	t.Helper()
	ids := map[string]bool{doc.SPDXID: true}
	for _, p := range doc.Packages {
		if !spdxID.MatchString(p.SPDXID) || ids[p.SPDXID] || p.Name == "" || p.DownloadLocation == "" || p.LicenseDeclared == "" {
			t.Errorf("package: %+v", p)
		}
		ids[p.SPDXID] = true
	}
	described := map[string]bool{}
	for _, r := range doc.Relationships {
		if !ids[r.Element] || !ids[r.Related] {
			t.Errorf("relationship: %+v", r)
		}
		described[r.Related] = true
	}
	if len(described) != len(doc.Packages) {
		t.Errorf("%d of %d packages are related to something", len(described), len(doc.Packages))
	}
	if doc.SPDXID != "SPDXRef-DOCUMENT" || doc.SPDXVersion != "SPDX-2.3" || doc.DataLicense != "CC0-1.0" || doc.Name == "" || !strings.HasPrefix(doc.DocumentNamespace, "https://") ||
		strings.Contains(doc.DocumentNamespace, "#") || len(doc.CreationInfo.Creators) == 0 {
		t.Errorf("document: %+v", doc)
	}
	if _, err := time.Parse("2006-01-02T15:04:05Z", doc.CreationInfo.Created); err != nil {
		t.Error(err)
	}
}

// The bill of a real program has every module that `go version -m` shows, and with the page
// what npm brings into it.
func TestSBOM(t *testing.T) {
	s := source{root: "../..", version: "v1", revision: "abc", created: time.Unix(0, 0).UTC(), url: "https://example.org/us"}
	text, err := s.sbom("collector", tool, "Apache-2.0", false, true)
	if err != nil {
		t.Fatal(err)
	}
	var doc spdxDocument
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	checkSPDX(t, doc)
	if doc.Packages[0].DownloadLocation != "git+https://example.org/us@abc" {
		t.Errorf("the program: %+v", doc.Packages[0])
	}
	has := map[string]string{}
	for _, p := range doc.Packages[1:] {
		has[p.ExternalRefs[0].Locator] = p.LicenseDeclared
	}
	out, err := exec.Command("go", "version", "-m", tool).Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := 0
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "dep" {
			modules++
			if _, found := has["pkg:golang/"+f[1]+"@"+f[2]]; !found {
				t.Errorf("no %s", line)
			}
		}
	}
	if modules < 3 {
		t.Errorf("%d modules in\n%s", modules, out)
	}
	for purl, licence := range has {
		switch {
		case strings.HasPrefix(purl, "pkg:npm/preact@"):
			if licence != "MIT" {
				t.Errorf("%s: %s", purl, licence)
			}
			delete(has, purl)
		case strings.HasPrefix(purl, "pkg:npm/%40codemirror/view@"):
			delete(has, purl)
		case strings.HasPrefix(purl, "pkg:npm/typescript@"), strings.HasPrefix(purl, "pkg:npm/esbuild@"):
			t.Errorf("%s is in no page", purl)
		}
	}
	if want := len(doc.Packages) - 1 - 2; len(has) != want {
		t.Errorf("preact and codemirror are not both there: %d of %d", len(has), want)
	}
	if _, err := s.sbom("collector", "image_test.go", "Apache-2.0", false, false); err == nil {
		t.Error("a file that is no program has a bill")
	}
}

// What TLS clients are given parses, and has the roots that most servers are signed by.
func TestCertificates(t *testing.T) {
	text := certificates()
	if !x509.NewCertPool().AppendCertsFromPEM(text) {
		t.Fatal("no certificate is read")
	}
	names := map[string]bool{}
	for {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			break
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		names[c.Subject.CommonName] = true
	}
	if len(names) < 80 || !names["ISRG Root X1"] || !names["DigiCert Global Root G2"] {
		t.Errorf("%d roots: %v", len(names), names)
	}
}

func TestMistakes(t *testing.T) {
	root := newRepository(t)
	noGit := t.TempDir()
	for want, args := range map[string][]string{
		"--arch: want some of amd64,arm64, not \"s390x\"": {"--arch=s390x"},
		"what is [\"build\"]?":                            {"build"},
		"--stage is for one architecture":                 {"--stage=/tmp/x"},
		"\"a+b\" cannot be a tag":                         {"--version=a+b"},
		"want a commit":                                   {"--revision=a b"},
		"\"Upper\" cannot begin":                          {"--repository=Upper"},
		"--created: want a time as":                       {"--created=yesterday"},
		"flag provided but not defined: -x":               {"-x"},
		"where there is no repository give --version":     {"--root=" + noGit},
		"where there is no repository give --created":     {"--root=" + noGit, "--version=1", "--revision=a"},
	} {
		args = append([]string{"--root=" + root}, args...)
		out, err := exec.Command(tool, args...).CombinedOutput()
		if code := exitCode(err); code != 2 || !strings.Contains(string(out), want) || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%q: %d, %s want %q", args, code, out, want)
		}
	}
	for want, args := range map[string][]string{
		"has no image \"other\"": {"--programs=hello,other"},
		"Dockerfile":             {"--root=" + noGit, "--version=1", "--revision=a", "--created=" + committed},
	} {
		args = append([]string{"--root=" + root}, args...)
		out, err := exec.Command(tool, args...).CombinedOutput()
		if code := exitCode(err); code != 1 || !strings.Contains(string(out), want) {
			t.Errorf("%q: %d, %s want %q", args, code, out, want)
		}
	}
	if err := (source{root: root}).stageFiles(t.TempDir(), "amd64", []string{pageServer}, false); err == nil || !strings.Contains(err.Error(), "--without-page") {
		t.Errorf("a collector without its page: %v", err)
	}
}

func exitCode(err error) int {
	if e, ok := err.(*exec.ExitError); ok {
		return e.ExitCode()
	}
	return 0
}

// The folder for docker holds what the images hold.
func TestStage(t *testing.T) {
	root := newRepository(t)
	dir := t.TempDir()
	run(t, []string{"SOURCE_DATE_EPOCH=0"}, "--root", root, "--stage", dir, "--arch=amd64")
	stages, err := parseDockerfile(repository["Dockerfile"], nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := stages[0].build(dir, "amd64", time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	output := t.TempDir()
	run(t, []string{"SOURCE_DATE_EPOCH=0"}, "--root", root, "--output", output, "--arch=amd64")
	made, err := tarball.ImageFromPath(filepath.Join(output, "hello-amd64.tar"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var ids [2]v1.Hash
	for i, image := range []v1.Image{b.image, made} {
		layers, err := image.Layers()
		if err != nil {
			t.Fatal(err)
		}
		if ids[i], err = layers[0].DiffID(); err != nil {
			t.Fatal(err)
		}
	}
	if ids[0] != ids[1] {
		t.Errorf("layers %s", ids)
	}
	config, err := made.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if !config.Created.Equal(time.Unix(0, 0)) {
		t.Errorf("SOURCE_DATE_EPOCH is not asked: %s", config.Created)
	}
}
