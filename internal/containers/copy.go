package containers

import (
	"errors"
	"fmt"
	"io"

	"watchpost/internal/expo"
)

// Bounds of a text. A chunk is what is read at a time, a part is about what is written
// at a time; the buffers are not longer unless a line is. Parts are large because each
// wakes the reader at the other end: docs/performance.md has what that costs.
const (
	chunk   = 256 << 10
	part    = 1 << 20
	maxLine = 1 << 20
)

// ErrTooLarge is the error of a text that is longer than it may be.
var ErrTooLarge = errors.New("the text is too large")

// Copy filters a text on its way from src to dst. At most limit bytes are read.
// Where src fails or ends in the middle, a line cannot be read, or the limit is
// passed, what was whole before is written and the error tells after which line
// that was. A sum of series is only written when all of its family was read.
func (f *Filter) Copy(dst io.Writer, src io.Reader, format expo.Format, limit int64) error {
	f.begin(format)
	if f.in == nil {
		f.in, f.out = make([]byte, 0, chunk), make([]byte, 0, chunk)
	}
	defer func() { // A long line does not cost its memory for ever.
		if f.in = f.in[:0]; cap(f.in) > chunk {
			f.in = nil
		}
		if cap(f.out) > 2*part {
			f.out = nil
		}
	}()
	f.in, f.out = f.in[:0], f.out[:0]
	for idle := 0; ; {
		if len(f.in) == cap(f.in) {
			if len(f.in) >= maxLine {
				return errors.Join(f.flush(dst), fmt.Errorf("line %d: longer than %d bytes", f.line+1, maxLine))
			}
			longer := make([]byte, len(f.in), min(2*cap(f.in), maxLine))
			copy(longer, f.in)
			f.in = longer
		}
		n, err := src.Read(f.in[len(f.in):cap(f.in)])
		if limit -= int64(n); limit < 0 {
			n += int(max(limit, -int64(n)))
			err = ErrTooLarge
		}
		f.in = f.in[:len(f.in)+n]
		if idle++; n > 0 {
			idle = 0
		}
		if taken, err := f.pass(dst, f.in); err != nil {
			return err
		} else if taken > 0 {
			f.in = f.in[:copy(f.in, f.in[taken:])]
		}
		switch {
		case err == io.EOF: // as readers give it
			rest := len(f.in)
			var problem error
			if f.out, problem = f.end(f.out, f.in); problem == nil {
				f.BytesIn += uint64(rest)
			}
			return errors.Join(problem, f.flush(dst))
		case err == nil && idle >= 100:
			err = io.ErrNoProgress
		}
		if err != nil {
			return errors.Join(fmt.Errorf("after line %d: %w", f.line, err), f.flush(dst))
		}
	}
}

// pass filters the whole lines of text and writes what makes up a part.
func (f *Filter) pass(dst io.Writer, text []byte) (taken int, err error) {
	for {
		var n int
		f.out, n, err = f.lines(f.out, text[taken:], part)
		taken += n
		f.BytesIn += uint64(n)
		if err != nil {
			return taken, errors.Join(err, f.flush(dst))
		}
		if len(f.out) < part {
			return taken, nil
		}
		if err := f.flush(dst); err != nil {
			return taken, err
		}
	}
}

// flush writes what is left of the text so far.
func (f *Filter) flush(dst io.Writer) error {
	if len(f.out) == 0 {
		return nil
	}
	n, err := dst.Write(f.out)
	f.BytesOut += uint64(n)
	f.out = f.out[:0]
	return err
}
