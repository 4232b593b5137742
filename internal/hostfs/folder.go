package hostfs

import (
	"time"

	"golang.org/x/sys/unix"
)

// Folder notices when names are added to a folder, removed from it or replaced
// in it, for one fstat a question. Writers that make a file whole and rename it
// into place, as udev does with its database, are noticed; files written in place
// are not. It is not for kernel file systems, whose folders keep no such time.
//
// A Folder is not safe for concurrent use. It stays open; if it is removed, what
// takes its place is found.
type Folder struct {
	path string
	fd   int
	last unix.Stat_t // what it was at the last question; zero where it was not there
	sure bool        // whether a change would have altered last
}

// settle is the time within which a file system may give two changes one stamp.
const settle = 50 * time.Millisecond

// NewFolder makes a Folder of a path, which need not exist.
func NewFolder(path string) *Folder { return &Folder{path: path, fd: -1} }

// Changed tells whether the folder is not known to be as it was at the last
// question; so the first answer is yes. A folder that is absent is one that
// does not change.
func (f *Folder) Changed() bool {
	st := f.stat()
	same := f.sure && st.Dev == f.last.Dev && st.Ino == f.last.Ino && st.Mtim == f.last.Mtim
	f.last = st
	age := time.Since(time.Unix(st.Mtim.Unix()))
	f.sure = age > settle || age < -settle
	return !same
}

func (f *Folder) stat() (st unix.Stat_t) {
	if f.fd >= 0 {
		if unix.Fstat(f.fd, &st) == nil && st.Nlink > 0 {
			return st
		}
		f.Close()
	}
	fd, err := unix.Open(f.path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return unix.Stat_t{}
	}
	if unix.Fstat(fd, &st) != nil {
		unix.Close(fd)
		return unix.Stat_t{}
	}
	f.fd = fd
	return st
}

// Close gives the descriptor back. A later question opens the folder again.
func (f *Folder) Close() {
	if f.fd >= 0 {
		unix.Close(f.fd)
		f.fd = -1
	}
}
