package main

// Commands that run no collector, where users of promtool expect them.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/client_golang/api"
	apiv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/model"

	"watchpost/cmd/internal/cli"
	"watchpost/internal/promstack"
)

// queryTime bounds a query of the command line, and rangeTime is what one over a range
// looks back on unless it is told.
const (
	queryTime = 2 * time.Minute
	rangeTime = 5 * time.Minute
)

// tool is a command that writes something and ends.
type tool struct {
	command string
	run     func(ctx context.Context, out io.Writer) error
}

// errFindings is the end of a check that has found something and told of it.
var errFindings = errors.New("there are findings")

// tools declares the commands; check is the group that some of them belong to.
func tools(app *cli.App, check *kingpin.CmdClause) (all []tool) {
	add := func(c *kingpin.CmdClause, run func(ctx context.Context, out io.Writer) error) {
		all = append(all, tool{c.FullCommand(), run})
	}
	rules := check.Command("rules", "Check rule files.")
	ruleFiles := rules.Arg("file", "The files.").Required().Strings()
	add(rules, func(_ context.Context, out io.Writer) error {
		var errs []error
		for _, file := range *ruleFiles {
			n, err := promstack.CheckRules(file, promstack.QueryConfig{})
			if err != nil {
				errs = append(errs, err)
				continue
			}
			fmt.Fprintf(out, "%s: ok, %d rules\n", file, n)
		}
		return errors.Join(errs...)
	})
	metrics := check.Command("metrics", "Check an exposition from standard input: whether it can be read, and how its names are chosen.")
	add(metrics, func(_ context.Context, out io.Writer) error { return lint(os.Stdin, out) })

	add(compareTool(app))

	query := app.Command("query", "Ask a collector, or a Prometheus.")
	format := query.Flag("format", "How answers are written: promql or json.").Short('o').Default("promql").Enum("promql", "json")
	instant := query.Command("instant", "Evaluate an expression at one time.")
	instantServer, instantExpr := server(instant), instant.Arg("expr", "The expression.").Required().String()
	instantAt := instant.Flag("time", "When: RFC 3339, or seconds since 1970. Now unless given.").String()
	add(instant, func(ctx context.Context, out io.Writer) error {
		at, err := moment(*instantAt, time.Now())
		if err != nil {
			return cli.Usage(err)
		}
		return askServer(ctx, *instantServer, func(ctx context.Context, a apiv1.API) error {
			v, warnings, err := a.Query(ctx, *instantExpr, at)
			return show(out, *format, v, warnings, err)
		})
	})
	over := query.Command("range", "Evaluate an expression at many times.")
	rangeServer, rangeExpr := server(over), over.Arg("expr", "The expression.").Required().String()
	rangeFrom, rangeTo := between(over)
	step := over.Flag("step", "Time between two evaluations; a 250th of the range unless given.").Duration()
	add(over, func(ctx context.Context, out io.Writer) error {
		from, to, err := bounds(*rangeFrom, *rangeTo, rangeTime)
		if err != nil {
			return cli.Usage(err)
		}
		each := *step
		if each == 0 {
			each = time.Duration(max(1, math.Floor(to.Sub(from).Seconds()/250))) * time.Second
		}
		return askServer(ctx, *rangeServer, func(ctx context.Context, a apiv1.API) error {
			v, warnings, err := a.QueryRange(ctx, *rangeExpr, apiv1.Range{Start: from, End: to, Step: each})
			return show(out, *format, v, warnings, err)
		})
	})
	series := query.Command("series", "Find series.")
	seriesServer, seriesMatch := server(series), series.Flag("match", "Selector. Repeatable.").Required().Strings()
	seriesFrom, seriesTo := between(series)
	add(series, func(ctx context.Context, out io.Writer) error {
		from, to, err := bounds(*seriesFrom, *seriesTo, rangeTime)
		if err != nil {
			return cli.Usage(err)
		}
		return askServer(ctx, *seriesServer, func(ctx context.Context, a apiv1.API) error {
			found, warnings, err := a.Series(ctx, *seriesMatch, from, to)
			return show(out, *format, lines[model.LabelSet](found), warnings, err)
		})
	})
	values := query.Command("labels", "List the values of a label.")
	valuesServer, label := server(values), values.Arg("name", "The label.").Required().String()
	valuesMatch := values.Flag("match", "Of series that this selector fits. Repeatable.").Strings()
	valuesFrom, valuesTo := between(values)
	add(values, func(ctx context.Context, out io.Writer) error {
		from, to, err := bounds(*valuesFrom, *valuesTo, rangeTime)
		if err != nil {
			return cli.Usage(err)
		}
		return askServer(ctx, *valuesServer, func(ctx context.Context, a apiv1.API) error {
			found, warnings, err := a.LabelValues(ctx, *label, *valuesMatch, from, to)
			return show(out, *format, lines[model.LabelValue](found), warnings, err)
		})
	})

	tsdb := app.Command("tsdb", "Look into a data directory, which may be in use.")
	list := tsdb.Command("list", "List the blocks.")
	listDir, human := folder(list), list.Flag("human-readable", "Times and sizes for people.").Short('r').Bool()
	add(list, func(_ context.Context, out io.Writer) error { return promstack.ListBlocks(out, *listDir, *human) })
	analyze := tsdb.Command("analyze", "Show what costs the most series in a block.")
	analyzeDir, id := folder(analyze), analyze.Arg("block", "The block; the newest unless given.").String()
	limit := analyze.Flag("limit", "Lines of each list.").Default("20").Int()
	add(analyze, func(ctx context.Context, out io.Writer) error {
		return promstack.AnalyzeBlock(ctx, out, *analyzeDir, *id, max(0, *limit))
	})
	dump := tsdb.Command("dump", "Write samples as text, with those that are in the log alone.")
	dumpDir, dumpMatch := folder(dump), dump.Flag("match", "Selector. Repeatable.").Default(`{__name__=~"(?s:.*)"}`).Strings()
	first, last := promstack.AllTime()
	dumpFrom := dump.Flag("min-time", "From which time on, in ms since 1970.").Default(strconv.FormatInt(first, 10)).Int64()
	dumpTo := dump.Flag("max-time", "Until when.").Default(strconv.FormatInt(last, 10)).Int64()
	add(dump, func(ctx context.Context, out io.Writer) error {
		return promstack.DumpSamples(ctx, out, *dumpDir, *dumpFrom, *dumpTo, *dumpMatch, promstack.QueryConfig{})
	})
	return all
}

