//go:build e2e

package e2e

// Remote write into real receivers: VictoriaMetrics (Debian's package victoria-metrics, or
// WATCHPOST_VICTORIAMETRICS=binary) and Thanos Receive (make thanos;
// WATCHPOST_THANOS=binary). WATCHPOST_OUTAGE is how long the receiver is down (1s).

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golang/snappy"
	"google.golang.org/protobuf/encoding/protowire"
)

// process is a program of somebody else that can be stopped and started again.
type process struct {
	t    *testing.T
	args []string // with the program
	cmd  *exec.Cmd
	said *lockedBuffer
}

func (p *process) start() {
	p.t.Helper()
	p.cmd, p.said = exec.Command(p.args[0], p.args[1:]...), new(lockedBuffer)
	p.cmd.Stdout, p.cmd.Stderr = p.said, p.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	cmd, said := p.cmd, p.said
	p.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
		if p.t.Failed() {
			p.t.Logf("%s said:\n%s", filepath.Base(p.args[0]), said)
		}
	})
}

func (p *process) stop() {
	p.t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	defer late.Stop()
	p.cmd.Wait()
}

// installed is the path of a program that a variable names, or that is installed.
func installed(t *testing.T, variable string, names ...string) string {
	t.Helper()
	if path := os.Getenv(variable); path != "" {
		return path
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skipf("%s names no program, and none is installed as one of %q", variable, names)
	return ""
}

// asked is what an address answers to a query at a time, by the labels left.
func asked(address, query string, at time.Time) (map[string]float64, error) {
	// VictoriaMetrics answers without the newest samples, unless it is told not to cache.
	got, err := instant(address, fmt.Sprintf("nocache=1&query=%s&time=%d", url.QueryEscape(query), at.Unix()))
	if err != nil {
		return nil, err
	}
	all := make(map[string]float64)
	for _, s := range got {
		all[fmt.Sprint(s.Metric)] = s.Value.value
	}
	return all, nil
}

const (
	hourSeries = 100
	hourStep   = 15 * time.Second
)

// sendHour writes the samples of some minutes of an hour to a collector.
func sendHour(t *testing.T, address string, begin time.Time, from, to time.Duration) (samples int) {
	t.Helper()
	field := func(b []byte, n protowire.Number, part []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), part)
	}
	label := func(name, value string) []byte { return field(field(nil, 1, []byte(name)), 2, []byte(value)) }
	for at := from; at < to; at += hourStep {
		var req []byte
		for n := range hourSeries {
			sample := protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), math.Float64bits(float64(n)*float64(at/hourStep)+1))
			sample = protowire.AppendVarint(protowire.AppendTag(sample, 2, protowire.VarintType), uint64(begin.Add(at).UnixMilli()))
			one := field(nil, 1, label("__name__", "hour"))
			one = field(one, 1, label("n", fmt.Sprint(n)))
			one = field(one, 1, label("pod", fmt.Sprintf("pod-%d", n%17)))
			req = field(req, 1, field(one, 2, sample))
			samples++
		}
		r, err := http.Post("http://"+address+"/api/v1/write", "application/x-protobuf", bytes.NewReader(snappy.Encode(nil, req)))
		if err != nil {
			t.Fatal(err)
		}
		said, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode/100 != 2 {
			t.Fatalf("%s: %s", r.Status, said)
		}
	}
	return samples
}

