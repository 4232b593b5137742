package main

// Images of the Open Container Initiative (https://github.com/opencontainers/image-spec,
// version 1.1): of each program one for each architecture, an index of both, and a bill of
// materials that refers to each; and the same as a file that `ctr images import` and
// `docker load` read.

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// built is the image of one program for one architecture.
type built struct {
	arch             string
	image            v1.Image
	sbom             []byte
	digest           v1.Hash
	packed, unpacked int64 // bytes of the layer
}

// runnable is an image that is no artifact: the library would put the media type of its
// configuration into indexes as the artifact's.
type runnable struct{ v1.Image }

// ArtifactType is asked by the library for the descriptor.
func (runnable) ArtifactType() (string, error) { return "", nil }

// build makes the image of a stage from the files in dir.
func (s stage) build(dir, arch string, created time.Time) (built, error) {
	b := built{arch: arch}
	list, err := entries(s.copies, dir)
	if err != nil {
		return b, err
	}
	content, err := layer(list, created)
	if err != nil {
		return b, err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestCompression), tarball.WithCompressedCaching)
	if err != nil {
		return b, err
	}
	at := v1.Time{Time: created}
	image, err := mutate.Append(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON),
		mutate.Addendum{Layer: l, MediaType: types.OCILayer, History: v1.History{Created: at, CreatedBy: "watchpost/deploy/image"}})
	if err != nil {
		return b, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return b, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", arch, at
	config.Config = v1.Config{User: s.user, Entrypoint: s.entrypoint, Labels: s.annotations(), ExposedPorts: set(s.ports), Volumes: set(s.volumes), WorkingDir: "/"}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return b, err
	}
	b.image = runnable{mutate.Annotations(image, s.annotations()).(v1.Image)}
	b.unpacked = int64(len(content))
	if b.packed, err = l.Size(); err != nil {
		return b, err
	}
	b.digest, err = b.image.Digest()
	return b, err
}

// annotations are the labels that have a value.
func (s stage) annotations() map[string]string {
	a := maps.Clone(s.labels)
	maps.DeleteFunc(a, func(_, value string) bool { return value == "" })
	return a
}

func set(names []string) map[string]struct{} {
	if len(names) == 0 {
		return nil
	}
	s := make(map[string]struct{}, len(names))
	for _, n := range names {
		s[n] = struct{}{}
	}
	return s
}

// named are the annotations by which an image in a folder or file has a name: the
// specification's, which is the tag, and containerd's, which is the whole.
func named(name string) map[string]string {
	_, tag, _ := cutLast(name, ":")
	return map[string]string{"org.opencontainers.image.ref.name": tag, "io.containerd.image.name": fullName(name)}
}

// fullName is the name with the registry that everybody else would add.
func fullName(name string) string {
	if first, _, _ := strings.Cut(name, "/"); strings.ContainsAny(first, ".:") || first == "localhost" {
		return name
	}
	return "docker.io/" + name
}

// writeLayout writes an OCI layout: the images of a program under one index, and what they
// are made of, which refers to them. It takes the place of what was there when it is whole.
func (s stage) writeLayout(dir, name string, images []built) (v1.Hash, error) {
	fail := func(err error) (v1.Hash, error) { return v1.Hash{}, err }
	var index v1.ImageIndex = mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, b := range images {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: b.image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: b.arch}}})
	}
	index = mutate.Annotations(index, s.annotations()).(v1.ImageIndex)
	temp := dir + ".new"
	if err := os.RemoveAll(temp); err != nil {
		return fail(err)
	}
	l, err := layout.Write(temp, empty.Index)
	if err != nil {
		return fail(err)
	}
	if err := l.AppendIndex(index, layout.WithAnnotations(named(name))); err != nil {
		return fail(err)
	}
	for _, b := range images {
		if err := s.attach(l, b); err != nil {
			return v1.Hash{}, err
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fail(err)
	}
	if err := os.Rename(temp, dir); err != nil {
		return fail(err)
	}
	return index.Digest()
}

