package main

// collector compare: what somebody who replaces one program by another has to know of
// their metrics.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"watchpost/cmd/internal/cli"
	"watchpost/internal/fetch"
	"watchpost/internal/metricdiff"
	"watchpost/internal/run"
	"watchpost/internal/words"
)

// Bounds of a comparison: of one scrape, in time and in bytes of text.
const (
	compareTime  = time.Minute
	compareBytes = 1 << 30
)

// comparison is what the command line says of one.
type comparison struct {
	old, new string
	without  []string
	allowed  string
	values   bool
	added    bool
	limit    int
	rounds   int
	pause    time.Duration
	server   fetch.Config // but for the URL
}

// compareTool declares the command.
func compareTool(app *cli.App) (*kingpin.CmdClause, func(ctx context.Context, out io.Writer) error) {
	c := &comparison{server: fetch.Config{UserAgent: "watchpost-collector", Gzip: true}}
	cmd := app.Command("compare", "Tell which families, labels and series of one program's metrics another does not have. It asks the old, the new, and the old again, so that what comes and goes by itself is not told.")
	const source = "http:// or https:// with the path of the metrics, or a file of metrics."
	cmd.Arg("old", "What is replaced: "+source).Required().StringVar(&c.old)
	cmd.Arg("new", "What takes its place: the same.").Required().StringVar(&c.new)
	cmd.Flag("ignore-label", "Labels to leave out on both sides, separated by commas: those that one of them adds. Repeatable.").PlaceHolder("NAME,...").StringsVar(&c.without)
	cmd.Flag("allow", "File of differences that are known, one on a line: kind, pattern of the family or series, reason.").PlaceHolder("FILE").StringVar(&c.allowed)
	cmd.Flag("values", "Compare values, too: what does not change is to be equal, counters are to lie between.").BoolVar(&c.values)
	cmd.Flag("added", "List also what only the new has.").BoolVar(&c.added)
	cmd.Flag("limit", "Series of one family that are listed; 0 is all.").Default("5").IntVar(&c.limit)
	cmd.Flag("rounds", "How often to ask.").Default("1").IntVar(&c.rounds)
	cmd.Flag("pause", "Time between rounds.").Default("15s").DurationVar(&c.pause)
	cmd.Flag("token-file", "Bearer token for both; it is sent over https alone.").PlaceHolder("FILE").StringVar(&c.server.TokenFile)
	cmd.Flag("ca-file", "Certificates that may sign those of both.").PlaceHolder("FILE").StringVar(&c.server.CAFile)
	cmd.Flag("insecure-skip-verify", "Take any certificate.").BoolVar(&c.server.Insecure)
	return cmd, c.run
}

func (c *comparison) run(ctx context.Context, out io.Writer) error {
	if c.rounds < 1 || c.limit < 0 || c.pause < 0 {
		return cli.Usage(errors.New("--rounds must be at least 1, --limit and --pause cannot be negative"))
	}
	var allowed []metricdiff.Allowance
	if c.allowed != "" {
		text, err := os.ReadFile(c.allowed)
		if err == nil {
			allowed, err = metricdiff.ParseAllowed(text)
		}
		if err != nil {
			return cli.Usage(fmt.Errorf("--allow %s: %w", c.allowed, err))
		}
	}
	c.without = words.Split(c.without...)
	scrapes := make([]func(context.Context) (metricdiff.Exposition, error), 2)
	for i, from := range []string{c.old, c.new} {
		read, err := c.source(from)
		if err != nil {
			return cli.Usage(err)
		}
		scrapes[i] = func(ctx context.Context) (metricdiff.Exposition, error) {
			text, err := read(ctx)
			if err != nil {
				return nil, err
			}
			e, err := metricdiff.Parse(text, c.without...)
			if err == nil && len(e) == 0 {
				err = errors.New("there are no metrics")
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", from, err)
			}
			return e, nil
		}
	}
	var rounds []metricdiff.Round
	for i := range c.rounds {
		if i > 0 {
			if err := run.Sleep(ctx, c.pause); err != nil {
				return err
			}
		}
		var r metricdiff.Round
		for _, step := range []struct {
			to    *metricdiff.Exposition
			which int
		}{{&r.Before, 0}, {&r.New, 1}, {&r.After, 0}} {
			var err error
			if *step.to, err = scrapes[step.which](ctx); err != nil {
				return err
			}
		}
		rounds = append(rounds, r)
	}
	return c.report(out, metricdiff.Compare(rounds), allowed)
}

// source is how an exposition is read.
func (c *comparison) source(from string) (func(context.Context) ([]byte, error), error) {
	if !strings.Contains(from, "://") {
		return func(context.Context) ([]byte, error) { return os.ReadFile(from) }, nil
	}
	server := c.server
	server.URL = from
	client, err := fetch.New(server)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, compareTime)
		defer cancel()
		answer, err := client.Get(ctx, "", "Accept", "text/plain;version=0.0.4")
		if err != nil {
			return nil, err
		}
		defer answer.Close()
		text, err := io.ReadAll(io.LimitReader(answer, compareBytes+1))
		if err == nil && len(text) > compareBytes {
			err = fmt.Errorf("more than %d bytes", compareBytes)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", from, err)
		}
		return text, nil
	}, nil
}

// report prints what was found. The error says that there is something.
func (c *comparison) report(out io.Writer, s metricdiff.Summary, allowed []metricdiff.Allowance) error {
	w := bufio.NewWriter(out)
	counts := make(map[string]int) // by kind
	listed := make(map[string]int) // by kind and family
	var over []string              // those of which more is not listed
	known, wrong := 0, 0
	for _, d := range s.Differences {
		added := d.Kind == metricdiff.FamilyAdded || d.Kind == metricdiff.SeriesAdded
		if !c.values && (d.Kind == metricdiff.ValueDiffers || d.Kind == metricdiff.ValueFar) {
			continue
		}
		if metricdiff.Reason(allowed, d) != "" {
			known++
			continue
		}
		counts[d.Kind]++
		if added && !c.added {
			continue
		}
		if !added {
			wrong++
		}
		of := d.Kind + " of " + d.Family
		if listed[of]++; c.limit > 0 && listed[of] > c.limit {
			if !slices.Contains(over, of) {
				over = append(over, of)
			}
			continue
		}
		fmt.Fprintf(w, "%-14s  %s: %s\n", d.Kind, d.Subject, d.Detail)
	}
	for _, of := range over {
		fmt.Fprintf(w, "... and %d more %s\n", listed[of]-c.limit, of)
	}
	fmt.Fprintf(w, "The old has %d families with %d series. The new lacks %d families and, in others, %d series; %d types and %d sets of labels differ.\n",
		s.Families, s.Series, counts[metricdiff.FamilyMissing], counts[metricdiff.SeriesMissing], counts[metricdiff.TypeDiffers], counts[metricdiff.LabelsDiffer])
	if c.values {
		fmt.Fprintf(w, "%d values differ.\n", counts[metricdiff.ValueDiffers]+counts[metricdiff.ValueFar])
	}
	fmt.Fprintf(w, "It has %d families and, in others, %d series more", counts[metricdiff.FamilyAdded], counts[metricdiff.SeriesAdded])
	if known > 0 {
		fmt.Fprintf(w, "; %d differences are known", known)
	}
	fmt.Fprintln(w, ". What programs tell of themselves (go_, process_, promhttp_) is left out.")
	if err := w.Flush(); err != nil {
		return err
	}
	if wrong > 0 {
		return fmt.Errorf("%d differences", wrong)
	}
	return nil
}
