// Package store asks a running Prometheus, or our collector, what it has stored, and
// its folder how much room that takes.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"watchpost/bench/internal/agent"
	"watchpost/internal/run"
)

// readyTimeout is how long a program may take to be ready: at a million series it reads
// some hundred megabytes then.
const readyTimeout = 5 * time.Minute

// Store is a program that was started.
type Store struct {
	*agent.Program
	Client *http.Client
}

// Await returns when the program is ready.
func (s Store) Await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		err := s.ready(ctx)
		if err == nil {
			return nil
		}
		if late := run.Sleep(ctx, 5*time.Millisecond); late != nil {
			return fmt.Errorf("%s is not ready: %w", s.Name, errors.Join(err, late))
		}
	}
}

func (s Store) ready(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Base+"/-/ready", nil)
	if err != nil {
		return err
	}
	resp, err := s.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, text)
	}
	return err
}

// Series is a series of an answer: one value of an instant, or those of a span.
type Series struct {
	Metric map[string]string
	Value  Sample
	Values []Sample
}

// Sample is [seconds, "number"].
type Sample struct {
	At    time.Time
	Value float64
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *Sample) UnmarshalJSON(b []byte) error {
	var at float64
	var text string
	if err := json.Unmarshal(b, &[]any{&at, &text}); err != nil {
		return err
	}
	v.At = time.UnixMilli(int64(math.Round(at * 1000)))
	var err error
	v.Value, err = strconv.ParseFloat(text, 64)
	return err
}

// Query asks for the value of q at that time.
func (s Store) Query(ctx context.Context, q string, at time.Time) ([]Series, error) {
	args := url.Values{"query": {q}, "time": {strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Base+"/api/v1/query?"+args.Encode(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct {
		Error string
		Data  struct{ Result []Series }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("%s: query %s: %s: %w", s.Name, q, resp.Status, err)
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("%s: query %s: %s", s.Name, q, answer.Error)
	}
	return answer.Data.Result, nil
}

// Reserve is the file by which our collector keeps room for when the disk is full
// (docs/collector.md); nothing is in it.
const Reserve = "watchpost-reserve"

// DiskUse is the space that what is in the files of a folder takes, in bytes, without
// those of the names given. Both programs lay out files ahead of their use, and ours keeps
// room behind its log for when the disk is full: what is not written does not count.
func DiskUse(dir string, without ...string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != dir {
			return nil // gone meanwhile
		}
		if err != nil || d.IsDir() {
			return err
		}
		if slices.Contains(without, d.Name()) {
			return nil
		}
		var st unix.Stat_t
		if err := unix.Stat(path, &st); errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile
		} else if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		sum += min(st.Size, st.Blocks*512)
		return nil
	})
	return sum, err
}