// attach adds the bill of materials as an artifact whose subject is the image: registries
// list it by the referrers API.
func (s stage) attach(l layout.Path, b built) error {
	subject, err := descriptor(b.image)
	if err != nil {
		return err
	}
	blob := func(mediaType types.MediaType, content []byte) (v1.Descriptor, error) {
		hash, size, err := v1.SHA256(bytes.NewReader(content))
		if err != nil {
			return v1.Descriptor{}, err
		}
		return v1.Descriptor{MediaType: mediaType, Size: size, Digest: hash}, l.WriteBlob(hash, io.NopCloser(bytes.NewReader(content)))
	}
	config, err := blob(types.OCIEmptyJSON, []byte("{}"))
	if err != nil {
		return err
	}
	bill, err := blob(spdxType, b.sbom)
	if err != nil {
		return err
	}
	bill.Annotations = map[string]string{"org.opencontainers.image.title": s.name + "-" + b.arch + ".spdx.json"}
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: spdxType, Config: config, Layers: []v1.Descriptor{bill}, Subject: &subject,
		Annotations: map[string]string{"org.opencontainers.image.created": s.labels["org.opencontainers.image.created"]},
	})
	if err != nil {
		return err
	}
	artifact, err := blob(types.OCIManifestSchema1, manifest)
	if err != nil {
		return err
	}
	artifact.ArtifactType = spdxType
	return l.AppendDescriptor(artifact)
}

func descriptor(image v1.Image) (v1.Descriptor, error) {
	digest, err := image.Digest()
	if err != nil {
		return v1.Descriptor{}, err
	}
	size, err := image.Size()
	return v1.Descriptor{MediaType: types.OCIManifestSchema1, Size: size, Digest: digest}, err
}

// writeArchive writes one image as a tar that is both, an OCI layout and what `docker save`
// makes, as docker's own has been since version 25: who reads the former keeps the digest.
func (b built) writeArchive(file, name string, created time.Time) error {
	manifest, err := b.image.RawManifest()
	if err != nil {
		return err
	}
	config, err := b.image.RawConfigFile()
	if err != nil {
		return err
	}
	configName, err := b.image.ConfigName()
	if err != nil {
		return err
	}
	subject, err := descriptor(b.image)
	if err != nil {
		return err
	}
	subject.Annotations = named(name)
	index, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{subject}})
	if err != nil {
		return err
	}
	blobName := func(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }
	files := map[string][]byte{
		"oci-layout":             []byte(`{"imageLayoutVersion":"1.0.0"}`),
		"index.json":             index,
		blobName(configName):     config,
		blobName(subject.Digest): manifest,
	}
	var layers []string
	list, err := b.image.Layers()
	if err != nil {
		return err
	}
	for _, l := range list {
		digest, err := l.Digest()
		if err != nil {
			return err
		}
		r, err := l.Compressed()
		if err != nil {
			return err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		files[blobName(digest)] = content
		layers = append(layers, blobName(digest))
	}
	if files["manifest.json"], err = json.Marshal([]any{map[string]any{"Config": blobName(configName), "RepoTags": []string{name}, "Layers": layers}}); err != nil {
		return err
	}
	return writeTar(file, files, created)
}

// writeTar writes files sorted by name, all of one time, in place of what was there.
func writeTar(file string, files map[string][]byte, at time.Time) error {
	f, err := os.Create(file + ".new")
	if err != nil {
		return err
	}
	defer f.Close()
	w := tar.NewWriter(f)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(files[name])), ModTime: at}); err != nil {
			return err
		}
		if _, err := w.Write(files[name]); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// removeOld removes what an earlier version of a program left, so that a folder of images holds
// one of each.
func removeOld(output, program string) error {
	old, err := filepath.Glob(filepath.Join(output, program+"-*"))
	if err != nil {
		return fmt.Errorf("%s: %w", output, err)
	}
	for _, name := range old {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}
