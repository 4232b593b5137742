package main

// The one layer of an image: a tar whose bytes depend on the files alone.

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// stagedAt is where the Dockerfile copies from: the folder of stageFiles.
const stagedAt = "/out"

// entry is a file or folder of an image.
type entry struct {
	from     string // the file; empty for a folder
	mode     int64
	uid, gid int
}

// entries are the files that COPY instructions ask for, by their name in the image, as
// docker would lay them out: a folder's content goes into the destination, folders above
// it are root's.
func entries(copies []copied, dir string) (map[string]entry, error) {
	list := map[string]entry{}
	add := func(name string, e entry) {
		for up := path.Dir(name); up != "/"; up = path.Dir(up) {
			if _, found := list[up]; !found {
				list[up] = entry{mode: 0o755}
			}
		}
		if old, found := list[name]; found && e.from == "" && old.from == "" {
			return // a folder keeps its first owner
		}
		list[name] = e
	}
	for _, c := range copies {
		for _, source := range c.sources {
			rel, inside := strings.CutPrefix(path.Clean(source), stagedAt+"/")
			if !inside {
				return nil, fmt.Errorf("COPY %s: want a path below %s, where image --stage=%s puts the files", source, stagedAt, stagedAt)
			}
			from := filepath.Join(dir, filepath.FromSlash(rel))
			info, err := os.Stat(from)
			if err != nil {
				return nil, fmt.Errorf("COPY %s: %w", source, err)
			}
			if !info.IsDir() {
				dest := path.Clean(c.dest)
				if strings.HasSuffix(c.dest, "/") {
					dest = path.Join(dest, path.Base(source))
				}
				add(dest, entry{from, mode(info), c.uid, c.gid})
				continue
			}
			err = filepath.WalkDir(from, func(at string, d fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				below, err := filepath.Rel(from, at)
				if err != nil {
					return err
				}
				name := path.Join(c.dest, filepath.ToSlash(below))
				switch {
				case name == "/":
				case d.IsDir():
					add(name, entry{"", 0o755, c.uid, c.gid})
				case d.Type().IsRegular():
					info, err := d.Info()
					if err != nil {
						return err
					}
					add(name, entry{at, mode(info), c.uid, c.gid})
				default:
					return fmt.Errorf("%s is neither a file nor a folder", at)
				}
				return nil
			})
			if err != nil {
				return nil, fmt.Errorf("COPY %s: %w", source, err)
			}
		}
	}
	return list, nil
}

// mode does not depend on the umask of who built.
func mode(info fs.FileInfo) int64 {
	if info.Mode()&0o100 != 0 {
		return 0o755
	}
	return 0o644
}

// layer is the tar, sorted by name, all of one time.
func layer(list map[string]entry, created time.Time) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(list)) {
		e := list[name]
		h := tar.Header{Typeflag: tar.TypeDir, Name: name[1:] + "/", Mode: e.mode, Uid: e.uid, Gid: e.gid, ModTime: created}
		var content []byte
		if e.from != "" {
			var err error
			if content, err = os.ReadFile(e.from); err != nil {
				return nil, err
			}
			h.Typeflag, h.Name, h.Size = tar.TypeReg, name[1:], int64(len(content))
		}
		if err := w.WriteHeader(&h); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if _, err := w.Write(content); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
