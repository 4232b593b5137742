package collectors

// Interfaces from the files of /sys/class/net, one for each fact.

import (
	"errors"
	"io/fs"
	"os"

	"watchpost/internal/hostfs"
)

// mostHeldInterfaces is up to how many interfaces their files stay open.
const mostHeldInterfaces = 64

type netclassSysfs struct {
	host       hostfs.FS
	filter     *Filter
	virtual    *virtualLinks
	names      []string // in the folder
	held       map[string]*interfaceFiles
	texts      hostfs.Interner
	interfaces []netInterface // as last read
}

// interfaceTexts are the files that hold no number.
var interfaceTexts = [...]string{"address", "broadcast", "duplex", "operstate", "ifalias"}

// interfaceFiles are the files of one interface.
type interfaceFiles struct {
	dir     string
	index   int64 // of the interface that they are of
	numbers [netFieldCount]*hostfs.File
	texts   [len(interfaceTexts)]*hostfs.File
	seen    bool // in the scrape at hand
}

func newNetclassSysfs(host hostfs.FS, filter *Filter, virtual *virtualLinks) *netclassSysfs {
	return &netclassSysfs{host: host, filter: filter, virtual: virtual, held: make(map[string]*interfaceFiles)}
}

// read reads all interfaces that the filter keeps. One that vanishes meanwhile is
// left out. The result is valid until the next call.
func (s *netclassSysfs) read() ([]netInterface, error) {
	entries, err := os.ReadDir(s.host.SysPath("class/net"))
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			err = errors.Join(ErrNoData, err)
		}
		return nil, absent(err)
	}
	s.interfaces, s.names = s.interfaces[:0], s.names[:0]
	for _, e := range entries {
		if !e.Type().IsRegular() { // bonding_masters is a file
			s.names = append(s.names, e.Name())
		}
	}
	s.virtual.lookAtFiles(s.names)
	for _, name := range s.names {
		if !s.filter.Keep(name) || !s.virtual.keep(name) {
			continue
		}
		files := s.held[name]
		if files == nil {
			files = newInterfaceFiles(s.host.SysPath("class/net/" + name))
			s.held[name] = files
		}
		files.seen = true
		if k, ok := files.read(&s.texts); ok {
			k.name = name
			s.interfaces = append(s.interfaces, k)
		}
		if len(entries) > mostHeldInterfaces {
			files.close()
		}
	}
	for name, files := range s.held {
		if !files.seen {
			files.close()
			delete(s.held, name)
		}
		files.seen = false
	}
	return s.interfaces, nil
}

// close gives the open files back. They are opened again when they are read.
func (s *netclassSysfs) close() {
	for name, files := range s.held {
		files.close()
		delete(s.held, name)
	}
}

func newInterfaceFiles(dir string) *interfaceFiles {
	f := &interfaceFiles{dir: dir}
	for i := range f.numbers {
		f.numbers[i] = hostfs.NewFile(dir + "/" + netclassFields[i].file)
	}
	for i, name := range interfaceTexts {
		f.texts[i] = hostfs.NewFile(dir + "/" + name)
	}
	return f
}

func (f *interfaceFiles) close() {
	for _, file := range f.numbers {
		file.Close()
	}
	for _, file := range f.texts {
		file.Close()
	}
}

// read reads the files. What cannot be read is left out; it fails if there is
// nothing at all, or no more.
func (f *interfaceFiles) read(texts *hostfs.Interner) (k netInterface, ok bool) {
	// An open file stays with its interface when that is renamed, so two that
	// swapped their names are noticed by a file that is opened anew.
	if index, _ := readSysInt(f.dir + "/" + netclassFields[netIndex].file); index != f.index {
		f.close()
		f.index = index
	}
	gone := false
	for i, file := range f.numbers {
		b, err := file.Read()
		if err != nil {
			gone = gone || hostfs.Gone(err)
			continue
		}
		if v, err := parseSysInt(b); err != nil {
			continue
		} else if i == netSpeed {
			k.setSpeed(v)
		} else {
			k.set(i, v)
		}
	}
	to := [len(interfaceTexts)]*string{&k.address, &k.broadcast, &k.duplex, &k.operstate, &k.alias}
	for i, file := range f.texts {
		b, err := file.Read()
		if err != nil {
			gone = gone || hostfs.Gone(err)
			continue
		}
		line, _ := hostfs.NextLine(b)
		*to[i] = texts.String(line)
	}
	if gone && !exists(f.dir) {
		return k, false
	}
	return k, k != netInterface{}
}
