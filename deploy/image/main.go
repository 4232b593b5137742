// Command image makes an image of each program, for each architecture, from the Dockerfile
// and without docker: docs/container-images.md. It needs Go, and git unless it is told what is built.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// options are what the command line asks for.
type options struct {
	source      source
	output      string
	stage       string // only fill this folder, for docker
	archs       []string
	programs    []string // empty: all
	repository  string
	withoutPage bool
}

func main() {
	o, err := parse(os.Args[1:], os.Getenv("SOURCE_DATE_EPOCH"))
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(2)
	}
	if err := o.run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
var (
	tagPattern        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	repositoryPattern = regexp.MustCompile(`^[a-z0-9]+([.:_-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)
	architectures     = []string{"amd64", "arm64"}
)

// parse reads the command line; epoch is SOURCE_DATE_EPOCH.
func parse(args []string, epoch string) (options, error) {
	var o options
	f := flag.NewFlagSet("image", flag.ContinueOnError)
	f.StringVar(&o.source.root, "root", "../..", "the `folder` of the repository")
	f.StringVar(&o.source.version, "version", "", "the tag, and what the programs say of themselves; empty: as git describes the commit")
	f.StringVar(&o.source.revision, "revision", "", "the commit; empty: git's")
	created := f.String("created", "", "the `time` of all files, as 2026-01-02T03:04:05Z; empty: SOURCE_DATE_EPOCH, or the commit's")
	f.StringVar(&o.source.url, "source", "", "the `URL` where the source is to be had, for the images' labels; empty: none")
	f.StringVar(&o.output, "output", "bin/images", "the `folder` for the images, in that of the repository unless it begins with /")
	f.StringVar(&o.stage, "stage", "", "make no image: fill this `folder` with what the Dockerfile copies, for one architecture")
	archs := f.String("arch", strings.Join(architectures, ","), "architectures")
	programs := f.String("programs", "", "programs; empty: every image of the Dockerfile")
	f.StringVar(&o.repository, "repository", "watchpost", "what images' names begin with")
	f.BoolVar(&o.withoutPage, "without-page", false, "the collector may be without its page")
	quiet := f.Output()
	f.SetOutput(io.Discard)
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		f.SetOutput(quiet)
		fmt.Fprintln(quiet, "image makes an image of each program: docs/container-images.md")
		f.PrintDefaults()
		return o, err
	} else if err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("what is %q?", f.Args())
	}
	o.archs = strings.Split(*archs, ",")
	for _, a := range o.archs {
		if !slices.Contains(architectures, a) {
			return o, fmt.Errorf("--arch: want some of %s, not %q", strings.Join(architectures, ","), *archs)
		}
	}
	if o.stage != "" && len(o.archs) != 1 {
		return o, errors.New("--stage is for one architecture: give --arch")
	}
	if *programs != "" {
		o.programs = strings.Split(*programs, ",")
	}
	if *created != "" {
		var err error
		if o.source.created, err = time.Parse(time.RFC3339, *created); err != nil {
			return o, fmt.Errorf("--created: want a time as 2026-01-02T03:04:05Z, not %q", *created)
		}
	}
	if !repositoryPattern.MatchString(o.repository) {
		return o, fmt.Errorf("--repository: %q cannot begin an image's name", o.repository)
	}
	if err := o.source.fill(epoch); err != nil {
		return o, err
	}
	if !tagPattern.MatchString(o.source.version) {
		return o, fmt.Errorf("--version: %q cannot be a tag", o.source.version)
	}
	if strings.ContainsAny(o.source.revision, " \t'\"") {
		return o, fmt.Errorf("--revision: want a commit, not %q", o.source.revision)
	}
	for _, p := range []*string{&o.source.root, &o.stage} {
		if *p == "" {
			continue
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			return o, err
		}
		*p = abs
	}
	if !filepath.IsAbs(o.output) {
		o.output = filepath.Join(o.source.root, o.output)
	}
	return o, nil
}

// run makes what was asked for, and tells of it.
func (o options) run(out io.Writer) error {
	stages, err := o.stages()
	if err != nil {
		return err
	}
	names := make([]string, len(stages))
	for i, s := range stages {
		names[i] = s.name
	}
	if o.stage != "" {
		return o.source.stageFiles(o.stage, o.archs[0], names, o.withoutPage)
	}
	dirs := map[string]string{}
	for _, arch := range o.archs {
		dirs[arch] = filepath.Join(o.output, ".build", arch)
		if err := o.source.stageFiles(dirs[arch], arch, names, o.withoutPage); err != nil {
			return err
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "IMAGE\tPLATFORM\tDIGEST\tPACKED\tUNPACKED")
	for _, s := range stages {
		if err := o.make(w, s, dirs); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return w.Flush()
}

// stages are the images asked for.
func (o options) stages() ([]stage, error) {
	name := filepath.Join(o.source.root, "Dockerfile")
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	all, err := parseDockerfile(string(text), map[string]string{
		"VERSION": o.source.version, "REVISION": o.source.revision, "CREATED": o.source.created.Format(time.RFC3339), "SOURCE": o.source.url,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var stages []stage
	for _, s := range all {
		if s.entrypoint != nil && (o.programs == nil || slices.Contains(o.programs, s.name)) {
			stages = append(stages, s)
		}
	}
	for _, p := range o.programs {
		if !slices.ContainsFunc(stages, func(s stage) bool { return s.name == p }) {
			return nil, fmt.Errorf("%s has no image %q", name, p)
		}
	}
	return stages, nil
}

// make makes the images of one program.
func (o options) make(out io.Writer, s stage, dirs map[string]string) error {
	name := o.repository + "/" + s.name + ":" + o.source.version
	if err := removeOld(o.output, s.name); err != nil {
		return err
	}
	withCertificates := slices.ContainsFunc(s.copies, func(c copied) bool { return slices.Contains(c.sources, stagedAt+"/"+certificateFile) })
	var images []built
	for _, arch := range o.archs {
		b, err := s.build(dirs[arch], arch, o.source.created)
		if err != nil {
			return err
		}
		b.sbom, err = o.source.sbom(s.name, filepath.Join(dirs[arch], s.name), s.labels["org.opencontainers.image.licenses"], withCertificates, s.name == pageServer && !o.withoutPage)
		if err != nil {
			return err
		}
		images = append(images, b)
		beside := filepath.Join(o.output, s.name+"-"+arch)
		if err := b.writeArchive(beside+".tar", name, o.source.created); err != nil {
			return err
		}
		if err := os.WriteFile(beside+".spdx.json", b.sbom, 0o644); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s\tlinux/%s\t%s\t%.1f MB\t%.1f MB\n", name, arch, b.digest, float64(b.packed)/1e6, float64(b.unpacked)/1e6)
	}
	digest, err := s.writeLayout(filepath.Join(o.output, s.name), name, images)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\tindex\t%s\t\t\n", name, digest)
	return nil
}
