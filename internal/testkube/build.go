package testkube

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// moduleDir is where the module of the programs is in the repository.
const moduleDir = "test/kubernetes"

// Build returns the path of the control plane's program. It is built when it is
// missing or older than its sources, by one process at a time however many tests of
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
	if current, err := newer(path, module, filepath.Join(module, folder)); current || err != nil {
		return path, err
	}
	fmt.Fprintf(os.Stderr, "testkube: building %s: minutes the first time\n", path)
	fresh := path + ".new" // so that a build that was interrupted is not taken for one
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", fresh, "./"+folder)
	build.Dir, build.Env = module, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s of %s failed: %w; a first build needs a Go module proxy (go env GOPROXY):\n%s", name, module, err, last(out, 2000))
	}
	return path, os.Rename(fresh, path)
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

// newer tells whether the file at path exists and none of the sources in the folders
// was changed after it.
func newer(path string, folders ...string) (bool, error) {
	built, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var entries []fs.DirEntry
	for _, folder := range folders {
		in, err := os.ReadDir(folder)
		if err != nil {
			return false, err
		}
		entries = append(entries, in...)
	}
	var latest time.Time
	for _, e := range entries {
		if name := e.Name(); !strings.HasSuffix(name, ".go") && name != "go.mod" && name != "go.sum" {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return false, err
		}
		if info.ModTime().After(latest) {
			latest = info.ModTime()
		}
	}
	return built.ModTime().After(latest), nil
}

// last is the end of b, at most n bytes of it.
func last(b []byte, n int) []byte {
	return b[max(0, len(b)-n):]
}
