package push

// The file in which pushed metrics survive a restart. It is pushgateway's
// (--persistence.file), in gob: a map of groups by grouping key, families as
// protobuf. So that of a pushgateway can be taken over, and back.

import (
	"bufio"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// gobGroup, gobFamily and gobMessage have the fields that pushgateway's types
// have; gob knows a struct by its fields, not by its name.
type gobGroup struct {
	Labels  map[string]string
	Metrics map[string]gobFamily
}

type gobFamily struct {
	Timestamp            time.Time
	GobbableMetricFamily *gobMessage
}

type gobMessage dto.MetricFamily

// GobDecode implements gob.GobDecoder.
func (m *gobMessage) GobDecode(b []byte) error { return proto.Unmarshal(b, (*dto.MetricFamily)(m)) }

// GobEncode implements gob.GobEncoder.
func (m *gobMessage) GobEncode() ([]byte, error) { return proto.Marshal((*dto.MetricFamily)(m)) }

// snapshot is the groups as they are written. Families are only read from then on.
func (s *store) snapshot() map[string]gobGroup {
	all := make(map[string]gobGroup, len(s.groups))
	for key, g := range s.groups {
		metrics := make(map[string]gobFamily, len(g.families))
		for n, f := range g.families {
			metrics[n] = gobFamily{f.at, (*gobMessage)(f.mf)}
		}
		all[key] = gobGroup{g.labels, metrics}
	}
	return all
}

// save writes the groups to a file, whole or not at all.
func save(file string, groups map[string]gobGroup) (err error) {
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".in_progress.")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	w := bufio.NewWriter(f)
	if err := gob.NewEncoder(w).Encode(groups); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(file))
}

// syncFolder makes a rename in a folder last.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// restore reads a file. What does not fit together, as the file of a program
// that was told not to check may have it, is left out group by group; lost tells.
func (s *store) restore(file string) (lost []error, err error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", file)
	}
	return s.read(bufio.NewReader(f))
}

// errBroken is of a file that holds something else.
var errBroken = errors.New("not a file of pushed metrics")

func (s *store) read(r io.Reader) (lost []error, err error) {
	var groups map[string]gobGroup
	if err := gob.NewDecoder(r).Decode(&groups); err != nil {
		return nil, fmt.Errorf("%w: %w", errBroken, err)
	}
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		if err := s.adopt(groups[key]); err != nil {
			lost = append(lost, fmt.Errorf("group %v: %w", groups[key].Labels, err))
		}
	}
	return lost, nil
}

// adopt takes a group that was saved.
func (s *store) adopt(saved gobGroup) error {
	if saved.Labels["job"] == "" {
		return errNoJob
	}
	next := &group{labels: saved.Labels, families: make(map[string]family, len(saved.Metrics))}
	families := make(map[string]*dto.MetricFamily, len(saved.Metrics))
	shared, none := pairs(saved.Labels), noInstance()
	for n, f := range saved.Metrics {
		mf := (*dto.MetricFamily)(f.GobbableMetricFamily)
		if mf.GetName() != n || len(mf.GetMetric()) == 0 {
			return fmt.Errorf("%q is not a family", n)
		}
		families[n] = mf
		kept := family{at: f.Timestamp, mf: mf}
		for _, m := range mf.GetMetric() {
			m.Label = label(m.Label, shared, none)
			kept.hashes = append(kept.hashes, s.hash(n, m.Label))
		}
		next.families[n] = kept
	}
	if err := s.check(families); err != nil {
		return err
	}
	key := keyOf(saved.Labels)
	if s.groups[key] == nil && len(s.groups) >= s.maxGroups {
		return errFull
	}
	return s.swap(key, s.groups[key], next)
}
