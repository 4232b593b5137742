package main

// What images are made of: the programs, built so that the same source gives the same bytes,
// and the files that a program needs where there is no distribution around it. The build
// stage of the Dockerfile copies from a folder made by this, too.

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// source is what is built: a folder, and how it is called.
type source struct {
	root     string // of the repository
	version  string // v1.2.3, or as git describes the commit
	revision string // the commit
	created  time.Time
	url      string // where the source is to be had; empty is not to say
}

// certificateFile is what TLS clients trust.
const certificateFile = "ca-certificates.crt"

// page is what the collector's page is embedded from, and who embeds it.
const (
	page       = "internal/webui/dist/index.html"
	pageServer = "collector"
)

// fill asks git for what was not given. SOURCE_DATE_EPOCH, in seconds, comes before the
// time of the commit: https://reproducible-builds.org/docs/source-date-epoch/.
func (s *source) fill(epoch string) error {
	for _, what := range []struct {
		to   *string
		flag string
		args []string
	}{
		// The length of a short hash depends on how much of the history is there.
		{&s.version, "version", []string{"describe", "--tags", "--always", "--dirty", "--abbrev=12"}},
		{&s.revision, "revision", []string{"rev-parse", "HEAD"}},
		{&epoch, "created", []string{"log", "-1", "--format=%ct"}},
	} {
		if *what.to != "" || what.flag == "created" && !s.created.IsZero() {
			continue
		}
		git := exec.Command("git", append([]string{"-C", s.root}, what.args...)...)
		git.Stderr = new(bytes.Buffer)
		out, err := git.Output()
		if err != nil {
			return fmt.Errorf("git %s in %s: %w: %s; where there is no repository give --%s", what.args[0], s.root, err, bytes.TrimSpace(git.Stderr.(*bytes.Buffer).Bytes()), what.flag)
		}
		*what.to = strings.TrimSpace(string(out))
	}
	if s.created.IsZero() {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil || seconds < 0 {
			return fmt.Errorf("SOURCE_DATE_EPOCH: want seconds since 1970, not %q", epoch)
		}
		s.created = time.Unix(seconds, 0)
	}
	s.created = s.created.UTC()
	return nil
}

// stageFiles fills dir with the programs for one architecture, and with what goes with
// them. Programs that are there and not older than their source are left.
func (s source) stageFiles(dir, arch string, programs []string, withoutPage bool) error {
	if slices.Contains(programs, pageServer) && !withoutPage {
		if _, err := os.Stat(filepath.Join(s.root, page)); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is not there, and the collector would have no page: `make web` builds it, with npm; --without-page is to go on without", page)
		} else if err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o755); err != nil { // a folder for who mounts nothing there
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, certificateFile), certificates(), 0o644); err != nil {
		return err
	}
	return s.goBuild(dir, arch, programs)
}

// goBuild builds programs so that no path, time, user, branch and no setting of this
// machine is in them; what is left to it is the version of Go.
func (s source) goBuild(dir, arch string, programs []string) error {
	const stamp = "github.com/prometheus/common/version"
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", // two clones need not have the same tags
		fmt.Sprintf("-s -w -X %[1]s.Version=%[2]s -X %[1]s.Revision=%[3]s", stamp, s.version, s.revision), "-o", dir + string(filepath.Separator)}
	for _, p := range programs {
		args = append(args, "./cmd/"+p)
	}
	build := exec.Command("go", args...)
	build.Dir = s.root
	build.Env = slices.DeleteFunc(os.Environ(), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return slices.Contains([]string{"GOEXPERIMENT", "GO386", "GOARM", "GOFIPS140", "PWD"}, name)
	})
	build.Env = append(build.Env, "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=-mod=readonly", "GOWORK=off")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("go build for %s in %s: %w", arch, s.root, err)
	}
	return nil
}

// certificates are the roots that Mozilla trusts, of the version in go.mod, so that they do
// not depend on the machine. The few that are trusted for older certificates only are left
// out: a file cannot say so.
func certificates() []byte {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		if c, err := x509.ParseCertificate(root.Certificate); err == nil { // the module's tests parse all
			fmt.Fprintf(&b, "# %s\n", c.Subject)
		}
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // into memory: no error
	}
	return b.Bytes()
}
