package collectors

// Asking file systems how full they are, some of which may never answer: a dead
// NFS server or FUSE program holds whoever calls statfs in the kernel for as long
// as it pleases. See docs/design/mounts.md.

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// mountTimeout is what the device_error label says of a mount that does not answer.
const mountTimeout = "mountpoint timeout"

// mostBlocked is how many calls may hang at the same time. Each holds a thread;
// beyond that, mounts are said not to answer without being asked.
const mostBlocked = 256

// statter asks mounts by statfs. Those that cannot hang are asked at once; of the
// others each has a goroutine, which is left behind if it does not come back.
type statter struct {
	timeout time.Duration
	workers int
	log     *slog.Logger
	statfs  func(path string, st *unix.Statfs_t) error

	jobs  map[statKey]*statJob
	order []*statJob    // those of the mounts at hand
	todo  []*statJob    // those of them that do not hang
	woken chan struct{} // holds a token when a job was answered
	limit *time.Timer   // the end of patience with those asked
	tick  *time.Timer
}

// statKey is what mounts have in common that statfs says the same of: one folder of
// one file system, mounted in several places.
type statKey struct{ major, minor, root, fstype string }

// statJob is one question to the kernel.
type statJob struct {
	state   atomic.Uint32
	paths   []string     // the goroutine's while asking
	results []statResult // of paths; the goroutine's while asking
	next    []string     // paths to be asked from now on, if they changed
	fresh   bool         // whether results are of the scrape at hand
	late    bool         // that it was told to be
}

// States of a statJob. Only its goroutine goes from asking to answered.
const (
	jobIdle = iota
	jobAsking
	jobAnswered
)

type statResult struct {
	stat unix.Statfs_t
	err  error
}

func newStatter(timeout time.Duration, workers int, log *slog.Logger) statter {
	s := statter{
		timeout: timeout, workers: max(workers, 1), log: log, statfs: statfs,
		jobs: make(map[statKey]*statJob), woken: make(chan struct{}, 1),
		limit: time.NewTimer(timeout), tick: time.NewTimer(impatience),
	}
	s.limit.Stop()
	s.tick.Stop()
	return s
}

// statfs is statfs(2), begun anew when a signal came between.
func statfs(path string, st *unix.Statfs_t) error {
	for {
		if err := unix.Statfs(path, st); err != unix.EINTR {
			return err
		}
	}
}

// arrange makes the jobs of mounts. A job that hangs is kept although its mounts
// may be gone: they may come back, and it is not to hang twice.
func (s *statter) arrange(mounts []*mount) {
	for _, j := range s.jobs {
		j.next = []string{}
	}
	s.order = s.order[:0]
	for _, m := range mounts {
		if m.prompt {
			continue
		}
		key := statKey{m.major, m.minor, m.root, m.fstype}
		m.job = s.jobs[key]
		if m.job == nil {
			m.job = &statJob{}
			s.jobs[key] = m.job
		}
		if len(m.job.next) == 0 {
			s.order = append(s.order, m.job)
		}
		m.place = len(m.job.next)
		m.job.next = append(m.job.next, m.path)
	}
	for key, j := range s.jobs {
		if len(j.next) == 0 && j.state.Load() != jobAsking {
			delete(s.jobs, key)
		}
	}
}

// run asks all mounts and leaves in each what came of it.
func (s *statter) run(ctx context.Context, mounts []*mount) {
	s.askJobs(ctx)
	for _, m := range mounts {
		var err error
		switch {
		case m.prompt:
			err = s.statfs(m.path, &m.stat)
		case m.job.fresh:
			m.stat, err = m.job.results[m.place].stat, m.job.results[m.place].err
		default:
			m.problem = mountTimeout
			continue
		}
		m.problem = ""
		if err != nil {
			m.problem = err.Error()
		}
	}
}

// askJobs starts the jobs, some at a time, and waits until all have answered or
// the time is up. Those that hang since an earlier scrape are left alone.
func (s *statter) askJobs(ctx context.Context) {
	if len(s.order) == 0 {
		return
	}
	blocked := s.sortOut()
	begun := time.Now()
	s.tick.Reset(impatience)
	defer s.tick.Stop()
	defer s.limit.Stop()
	asked, open, allowed, quiet := 0, 0, s.workers, true
	for asked < len(s.todo) || open > 0 {
		for asked < len(s.todo) && open < allowed && blocked+open < mostBlocked {
			s.ask(s.todo[asked])
			s.limit.Reset(s.patience(ctx, begun, time.Now()))
			asked++
			open++
		}
		if open == 0 {
			return // too many hang already
		}
		select {
		case <-s.woken:
			open -= gather(s.todo[:asked])
			quiet = false
		case <-s.tick.C:
			if quiet {
				allowed += s.workers // those that hang shall not hold up the others
			}
			quiet = true
			s.tick.Reset(impatience)
		case <-s.limit.C:
			s.leave(s.todo[:asked])
			return
		case <-ctx.Done():
			s.leave(s.todo[:asked])
			return
		}
	}
}

// patience is how long to wait for what is asked now, in a scrape that asks since
// begun. Some of the scrape's own time is left for what comes after.
func (s *statter) patience(ctx context.Context, begun, now time.Time) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return min(s.timeout, deadline.Sub(begun)*4/5-now.Sub(begun))
	}
	return s.timeout
}

// sortOut finds the jobs that can be asked and tells how many hang.
func (s *statter) sortOut() (blocked int) {
	for _, j := range s.jobs {
		j.fresh = false
		if j.state.CompareAndSwap(jobAnswered, jobIdle) && j.late {
			j.late = false
			s.log.Info("Mount answers again", "mountpoint", j.paths[0])
		}
		if j.state.Load() == jobAsking {
			blocked++
		}
	}
	s.todo = s.todo[:0]
	for _, j := range s.order {
		if j.state.Load() == jobIdle {
			s.todo = append(s.todo, j)
		}
	}
	return blocked
}

// ask starts a job's goroutine.
func (s *statter) ask(j *statJob) {
	if j.next != nil {
		j.paths, j.results, j.next = j.next, make([]statResult, len(j.next)), nil
	}
	j.state.Store(jobAsking)
	go j.run(s.statfs, s.woken)
}

// run asks until one path has an answer, which is that of the others as well; an
// error may be of the way there.
func (j *statJob) run(statfs func(string, *unix.Statfs_t) error, woken chan<- struct{}) {
	for i, path := range j.paths {
		r := &j.results[i]
		if r.err = statfs(path, &r.stat); r.err == nil {
			for k := range j.results[i+1:] {
				j.results[i+1+k] = *r
			}
			break
		}
	}
	j.state.Store(jobAnswered)
	select {
	case woken <- struct{}{}:
	default:
	}
}

// gather takes the results of the jobs that have answered and counts them.
func gather(jobs []*statJob) (answered int) {
	for _, j := range jobs {
		if !j.fresh && j.state.CompareAndSwap(jobAnswered, jobIdle) {
			j.fresh = true
			answered++
		}
	}
	return answered
}

// leave leaves behind the jobs that have not answered.
func (s *statter) leave(jobs []*statJob) {
	gather(jobs)
	for _, j := range jobs {
		if !j.fresh && !j.late {
			j.late = true
			s.log.Warn("Mount does not answer, left behind", "mountpoint", j.paths[0])
		}
	}
}
