package collectors

// Processes and threads by state, from /proc/*/stat and /proc/*/task/*/stat, and
// their limits from /proc/sys/kernel (kernel: Documentation/filesystems/proc.rst,
// proc_pid_stat(5)). After the name, which is in brackets and may hold anything,
// stands the state; 17 fields on, the number of threads:
//
//	10 (rcu) I 2 0 0 0 -1 2129984 0 0 0 0 0 346 0 0 -2 0 1 0 32 ...

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	processThreads     = expo.Gauge("node_processes_threads", "Threads of all processes.")
	processMaxThreads  = expo.Gauge("node_processes_max_threads", "How many threads there may be.")
	processState       = expo.Gauge("node_processes_state", "Processes in this state, a letter as in ps(1).", "state")
	processThreadState = expo.Gauge("node_processes_threads_state", "Threads in this state, a letter as in ps(1).", "thread_state")
	processPIDs        = expo.Gauge("node_processes_pids", "Processes.")
	processMaxPIDs     = expo.Gauge("node_processes_max_processes", "Process numbers end before this one.")
)

type processes struct {
	host                hostfs.FS
	live                bool
	maxThreads, maxPIDs *hostfs.File
	pids, tasks         hostfs.Lister
	path, text          []byte
}

func newProcesses(c Config) (Collector, error) {
	return &processes{
		host: c.FS, live: c.FS.Live(),
		maxThreads: c.FS.ProcFile("sys/kernel/threads-max"), maxPIDs: c.FS.ProcFile("sys/kernel/pid_max"),
	}, nil
}

// Collect implements Collector.
func (p *processes) Collect(ctx context.Context, w *expo.Writer) error {
	var n processCounts
	var failed error // the first of many
	err := p.pids.Each(p.host.Proc, func(name []byte) bool {
		if !isPID(name) {
			return true
		}
		if err := p.count(&n, name); err != nil && !hostfs.Gone(err) && failed == nil {
			failed = err
		}
		return ctx.Err() == nil
	})
	if err != nil {
		return absent(err)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w after %d processes", p.host.Proc, ctx.Err(), n.processes)
	}
	if n.processes == 0 && failed == nil {
		return fmt.Errorf("%w: no process in %s", ErrNoData, p.host.Proc)
	}
	w.Uint(processThreads, n.threads)
	failed = errors.Join(failed, sayLimit(w, processMaxThreads, p.maxThreads))
	n.states.write(w, processState)
	n.threadStates.write(w, processThreadState)
	w.Uint(processPIDs, n.processes)
	return errors.Join(failed, sayLimit(w, processMaxPIDs, p.maxPIDs))
}

func sayLimit(w *expo.Writer, f *expo.Family, file *hostfs.File) error {
	n, err := readUint(file)
	if err != nil {
		return err
	}
	w.Uint(f, n)
	return nil
}

func isPID(name []byte) bool {
	_, err := hostfs.Uint(name)
	return err == nil
}

// processCounts is what is counted.
type processCounts struct {
	processes, threads   uint64
	states, threadStates stateCounts
}

// stateCounts are numbers by state, an ASCII letter.
type stateCounts [128]uint64

func (s *stateCounts) write(w *expo.Writer, f *expo.Family) {
	for state, n := range s {
		if n > 0 {
			w.Uint(f, n, string(rune(state)))
		}
	}
}

// count takes in one process with its threads. One that ends meanwhile is not
// counted, nor is such a thread.
func (p *processes) count(n *processCounts, pid []byte) error {
	stat, err := p.read(pid, nil)
	if err != nil {
		return err
	}
	n.processes++
	n.states[stat.state]++
	n.threads += stat.threads
	if p.live && stat.threads <= 1 { // the process itself: no need to look
		n.threadStates[stat.state]++
		return nil
	}
	p.path = append(append(append(p.path[:0], p.host.Proc...), '/'), pid...)
	var failed error
	err = p.tasks.Each(string(append(p.path, "/task"...)), func(task []byte) bool {
		switch {
		case bytes.Equal(task, pid):
			n.threadStates[stat.state]++
		case isPID(task):
			thread, err := p.read(pid, task)
			if err == nil {
				n.threadStates[thread.state]++
			} else if !hostfs.Gone(err) && failed == nil {
				failed = err
			}
		}
		return true
	})
	return errors.Join(err, failed)
}

// read reads the stat file of a process, or of one of its tasks.
func (p *processes) read(pid, task []byte) (processStat, error) {
	p.path = append(append(append(p.path[:0], p.host.Proc...), '/'), pid...)
	if task != nil {
		p.path = append(append(p.path, "/task/"...), task...)
	}
	path := string(append(p.path, "/stat"...))
	b, err := hostfs.ReadInto(path, p.text)
	p.text = b
	if err != nil {
		return processStat{}, err
	}
	stat, err := parseProcessStat(b)
	if err != nil {
		return processStat{}, fmt.Errorf("%s: %w", path, err)
	}
	return stat, nil
}

// processStat is what is wanted of a stat file.
type processStat struct {
	state   byte // below 128
	threads uint64
}

func parseProcessStat(b []byte) (s processStat, err error) {
	rest := b[bytes.LastIndexByte(b, ')')+1:]
	state, rest := hostfs.NextField(rest)
	if len(state) != 1 || state[0] >= 128 || len(rest) == 0 {
		return s, fmt.Errorf("want a name in brackets and a state in %.100q", b)
	}
	var f []byte
	for range 17 {
		f, rest = hostfs.NextField(rest)
	}
	s.state = state[0]
	if s.threads, err = hostfs.Uint(f); err != nil {
		return s, fmt.Errorf("number of threads in %.100q: %w", b, err)
	}
	return s, nil
}
