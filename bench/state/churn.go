package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"watchpost/internal/expo"
	"watchpost/internal/run"
	"watchpost/internal/testkube/fleet"
)

// restarts is the family whose sum tells whether both programs saw the same updates.
const restarts = "kube_pod_container_status_restarts_total"

// agreeLimit bounds how long both may take to show the last update.
const agreeLimit = 2 * time.Minute

// churn runs both programs side by side while pods change, and tells what each needed
// from the moment that both showed all objects.
func (o *options) churn(ctx context.Context, c *cluster, wanted int, costs *[2]cost) (err error) {
	var both [2]*process
	for i, s := range o.subjects(c.Kubeconfig) {
		if both[i], err = s.start(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, both[i].Stop()) }()
		if err := both[i].awaitAll(ctx, wanted, &cost{}); err != nil {
			return err
		}
	}
	var herd *fleet.Herd
	if o.updates > 0 {
		if herd, err = fleet.Gather(ctx, c.Config, o.size()); err != nil {
			return err
		}
	}
	if err := run.Sleep(ctx, 5*time.Second); err != nil { // the start's garbage is not of the updates
		return err
	}
	made, err := o.side(ctx, herd, both, costs)
	if err != nil {
		return err
	}
	fmt.Printf("%d pod status updates in %s, %.1f a second\n", made, o.during, float64(made)/o.during.Seconds())
	if wanted := float64(o.updates) * o.during.Seconds(); float64(made) < 0.9*wanted {
		fmt.Fprintf(os.Stderr, "the API server kept up with %.0f %% of the updates only\n", 100*float64(made)/wanted)
	}
	return agree(ctx, both)
}

// side is the measured time itself: updates at a steady rate, and scrapes of both at
// each interval, in turn.
func (o *options) side(ctx context.Context, herd *fleet.Herd, both [2]*process, costs *[2]cost) (made int, err error) {
	for i, p := range both {
		if err := p.ResetPeakRSS(); err != nil {
			return 0, err
		}
		if costs[i].churnCPU, err = p.CPU(); err != nil {
			return 0, err
		}
	}
	updating, cancel := context.WithTimeout(ctx, o.during)
	defer cancel()
	updates := make(chan error, 1)
	go func() {
		var err error
		if herd != nil {
			made, err = herd.Churn(updating, o.updates)
		} else {
			<-updating.Done()
		}
		updates <- err
	}()
	interval := time.NewTicker(o.interval)
	defer interval.Stop()
	for {
		select {
		case err := <-updates: // they end with the time
			if err = errors.Join(err, ctx.Err()); err != nil {
				return made, err
			}
			return made, finish(both, costs)
		case <-interval.C:
		}
		for i, p := range both {
			if _, err := p.scrape(); err != nil {
				cancel()
				return 0, errors.Join(err, <-updates)
			}
			costs[i].scrapes++
		}
	}
}

// finish takes what both needed.
func finish(both [2]*process, costs *[2]cost) error {
	for i, p := range both {
		cpu, err := p.CPU()
		if err != nil {
			return err
		}
		costs[i].churnCPU = cpu - costs[i].churnCPU
		if costs[i].churnRSS, err = p.RSS(); err != nil {
			return err
		}
		if costs[i].churnPeak, err = p.PeakRSS(); err != nil {
			return err
		}
	}
	return nil
}

// agree waits until both programs count the same number of container restarts: what
// is cheap because updates are lost is not cheap.
func agree(ctx context.Context, both [2]*process) error {
	ctx, cancel := context.WithTimeout(ctx, agreeLimit)
	defer cancel()
	for {
		var counted [2]float64
		for i, p := range both {
			page, err := p.scrape()
			if err != nil {
				return err
			}
			text, err := page.Text()
			if err != nil {
				return err
			}
			if counted[i], err = sum(text, restarts); err != nil {
				return fmt.Errorf("%s: %w", p.Name, err)
			}
		}
		if counted[0] == counted[1] {
			fmt.Printf("both count %.0f container restarts then\n", counted[0])
			return nil
		}
		if err := run.Sleep(ctx, time.Second); err != nil {
			return fmt.Errorf("%s counts %.0f container restarts, %s %.0f: %w", both[0].Name, counted[0], both[1].Name, counted[1], err)
		}
	}
}

// sum is that of all series of a family.
func sum(text []byte, name string) (total float64, err error) {
	sc := expo.NewScanner(text)
	for sc.Next() {
		if l := sc.Line(); l.Kind == expo.Sample && bytes.Equal(l.Name, []byte(name)) {
			v, err := l.Float()
			if err != nil {
				return 0, err
			}
			total += v
		}
	}
	return total, sc.Err()
}