func server(c *kingpin.CmdClause) *string {
	return c.Arg("server", "Its address, such as http://localhost:9090.").Required().String()
}

func folder(c *kingpin.CmdClause) *string {
	return c.Arg("dir", "The data directory.").Default("data/").String()
}

func between(c *kingpin.CmdClause) (from, to *string) {
	return c.Flag("start", "From when: RFC 3339, or seconds since 1970. Five minutes before the end unless given.").String(),
		c.Flag("end", "Until when. Now unless given.").String()
}

// moment reads a time, which is def where it is empty.
func moment(text string, def time.Time) (time.Time, error) {
	if text == "" {
		return def, nil
	}
	if s, err := strconv.ParseFloat(text, 64); err == nil && math.Abs(s) < 1e12 {
		return time.UnixMilli(int64(s * 1000)), nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return t, fmt.Errorf("time %q: want RFC 3339, as 2026-11-21T15:04:05Z, or seconds since 1970", text)
	}
	return t, nil
}

// bounds reads two times; back is how far the first is before the second unless given.
func bounds(from, to string, back time.Duration) (a, b time.Time, err error) {
	if b, err = moment(to, time.Now()); err != nil {
		return a, b, err
	}
	if a, err = moment(from, b.Add(-back)); err != nil {
		return a, b, err
	}
	if !a.Before(b) {
		return a, b, errors.New("--start must be before --end")
	}
	return a, b, nil
}

// askServer does something with the API of a server.
func askServer(ctx context.Context, address string, do func(context.Context, apiv1.API) error) error {
	client, err := api.NewClient(api.Config{Address: address, Client: &http.Client{}})
	if err != nil {
		return cli.Usage(fmt.Errorf("server %q: %w", address, err))
	}
	ctx, cancel := context.WithTimeout(ctx, queryTime)
	defer cancel()
	if err := do(ctx, apiv1.NewAPI(client)); err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	return nil
}

// lines are things of which each is shown on a line of its own.
type lines[T any] []T

func (l lines[T]) String() string {
	var b []byte
	for i, v := range l {
		if i > 0 {
			b = append(b, '\n')
		}
		b = fmt.Append(b, v)
	}
	return string(b)
}

// show writes an answer, and warnings to standard error.
func show(out io.Writer, format string, v any, warnings apiv1.Warnings, err error) error {
	if err != nil {
		return err
	}
	for _, w := range warnings {
		fmt.Fprintln(os.Stderr, "warning:", w)
	}
	if format == "json" {
		return json.NewEncoder(out).Encode(v)
	}
	if s, isText := v.(fmt.Stringer); isText {
		if text := s.String(); text != "" {
			_, err = fmt.Fprintln(out, text)
		}
		return err
	}
	return json.NewEncoder(out).Encode(v)
}

// lint tells what is odd about an exposition.
func lint(in io.Reader, out io.Writer) error {
	problems, err := promlint.New(in).Lint()
	if err != nil {
		return fmt.Errorf("the exposition cannot be read: %w", err)
	}
	slices.SortFunc(problems, func(a, b promlint.Problem) int {
		if a.Metric != b.Metric {
			if a.Metric < b.Metric {
				return -1
			}
			return 1
		}
		return 0
	})
	for _, p := range problems {
		fmt.Fprintln(out, p.Metric, p.Text)
	}
	if len(problems) > 0 {
		return errFindings
	}
	return nil
}
