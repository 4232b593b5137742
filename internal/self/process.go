package self

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

// The process, from /proc/self; three files stay open.
var (
	processCPU      = expo.Counter("process_cpu_seconds_total", "Processor time that this program has used, in user and kernel mode.")
	processFDs      = expo.Gauge("process_open_fds", "Files that this program has open.")
	processMaxFDs   = expo.Gauge("process_max_fds", "Files that this program may have open.")
	processVirtual  = expo.Gauge("process_virtual_memory_bytes", "Address space of this program.")
	processMaxVirt  = expo.Gauge("process_virtual_memory_max_bytes", "Address space that this program may have.")
	processResident = expo.Gauge("process_resident_memory_bytes", "Memory of this program that is in RAM.")
	processStart    = expo.Gauge("process_start_time_seconds", "When this program was started, in seconds since 1970.")
	processReceived = expo.Counter("process_network_receive_bytes_total", "IP bytes received in the network namespace of this program.")
	processSent     = expo.Counter("process_network_transmit_bytes_total", "IP bytes sent in the network namespace of this program.")
)

// userHZ are the ticks of /proc/self/stat in a second: USER_HZ of the kernel's
// interface, 100 on every architecture that Go runs on.
const userHZ = 100

// process reads this process.
type process struct {
	stat    *hostfs.File
	system  *hostfs.File // /proc/stat, for the time of boot
	netstat *hostfs.File
	boot    uint64 // seconds since 1970
}

func newProcess() process {
	host := hostfs.Default
	return process{stat: host.ProcFile("self/stat").Lines(2048), system: host.ProcFile("stat"), netstat: host.ProcFile("self/net/netstat")}
}

// write writes what can be read; the error tells what cannot.
func (p *process) write(w *expo.Writer) error {
	return errors.Join(p.writeStat(w), p.writeLimits(w), p.writeNetwork(w))
}

func (p *process) writeStat(w *expo.Writer) error {
	b, err := p.stat.Read()
	if err != nil {
		return err
	}
	s, err := parseProcessStat(b)
	if err != nil {
		return fmt.Errorf("%s: %w", p.stat.Path(), err)
	}
	w.Sample(processCPU, float64(s.cpuTicks)/userHZ)
	w.Uint(processVirtual, s.virtual)
	w.Uint(processResident, s.residentPages*uint64(unix.Getpagesize()))
	if p.boot == 0 {
		if b, err = p.system.Read(); err != nil {
			return err
		}
		if p.boot, err = parseBootTime(b); err != nil {
			return fmt.Errorf("%s: %w", p.system.Path(), err)
		}
		p.system.Close()
	}
	w.Sample(processStart, float64(p.boot)+float64(s.startTicks)/userHZ)
	return nil
}

func (p *process) writeLimits(w *expo.Writer) error {
	var files, space unix.Rlimit
	if err := errors.Join(unix.Getrlimit(unix.RLIMIT_NOFILE, &files), unix.Getrlimit(unix.RLIMIT_AS, &space)); err != nil {
		return fmt.Errorf("limits of this process: %w", err)
	}
	w.Uint(processMaxFDs, files.Cur)
	w.Uint(processMaxVirt, space.Cur)
	n, err := openFiles(p.stat.Path()[:len(p.stat.Path())-len("stat")] + "fd")
	if err != nil {
		return err
	}
	w.Uint(processFDs, n)
	return nil
}

// openFiles counts the entries of /proc/self/fd. Since Linux 6.2 the size of the
// folder is that number; before it is 0 and they are listed.
func openFiles(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err == nil && st.Size > 0 {
		return uint64(st.Size), nil
	}
	names, err := hostfs.ReadDirNames(path)
	if err != nil {
		return 0, err
	}
	return uint64(len(names)) - 1, nil // one is the folder itself
}

func (p *process) writeNetwork(w *expo.Writer) error {
	b, err := p.netstat.Read()
	if err != nil {
		return err
	}
	in, out := parseIPOctets(b)
	w.Uint(processReceived, in)
	w.Uint(processSent, out)
	return nil
}

// processStat are the numbers wanted of /proc/self/stat (proc(5)).
type processStat struct {
	cpuTicks      uint64 // fields 14 and 15: user and kernel mode, in ticks
	startTicks    uint64 // field 22: since boot, in ticks
	virtual       uint64 // field 23: bytes
	residentPages uint64 // field 24
}

func parseProcessStat(b []byte) (processStat, error) {
	end := bytes.LastIndexByte(b, ')') // the name before it may hold anything
	if end < 0 {
		return processStat{}, errors.New("not in the form of proc(5)")
	}
	var s processStat
	rest := b[end+1:]
	for i := 3; i <= 24; i++ { // the state, after the name, is field 3
		var word []byte
		word, rest = hostfs.NextField(rest)
		var to *uint64
		switch i {
		case 14, 15:
			to = &s.cpuTicks
		case 22:
			to = &s.startTicks
		case 23:
			to = &s.virtual
		case 24:
			to = &s.residentPages
		default:
			continue
		}
		n, err := hostfs.Uint(word)
		if err != nil {
			return processStat{}, fmt.Errorf("field %d: %w", i, err)
		}
		*to += n
	}
	return s, nil
}

// parseBootTime is the line btime of /proc/stat, in seconds since 1970.
func parseBootTime(b []byte) (uint64, error) {
	_, rest, ok := bytes.Cut(b, []byte("\nbtime "))
	if !ok {
		return 0, errors.New("no line btime")
	}
	line, _ := hostfs.NextLine(rest)
	return hostfs.Uint(line)
}

// parseIPOctets are InOctets and OutOctets of the lines IpExt of netstat, the
// first with names, the second with numbers. What is not there is 0.
func parseIPOctets(b []byte) (in, out uint64) {
	prefix := []byte("IpExt:")
	var names []byte
	for len(b) > 0 {
		var line []byte
		line, b = hostfs.NextLine(b)
		rest, ok := bytes.CutPrefix(line, prefix)
		if !ok {
			continue
		}
		if names == nil {
			names = rest
			continue
		}
		for {
			var name, value []byte
			name, names = hostfs.NextField(names)
			value, rest = hostfs.NextField(rest)
			if len(name) == 0 || len(value) == 0 {
				return in, out
			}
			n, err := hostfs.Uint(value)
			switch {
			case err != nil:
			case string(name) == "InOctets":
				in = n
			case string(name) == "OutOctets":
				out = n
			}
		}
	}
	return in, out
}
