package testcluster

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Image is a container image of files of this machine, in one layer.
type Image struct {
	// Name with its tag, such as registry.example/redis:1.
	Name string
	// Files are paths in the image, and where their content is on the machine.
	Files map[string]string
	// Libraries are added as the files need them, in the folders where they are on
	// the machine: for programs that are linked with such.
	Libraries bool
	// Entrypoint and User are as in a Dockerfile.
	Entrypoint []string
	User       string
}

// Write writes the image as an archive, as docker save does.
func (i Image) Write(archive string) error {
	files := maps.Clone(i.Files)
	if i.Libraries {
		for _, source := range i.Files {
			if err := addLibraries(files, source); err != nil {
				return err
			}
		}
	}
	layer, err := makeLayer(files)
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{"Entrypoint": i.Entrypoint, "User": i.User},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": []string{i.Name}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return err
	}
	file, err := os.Create(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	w := tar.NewWriter(file)
	for _, part := range []struct {
		name    string
		content []byte
	}{{"manifest.json", manifest}, {"config.json", config}, {"layer.tar", layer}} {
		if err := add(w, part.name, 0o644, part.content); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return file.Close()
}

// makeLayer is the tar of files, with the folders they are in.
func makeLayer(files map[string]string) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	folders := map[string]bool{"/": true}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for folder := path.Dir(name); !folders[folder]; folder = path.Dir(folder) {
			folders[folder] = true
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(folders)) { // a parent sorts first
		if folder == "/" {
			continue
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(folder, "/") + "/", Mode: 0o755}); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		content, err := os.ReadFile(files[name])
		if err != nil {
			return nil, err
		}
		if err := add(w, strings.TrimPrefix(name, "/"), 0o755, content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func add(w *tar.Writer, name string, mode int64, content []byte) error {
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := io.Copy(w, bytes.NewReader(content))
	return err
}

// addLibraries adds what the dynamic linker loads for a program.
func addLibraries(files map[string]string, program string) error {
	out, err := exec.Command("ldd", program).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ldd %s: %w: %s", program, err, out)
	}
	for line := range strings.Lines(string(out)) { // "	libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f)", "	/lib64/ld-linux-x86-64.so.2 (0x00007f)"
		words := strings.Fields(line)
		if strings.Contains(line, "not found") {
			return fmt.Errorf("ldd %s: %s", program, line)
		}
		for _, word := range words {
			if filepath.IsAbs(word) {
				files[word] = word
			}
		}
	}
	return nil
}
