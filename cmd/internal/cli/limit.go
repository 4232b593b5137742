package cli

// The memory limit of the container or host, as a soft limit of the Go runtime:
// near it garbage is collected more often, which costs CPU, instead of the
// kernel killing the process.

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// LimitMemory sets the runtime's limit to a share of what may be used. The
// environment's GOMEMLIMIT comes first.
func LimitMemory(share float64, log *slog.Logger) {
	if share == 0 || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	limit, err := memoryLimit(os.DirFS("/"))
	if err != nil {
		log.Warn("The memory limit of this process is not known; none is set", "err", err)
		return
	}
	soft := int64(float64(limit) * share)
	debug.SetMemoryLimit(soft)
	log.Debug("Memory limit", "bytes", soft, "of", limit)
}

// memoryLimit is the least of the limits of this process' control groups and the
// memory of the host, in bytes.
func memoryLimit(root fs.FS) (uint64, error) {
	b, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0, err
	}
	limit, err := parseMemTotal(b)
	if err != nil {
		return 0, err
	}
	if b, err = fs.ReadFile(root, "proc/self/cgroup"); err != nil {
		return limit, nil // a kernel without control groups
	}
	for _, file := range limitFiles(b) {
		b, err := fs.ReadFile(root, file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the root group, or a path of the host seen from a container
		}
		if err != nil {
			return 0, err
		}
		n, err := parseLimit(b)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		limit = min(limit, n)
	}
	return limit, nil
}

// parseMemTotal reads /proc/meminfo:
//
//	MemTotal:       24612345 kB
func parseMemTotal(b []byte) (uint64, error) {
	for line := range bytes.Lines(b) {
		rest, ok := bytes.CutPrefix(line, []byte("MemTotal:"))
		if !ok {
			continue
		}
		f := strings.Fields(string(rest))
		if len(f) != 2 || f[1] != "kB" {
			return 0, fmt.Errorf("proc/meminfo: line %q is not understood", line)
		}
		kb, err := strconv.ParseUint(f[0], 10, 64)
		if err != nil || kb > math.MaxUint64/1024 {
			return 0, fmt.Errorf("proc/meminfo: line %q is not understood", line)
		}
		return kb * 1024, nil
	}
	return 0, errors.New("proc/meminfo: no line begins with MemTotal")
}

// limitFiles are the files that may limit the memory of a process, from its
// /proc/self/cgroup:
//
//	0::/system.slice/collector.service   (version 2: the group and all above it)
//	9:memory:/docker/6d9b                (version 1: its limit is the hierarchy's)
//
// In a container the path is the host's, while the container's own group is
// mounted at the root; hence the roots too.
func limitFiles(cgroup []byte) []string {
	var files []string
	for line := range strings.Lines(string(cgroup)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		switch {
		case f[1] == "": // version 2
			for dir := path.Clean("/" + f[2]); ; dir = path.Dir(dir) {
				files = append(files, path.Join("sys/fs/cgroup", dir, "memory.max"))
				if dir == "/" {
					break
				}
			}
		case strings.Contains(","+f[1]+",", ",memory,"):
			files = append(files,
				path.Join("sys/fs/cgroup/memory", path.Clean("/"+f[2]), "memory.limit_in_bytes"),
				"sys/fs/cgroup/memory/memory.limit_in_bytes")
		}
	}
	return files
}

// parseLimit reads memory.max ("max" or bytes) and memory.limit_in_bytes.
func parseLimit(b []byte) (uint64, error) {
	s := string(bytes.TrimSpace(b))
	if s == "max" {
		return math.MaxUint64, nil
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("limit %q is not a number of bytes", s)
	}
	return n, nil
}
