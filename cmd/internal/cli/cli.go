// Package cli holds what the command lines of all programs have in common: the
// flags for logs and for the web server, and how a program ends.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/common/version"
	"gopkg.in/natefinch/lumberjack.v2"

	"watchpost/internal/serve"
)

// App is a program's command line.
type App struct {
	*kingpin.Application

	logLevel, logFormat, logPath *string
	level                        *promslog.Level // of the logger that was made

	addresses     *[]string
	systemdSocket *bool
	webConfig     *string
	pprof         *bool
	processors    *int

	given map[string]bool // flags on the command line
	file  configFile
}

// New makes the command line of a program, with the flags that all have. Every
// flag can also be given by the environment: NODE_AGENT_LOG_LEVEL for node-agent's
// --log.level.
func New(program, about, address string) *App {
	a := &App{Application: kingpin.New(program, about)}
	a.DefaultEnvars()
	a.HelpFlag.Short('h')
	a.UsageWriter(os.Stdout)
	a.Version(version.Print(program))
	a.logLevel = a.Flag("log.level", "The least severe messages that are logged.").Default("info").Enum(promslog.LevelFlagOptions...)
	a.logFormat = a.Flag("log.format", "How messages are logged.").Default("logfmt").Enum(promslog.FormatFlagOptions...)
	a.logPath = a.Flag("log.path", "Folder for log files as well, rotated at 100 MB, five kept. They go to stderr in any case.").PlaceHolder("DIR").String()
	a.addresses = a.Flag("web.listen-address", "Where to listen: host:port, unix:/path/to/socket or vsock://:port. Repeatable.").Default(address).Strings()
	a.systemdSocket = a.Flag("web.systemd-socket", "Listen on the sockets that systemd passes, instead of addresses.").Bool()
	a.webConfig = a.Flag("web.config.file", "File with TLS and authentication settings, in the format of the Prometheus exporter toolkit.").PlaceHolder("FILE").String()
	a.pprof = a.Flag("web.enable-pprof", "Serve profiles of this program under /debug/pprof/.").Bool()
	return a
}

// FlagProcessors declares the flag of LimitProcessors.
func (a *App) FlagProcessors() {
	a.processors = a.Flag("runtime.gomaxprocs", "How many processors to use at the same time.").Envar("GOMAXPROCS").Default("1").Int()
}

// LimitProcessors sets how many processors the program uses at the same time. It is for
// those whose scrapes are so short that threads which look for work cost more than they do.
func (a *App) LimitProcessors() { runtime.GOMAXPROCS(*a.processors) }

// UsageError is a mistake in flags or configuration: nothing was started.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// Usage marks err as a mistake in flags or configuration. No error stays none.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return &UsageError{err}
}

// Parse reads the command line, and the configuration file if there is one, and
// returns the command that was chosen. To be called once.
func (a *App) Parse(args []string) (command string, err error) {
	a.given = make(map[string]bool)
	var inFile error
	if parsed, err := a.ParseContext(args); err == nil {
		for _, e := range parsed.Elements {
			if f, ok := e.Clause.(*kingpin.FlagClause); ok {
				a.given[f.Model().Name] = true
			}
		}
		inFile = a.readConfigFile(parsed)
	}
	command, err = a.Application.Parse(args) // ends the program for --help and --version
	if err != nil {
		return "", Usage(fmt.Errorf("%w; see --help", err))
	}
	if inFile == nil && a.processors != nil && *a.processors < 1 {
		return "", Usage(fmt.Errorf("--runtime.gomaxprocs %d must be at least 1", *a.processors))
	}
	return command, Usage(inFile)
}

// Given tells whether the user set a flag, on the command line, by the environment
// or in the configuration file, rather than left it at its default.
func (a *App) Given(flag string) bool {
	return a.overrides(flag) || a.file.sets(flag)
}

// overrides tells whether a flag is set by what comes before the file.
func (a *App) overrides(flag string) bool {
	if a.given[flag] {
		return true
	}
	f := a.GetFlag(flag)
	return f != nil && os.Getenv(f.Model().Envar) != ""
}

// Logger makes the program's logger from the flags.
func (a *App) Logger() (*slog.Logger, error) {
	cfg := &promslog.Config{Level: promslog.NewLevel(), Format: promslog.NewFormat(), Writer: os.Stderr}
	a.level = cfg.Level
	if err := cfg.Level.Set(*a.logLevel); err != nil {
		return nil, Usage(err)
	}
	if err := cfg.Format.Set(*a.logFormat); err != nil {
		return nil, Usage(err)
	}
	if *a.logPath != "" {
		if err := os.MkdirAll(*a.logPath, 0o750); err != nil {
			return nil, Usage(fmt.Errorf("--log.path: %w", err))
		}
		cfg.Writer = io.MultiWriter(os.Stderr, &lumberjack.Logger{
			Filename: filepath.Join(*a.logPath, a.Name+".log"), MaxSize: 100, MaxBackups: 5,
		})
	}
	return promslog.New(cfg), nil
}

// SetLevel changes the level of the logger; "" is back to that of the flags.
func (a *App) SetLevel(level string) error {
	if level == "" {
		level = *a.logLevel
	}
	return a.level.Set(level)
}

// Server is the configuration of the program's web server, from the flags.
func (a *App) Server(log *slog.Logger) serve.Config {
	return serve.Config{
		Program: a.Name, Version: version.Version,
		Addresses: *a.addresses, SystemdSocket: *a.systemdSocket,
		WebConfigFile: *a.webConfig, Pprof: *a.pprof, Log: log,
	}
}

// Main runs a program until it is done, or told to end by SIGINT or SIGTERM, and
// exits: with 2 after a UsageError, with 1 after another error, which it prints
// in one line.
func Main(program string, main func(ctx context.Context, args []string) error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := main(ctx, os.Args[1:])
	stop()
	if err == nil {
		return
	}
	fmt.Fprintf(os.Stderr, "%s: %s\n", program, strings.ReplaceAll(err.Error(), "\n", "; "))
	if bad := new(UsageError); errors.As(err, &bad) {
		os.Exit(2)
	}
	os.Exit(1)
}
