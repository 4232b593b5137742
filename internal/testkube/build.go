package testkube

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// moduleDir is where the module of the programs is in the repository.
const moduleDir = "test/kubernetes"

// Build returns the path of the control plane's program. It is built when it is
// missing or was made of other sources, by one process at a time however many tests of
// several packages ask for it. That takes minutes the first time, half a minute when
// Go's build cache is warm, and needs the module proxy when the module cache is cold.
func Build() (string, error) { return build("control-plane", ".") }

// BuildNode is Build for what a whole cluster needs beside: kubelet, scheduler,
// controllers and kube-proxy in one program, which takes as long again, and what pods'
// sandboxes run.
func BuildNode() (node, pause string, err error) {
	if node, err = build("node", "node"); err != nil {
		return "", "", err
	}
	pause, err = build("pause", "pause")
	return node, pause, err
}

// build builds the program of a folder of the module.
func build(name, folder string) (string, error) {
	module, err := findModule()
	if err != nil {
		return "", err
	}
	path := filepath.Join(module, "bin", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close() // which also unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	made := path + ".sources" // of what the program there was made
	sum, err := sources(module, filepath.Join(module, folder))
	if err != nil {
		return "", err
	}
	if was, err := os.ReadFile(made); err == nil && string(was) == sum {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	fmt.Fprintf(os.Stderr, "testkube: building %s: minutes the first time\n", path)
	fresh := path + ".new" // so that a build that was interrupted is not taken for one
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", fresh, "./"+folder)
	build.Dir, build.Env = module, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s of %s failed: %w; a first build needs a Go module proxy (go env GOPROXY):\n%s", name, module, err, last(out, 2000))
	}
	if err := os.Rename(fresh, path); err != nil {
		return "", err
	}
	return path, os.WriteFile(made, []byte(sum), 0o644)
}

// findModule is the folder of the module, in the repository that the
// working directory belongs to.
func findModule() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		module := filepath.Join(dir, moduleDir)
		if _, err := os.Stat(filepath.Join(module, "go.mod")); err == nil {
			return module, nil
		} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			return "", err
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not in a checkout of the repository: no folder above it has %s", start, moduleDir)
		}
	}
}

// sources is a sum over what a program is made of: the compiler, and the sources in
// folders, by their content. A clone, a copy and a change of branches all give files
// new times.
func sources(folders ...string) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s %s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for i, folder := range folders {
		if slices.Contains(folders[:i], folder) {
			continue
		}
		entries, err := os.ReadDir(folder)
		if err != nil {
			return "", err
		}
		for _, e := range entries {
			name := e.Name()
			if !strings.HasSuffix(name, ".go") && name != "go.mod" && name != "go.sum" {
				continue
			}
			b, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil {
				return "", err
			}
			fmt.Fprintf(h, "%s %d\n%s", name, len(b), b)
		}
	}
	return fmt.Sprintf("%x\n", h.Sum(nil)), nil
}

// last is the end of b, at most n bytes of it.
func last(b []byte, n int) []byte {
	return b[max(0, len(b)-n):]
}