// An hour of samples is in a real receiver as it is in the store, although the receiver
// was down for a third of it and the collector was killed meanwhile. There are two
// collectors, of which the receiver, or who asks it, makes one.
func TestCollectorForwardsToRealReceivers(t *testing.T) {
	beside(t)
	outage := time.Second
	if d, err := time.ParseDuration(os.Getenv("WATCHPOST_OUTAGE")); err == nil {
		outage = d
	}
	type there struct {
		receiver     *process
		write, query string // host:port/path, host:port
		more         string // of the remote_write section
	}
	for name, start := range map[string]func(t *testing.T) there{
		// It makes one of what comes twice under the same name.
		"VictoriaMetrics": func(t *testing.T) there {
			path, web := installed(t, "WATCHPOST_VICTORIAMETRICS", "victoria-metrics"), freeAddress(t)
			p := &process{t: t, args: []string{path, "-httpListenAddr=" + web, "-storageDataPath=" + t.TempDir(), "-retentionPeriod=1y",
				"-dedup.minScrapeInterval=" + hourStep.String()}}
			p.start()
			return there{p, web + "/api/v1/write", web, ", write_relabel_configs: [{action: labeldrop, regex: replica}]"}
		},
		// Its queries leave the label out that tells the pair apart.
		"Thanos": func(t *testing.T) there {
			path := installed(t, "WATCHPOST_THANOS", "thanos")
			write, grpc, web := freeAddress(t), freeAddress(t), freeAddress(t)
			p := &process{t: t, args: []string{path, "receive", "--http-address=" + freeAddress(t), "--grpc-address=" + grpc, "--remote-write.address=" + write,
				"--receive.capnproto-address=" + freeAddress(t), "--tsdb.path=" + t.TempDir(), `--label=receiver="one"`}}
			p.start()
			q := &process{t: t, args: []string{path, "query", "--http-address=" + web, "--grpc-address=" + freeAddress(t), "--endpoint=" + grpc,
				"--query.replica-label=replica"}}
			q.start()
			return there{p, write + "/api/v1/receive", web, ""}
		},
	} {
		t.Run(name, func(t *testing.T) {
			at := start(t)
			file := filepath.Join(t.TempDir(), "prometheus.yml")
			if err := os.WriteFile(file, fmt.Appendf(nil, "remote_write: [{url: \"http://%s\", queue_config: {batch_send_deadline: 200ms}%s}]\n", at.write, at.more), 0o600); err != nil {
				t.Fatal(err)
			}
			pair := [2]*collector{}
			for i, replica := range []string{"a", "b"} {
				pair[i] = newCollector(t, "--web.enable-remote-write-receiver", "--storage.remote.flush-deadline=1s",
					"--external-label=cluster=test", "--external-label=replica="+replica, "--config.file="+file)
				pair[i].start()
			}
			c := pair[0]
			end := time.Now().Truncate(time.Second)
			begin := end.Add(-time.Hour)
			same := func(what string) {
				t.Helper()
				for _, expr := range []string{"sum by (n, pod) (count_over_time(hour[2h]))", "sum by (n, pod) (sum_over_time(hour[2h]))", "sum(sum_over_time(hour[2h]))"} {
					want, err := asked(c.web, expr, end)
					if err != nil || len(want) == 0 {
						t.Fatalf("%s: the collector: %d series, %v", expr, len(want), err)
					}
					c.until(what+" equal: "+expr, func() error {
						got, err := asked(at.query, expr, end)
						if err == nil && !maps.Equal(got, want) {
							err = fmt.Errorf("%d series, want %d; all together %g, want %g", len(got), len(want), total(got), total(want))
						}
						return err
					})
				}
			}
			samples := 0
			send := func(from, to time.Duration) {
				for _, c := range pair {
					samples += sendHour(t, c.web, begin, from, to)
				}
			}
			send(0, 20*time.Minute)
			same("the first third is")
			at.receiver.stop()
			send(20*time.Minute, 30*time.Minute)
			time.Sleep(outage)
			c.end(syscall.SIGKILL)
			c.start()
			send(30*time.Minute, 40*time.Minute)
			at.receiver.start()
			send(40*time.Minute, time.Hour)
			same("all is")
			m := c.metrics() + pair[1].metrics()
			for _, wrong := range []string{"prometheus_remote_storage_samples_failed_total", "watchpost_remote_write_log_gaps_total", "watchpost_remote_write_not_stored"} {
				for line := range strings.Lines(m) {
					if strings.HasPrefix(line, wrong+"{") && !strings.HasSuffix(line, " 0\n") {
						t.Error(line)
					}
				}
			}
			t.Logf("%d samples of 2 x %d series, the receiver down for %s", samples, hourSeries, outage)
		})
	}
}

func total(all map[string]float64) (sum float64) {
	for _, v := range all {
		sum += v
	}
	return sum
}
