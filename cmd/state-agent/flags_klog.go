package main

import (
	"log/slog"
	"strconv"
	"strings"

	"watchpost/cmd/internal/cli"
)

// klogFlags are the flags of Kubernetes' own log library (k8s.io/klog/v2), which
// kube-state-metrics has. They are taken, so that a command line need not be
// changed; of what they say only the verbosity and the folder count here.
type klogFlags struct {
	app       *cli.App
	verbosity int
	dir       string
}

// debugVerbosity is the verbosity from which on details are logged.
const debugVerbosity = 4

// klogIdle are those without effect, with their defaults; a switch has true or false.
var klogIdle = []struct{ name, value string }{
	{"add_dir_header", "false"},
	{"alsologtostderr", "false"},
	{"alsologtostderrthreshold", ""},
	{"legacy_stderr_threshold_behavior", "true"},
	{"log_backtrace_at", ":0"},
	{"log_file", ""},
	{"log_file_max_size", "1800"},
	{"logtostderr", "true"},
	{"one_output", "false"},
	{"skip_headers", "false"},
	{"skip_log_headers", "false"},
	{"stderrthreshold", "2"},
	{"vmodule", ""},
}

func (k *klogFlags) declare(app *cli.App) {
	k.app = app
	app.Flag("v", "Verbosity of the log: from 4 on the same as --log.level=debug.").Short('v').Default("0").IntVar(&k.verbosity)
	app.Flag("log_dir", "The same as --log.path.").PlaceHolder("DIR").StringVar(&k.dir)
	for _, idle := range klogIdle {
		flag := app.Flag(idle.name, "Has no effect: see --log.level, --log.format and --log.path.").Hidden().Default(idle.value)
		if _, err := strconv.ParseBool(idle.value); err == nil {
			flag.Bool()
		} else {
			flag.String()
		}
	}
}

// apply makes the flags that count say what these say, before the logger is made.
func (k *klogFlags) apply() error {
	if k.verbosity >= debugVerbosity && !k.app.Given("log.level") {
		if err := k.app.GetFlag("log.level").Model().Value.Set("debug"); err != nil {
			return err
		}
	}
	if k.dir != "" && !k.app.Given("log.path") {
		return k.app.GetFlag("log.path").Model().Value.Set(k.dir)
	}
	return nil
}

// warn tells, in one line, which flags have no effect here.
func (k *klogFlags) warn(log *slog.Logger) {
	var without []string
	for _, idle := range klogIdle {
		// What is the default anyway, or says that logs go where they go, is no loss.
		if k.app.Given(idle.name) && idle.name != "logtostderr" {
			without = append(without, "--"+idle.name)
		}
	}
	if len(without) > 0 {
		log.Warn("Flags without effect: logs go to stderr, and to a folder with --log.path", "flags", strings.Join(without, " "))
	}
}
