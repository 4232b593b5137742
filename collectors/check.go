package collectors

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"watchpost/internal/expo"
)

// Report is what one collector can read here.
type Report struct {
	Name     string
	About    string // what it tells, a phrase
	Families int
	Series   int
	Err      error  // nil, ErrNoData or what went wrong
	Advice   string // what to change, if that is known
}

// troubled is a collector whose Collect succeeds though not all could be read,
// which its own metrics tell.
type troubled interface {
	// trouble is what could not be read by the last Collect.
	trouble() error
}

// Check runs every collector of the set once, one after another, each for at
// most limit, and tells what came of it.
func (s *Set) Check(ctx context.Context, limit time.Duration) []Report {
	var reports []Report
	for _, u := range s.units {
		reports = append(reports, s.checkUnit(ctx, u, limit))
	}
	return reports
}

func (s *Set) checkUnit(ctx context.Context, u *unit, limit time.Duration) Report {
	r := Report{Name: u.name}
	for _, row := range table {
		if row.name == u.name {
			r.About = row.about
		}
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	w := &expo.Writer{}
	done := make(chan error, 1)
	go func() {
		err := collect(ctx, u, w)
		if c, ok := u.collector.(troubled); ok && err == nil {
			err = c.trouble()
		}
		done <- err
	}()
	select {
	case r.Err = <-done:
		r.Families, r.Series = count(w.Bytes())
	case <-ctx.Done():
		r.Err = errors.New("does not come back: what it reads is stuck")
	}
	r.Advice = advise(r.Err)
	return r
}

// count tells how many families and series a text holds.
func count(text []byte) (families, series int) {
	for sc := expo.NewScanner(text); sc.Next(); {
		switch sc.Line().Kind {
		case expo.TypeLine:
			families++
		case expo.Sample:
			series++
		}
	}
	return families, series
}

// advise says what may help against an error.
func advise(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, fs.ErrPermission):
		return "run it as root, or give its user the right to read that file"
	case errors.Is(err, ErrNoData), errors.Is(err, fs.ErrNotExist):
		return "the kernel or the host does not have it; in a container, check --path.procfs, --path.sysfs and --path.rootfs"
	}
	return ""
}

// Absent tells that the host has no such part, which nothing need be done about.
func (r Report) Absent() bool { return errors.Is(r.Err, ErrNoData) }
