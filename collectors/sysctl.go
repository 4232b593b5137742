package collectors

// Kernel parameters that the user names, from /proc/sys (kernel:
// Documentation/admin-guide/sysctl). A dot in a name is a slash in the path. A file
// with several values tells them by place, or by the keys that the user gives:
//
//	fs.file-nr                    node_sysctl_fs_file_nr{index="0"} ...
//	fs.file-nr:total,current,max  node_sysctl_fs_file_nr_total ...

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var sysctlInfo = expo.Gauge("node_sysctl_info", "A value of the kernel parameter as text; always 1.", "index", "name", "value")

// SysctlConfig configures the sysctl collector.
type SysctlConfig struct {
	Include     []string // numbers: NAME or NAME:KEY,KEY...
	IncludeInfo []string // texts: NAME
}

// maxSysctl is far above the bytes of any parameter; the kernel's own limit is a
// page for most.
const maxSysctl = 1 << 16

type sysctl struct{ numbers, texts []sysctlFile }

// sysctlFile is one parameter.
type sysctlFile struct {
	name string
	file *hostfs.File
	keys []*expo.Family // of the values, where the user named them
	one  *expo.Family   // where there is one value
	many *expo.Family   // where there are several
}

func newSysctl(c Config) (Collector, error) {
	s := &sysctl{}
	taken := make(map[string]string) // family to the parameter that has it
	take := func(family, include string) error {
		if other, ok := taken[family]; ok && other != include {
			return fmt.Errorf("collector.sysctl.include: %q and %q are both named %s", other, include, family)
		}
		taken[family] = include
		return nil
	}
	for _, include := range withoutDoubles(c.Sysctl.Include) {
		name, keys, keyed := strings.Cut(include, ":")
		f, err := newSysctlFile(c.FS, name)
		if err != nil {
			return nil, fmt.Errorf("collector.sysctl.include: %w", err)
		}
		family := expo.CleanName("node_sysctl_" + name)
		if keyed {
			for i, key := range strings.Split(keys, ",") {
				k := expo.Untyped(expo.CleanName(family+"_"+key), fmt.Sprintf("Value %d of the kernel parameter %s.", i, name))
				if err := take(k.Name(), include+" "+strconv.Itoa(i)); err != nil {
					return nil, err
				}
				f.keys = append(f.keys, k)
			}
		} else {
			f.one = expo.Untyped(family, "The kernel parameter "+name+".")
			f.many = f.one.With("index")
			if err := take(family, include); err != nil {
				return nil, err
			}
		}
		s.numbers = append(s.numbers, f)
	}
	for _, name := range withoutDoubles(c.Sysctl.IncludeInfo) {
		f, err := newSysctlFile(c.FS, name)
		if err != nil {
			return nil, fmt.Errorf("collector.sysctl.include-info: %w", err)
		}
		s.texts = append(s.texts, f)
	}
	return s, nil
}

// withoutDoubles leaves out what has been there before.
func withoutDoubles(all []string) []string {
	var kept []string
	seen := make(map[string]bool)
	for _, s := range all {
		if !seen[s] {
			kept = append(kept, s)
		}
		seen[s] = true
	}
	return kept
}

func newSysctlFile(host hostfs.FS, name string) (sysctlFile, error) {
	if strings.Trim(name, "./") == "" || strings.ContainsAny(name, ":\x00") {
		return sysctlFile{}, fmt.Errorf("%q is not the name of a kernel parameter", name)
	}
	return sysctlFile{name: name, file: host.ProcFile("sys/" + strings.ReplaceAll(name, ".", "/"))}, nil
}

// Collect implements Collector.
func (s *sysctl) Collect(_ context.Context, w *expo.Writer) error {
	var failed error
	for _, f := range s.numbers {
		failed = errors.Join(failed, f.writeNumbers(w))
	}
	for _, f := range s.texts {
		values, err := f.read()
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		for i, v := range values {
			w.Sample(sysctlInfo, 1, strconv.Itoa(i), f.name, v)
		}
	}
	return failed
}

func (f sysctlFile) read() ([]string, error) {
	b, err := f.file.Read()
	if err != nil {
		return nil, err
	}
	if len(b) > maxSysctl {
		return nil, fmt.Errorf("%s: %d bytes are no kernel parameter", f.file.Path(), len(b))
	}
	values := strings.Fields(string(b))
	if len(values) == 0 {
		return nil, fmt.Errorf("%s: there is no value in it", f.file.Path())
	}
	return values, nil
}

func (f sysctlFile) writeNumbers(w *expo.Writer) error {
	texts, err := f.read()
	if err != nil {
		return err
	}
	if f.keys != nil && len(f.keys) != len(texts) {
		return fmt.Errorf("%s: %d values, %d keys given for them", f.file.Path(), len(texts), len(f.keys))
	}
	numbers, err := parseSysctl(texts)
	if err != nil {
		return fmt.Errorf("%s: %w", f.file.Path(), err)
	}
	for i, n := range numbers {
		switch {
		case f.keys != nil:
			w.Sample(f.keys[i], n)
		case len(numbers) == 1:
			w.Sample(f.one, n)
		default:
			w.Sample(f.many, n, strconv.Itoa(i))
		}
	}
	return nil
}

// parseSysctl reads whole numbers, which may be signed, hexadecimal or octal, and
// as large as 2^64-1 (kernel.shmmax).
func parseSysctl(texts []string) ([]float64, error) {
	numbers := make([]float64, len(texts))
	for i, t := range texts {
		if n, err := strconv.ParseInt(t, 0, 64); err == nil {
			numbers[i] = float64(n)
		} else if n, err := strconv.ParseUint(t, 0, 64); err == nil {
			numbers[i] = float64(n)
		} else {
			return nil, fmt.Errorf("%.40q is not a whole number", t)
		}
	}
	return numbers, nil
}
