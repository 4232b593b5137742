// Package render is kubectl kustomize.
package render

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// Folder is what kustomize makes of a folder, in YAML.
func Folder(folder string) ([]byte, error) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return nil, fmt.Errorf("kustomize %s: %w", folder, err)
	}
	return built.AsYaml()
}

// With is deploy/, at this path, with some of its components, as a kustomization of a user
// has them.
func With(deploy string, components ...string) (text []byte, err error) {
	dir, err := os.MkdirTemp("", "render-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	dir, err = filepath.EvalSymlinks(dir) // what is relative to it is, without links
	if err == nil {
		deploy, err = filepath.Abs(deploy)
	}
	if err == nil {
		deploy, err = filepath.EvalSymlinks(deploy)
	}
	if err == nil {
		deploy, err = filepath.Rel(dir, deploy)
	}
	if err != nil {
		return nil, err
	}
	var kustomization strings.Builder
	fmt.Fprintf(&kustomization, "resources: [%s]\ncomponents:\n", deploy)
	for _, c := range components {
		fmt.Fprintf(&kustomization, "- %s\n", filepath.Join(deploy, "components", c))
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(kustomization.String()), 0o600); err != nil {
		return nil, err
	}
	return Folder(dir)
}
