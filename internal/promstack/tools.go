package promstack

// What can be asked of files without an engine: rule files, and a data directory,
// which is read only and may be in use.

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/index"
)

// CheckRules counts the rules of a rule file. The error is a *ConfigError.
func CheckRules(file string, q QueryConfig) (rules int, err error) {
	groups, errs := rulefmt.ParseFile(file, false, model.UTF8Validation, q.parser(), quiet())
	if len(errs) > 0 {
		return 0, explainIn(file, errs[0])
	}
	for _, g := range groups.Groups {
		rules += len(g.Rules)
	}
	return rules, nil
}

// openBlocks opens a data directory to read its blocks, and its log where a querier
// asks for it.
func openBlocks(dir string) (*tsdb.DBReadOnly, error) {
	db, err := tsdb.OpenDBReadOnly(dir, "", quiet())
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	return db, nil
}

// ListBlocks writes a table of the blocks of a data directory, the oldest first.
func ListBlocks(out io.Writer, dir string, human bool) error {
	db, err := openBlocks(dir)
	if err != nil {
		return err
	}
	defer db.Close()
	blocks, err := db.Blocks()
	if err != nil {
		return fmt.Errorf("data directory %s: %w", dir, err)
	}
	t := tabwriter.NewWriter(out, 8, 0, 2, ' ', 0)
	fmt.Fprintln(t, "BLOCK ULID\tMIN TIME\tMAX TIME\tDURATION\tNUM SAMPLES\tNUM CHUNKS\tNUM SERIES\tSIZE")
	for _, b := range blocks {
		m := b.Meta()
		from, to, size := strconv.FormatInt(m.MinTime, 10), strconv.FormatInt(m.MaxTime, 10), strconv.FormatInt(b.Size(), 10)
		if human {
			from, to = time.UnixMilli(m.MinTime).UTC().Format(time.RFC3339), time.UnixMilli(m.MaxTime).UTC().Format(time.RFC3339)
			size = fmt.Sprintf("%.1f MiB", float64(b.Size())/(1<<20))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n", m.ULID, from, to, time.Duration(m.MaxTime-m.MinTime)*time.Millisecond,
			m.Stats.NumSamples, m.Stats.NumChunks, m.Stats.NumSeries, size)
	}
	return t.Flush()
}

// DumpSamples writes all samples of the series that some of the selectors fit, from a
// time to a time in ms since 1970, one on each line: labels, value, time.
func DumpSamples(ctx context.Context, out io.Writer, dir string, from, to int64, selectors []string, q QueryConfig) error {
	wanted, err := q.parser().ParseMetricSelectors(selectors)
	if err != nil {
		return err
	}
	db, err := openBlocks(dir)
	if err != nil {
		return err
	}
	defer db.Close()
	querier, err := db.Querier(from, to)
	if err != nil {
		return fmt.Errorf("data directory %s: %w", dir, err)
	}
	defer querier.Close()
	var sets []storage.SeriesSet
	for _, matchers := range wanted {
		sets = append(sets, querier.Select(ctx, true, nil, matchers...))
	}
	w := bufio.NewWriter(out)
	merged := storage.NewMergeSeriesSet(sets, 0, storage.ChainedSeriesMerge)
	var it chunkenc.Iterator
	for merged.Next() {
		s := merged.At()
		it = s.Iterator(it)
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			switch kind {
			case chunkenc.ValFloat:
				at, v := it.At()
				fmt.Fprintf(w, "%s %g %d\n", s.Labels(), v, at)
			default:
				at, h := it.AtFloatHistogram(nil)
				fmt.Fprintf(w, "%s %s %d\n", s.Labels(), h, at)
			}
		}
		if err := it.Err(); err != nil {
			return fmt.Errorf("data directory %s: %s: %w", dir, s.Labels(), err)
		}
	}
	if err := merged.Err(); err != nil {
		return fmt.Errorf("data directory %s: %w", dir, err)
	}
	return w.Flush()
}

// AllTime are bounds that every sample is within.
func AllTime() (from, to int64) { return math.MinInt64, math.MaxInt64 }

// AnalyzeBlock writes what costs the most series in a block, the newest one where id is
// "": at most limit lines of each kind.
func AnalyzeBlock(ctx context.Context, out io.Writer, dir, id string, limit int) (err error) {
	db, err := openBlocks(dir)
	if err != nil {
		return err
	}
	defer db.Close()
	if id == "" {
		if id, err = db.LastBlockID(); err != nil {
			return fmt.Errorf("data directory %s has no block yet: a collector makes one every two hours (%w)", dir, err)
		}
	}
	block, err := db.Block(id, tsdb.DefaultPostingsDecoderFactory)
	if err != nil {
		return fmt.Errorf("block %s: %w", id, err)
	}
	ir, err := block.Index()
	if err != nil {
		return fmt.Errorf("block %s: %w", id, err)
	}
	defer ir.Close()
	names, err := ir.LabelNames(ctx)
	if err != nil {
		return fmt.Errorf("block %s: %w", id, err)
	}
	values, pairs, metrics, bytes := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	for _, name := range names {
		all, err := ir.LabelValues(ctx, name, nil)
		if err != nil {
			return fmt.Errorf("block %s: label %s: %w", id, name, err)
		}
		values[name] = len(all)
		for _, v := range all {
			bytes[name] += len(v)
			p, err := ir.Postings(ctx, name, v)
			if err != nil {
				return fmt.Errorf("block %s: label %s: %w", id, name, err)
			}
			n, err := count(p)
			if err != nil {
				return fmt.Errorf("block %s: label %s: %w", id, name, err)
			}
			if pairs[name+"="+v] = n; name == model.MetricNameLabel {
				metrics[v] = n
			}
		}
	}
	m := block.Meta()
	fmt.Fprintf(out, "Block ID: %s\nDuration: %s\nTotal Series: %d\nLabel names: %d\nPostings (unique label pairs): %d\n",
		id, time.Duration(m.MaxTime-m.MinTime)*time.Millisecond, m.Stats.NumSeries, len(names), len(pairs))
	for _, list := range []struct {
		what  string
		count map[string]int
	}{
		{"Highest cardinality metric names", metrics},
		{"Highest cardinality labels", values},
		{"Most common label pairs", pairs},
		{"Label names with highest cumulative label value length", bytes},
	} {
		fmt.Fprintf(out, "\n%s:\n", list.what)
		keys := slices.SortedFunc(maps.Keys(list.count), func(a, b string) int {
			return cmp.Or(cmp.Compare(list.count[b], list.count[a]), cmp.Compare(a, b))
		})
		for _, k := range keys[:min(limit, len(keys))] {
			fmt.Fprintf(out, "%d %s\n", list.count[k], k)
		}
	}
	return nil
}

func count(p index.Postings) (n int, err error) {
	for p.Next() {
		n++
	}
	return n, p.Err()
}
