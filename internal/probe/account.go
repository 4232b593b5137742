package probe

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
)

// maxAccount bounds the log of one probe, in bytes: a raw ICMP socket hears, and
// tells of, every reply to anybody on the host.
const maxAccount = 256 << 10

// account is a log handler that passes what a probe says on to the program's
// log, at the level debug whatever its own (a target that is down is no fault of
// the program), and keeps it as text where somebody waits for that.
type account struct {
	program slog.Handler
	own     slog.Handler // nil: nobody waits
	kept    *bounded
}

func newAccount(program slog.Handler, keep bool) account {
	a := account{program: program}
	if keep {
		a.kept = &bounded{}
		a.own = slog.NewTextHandler(a.kept, &slog.HandlerOptions{Level: slog.LevelDebug})
	}
	return a
}

func (a account) text() []byte {
	if a.kept == nil {
		return nil
	}
	return a.kept.bytes()
}

// Enabled implements slog.Handler.
func (a account) Enabled(ctx context.Context, _ slog.Level) bool {
	return a.own != nil || a.program.Enabled(ctx, slog.LevelDebug)
}

// Handle implements slog.Handler.
func (a account) Handle(ctx context.Context, r slog.Record) error {
	if a.own != nil {
		if err := a.own.Handle(ctx, r.Clone()); err != nil {
			return err
		}
	}
	if !a.program.Enabled(ctx, slog.LevelDebug) {
		return nil
	}
	r.Level = slog.LevelDebug
	return a.program.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (a account) WithAttrs(attrs []slog.Attr) slog.Handler {
	return a.with(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (a account) WithGroup(name string) slog.Handler {
	return a.with(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (a account) with(change func(slog.Handler) slog.Handler) slog.Handler {
	a.program = change(a.program)
	if a.own != nil {
		a.own = change(a.own)
	}
	return a
}

// bounded keeps the first maxAccount bytes written to it, in whole writes.
type bounded struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	full bool
}

// Write implements io.Writer; it never fails.
func (b *bounded) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.full:
	case b.buf.Len()+len(p) > maxAccount:
		b.full = true
		b.buf.WriteString("(and more, which is not kept)\n")
	default:
		b.buf.Write(p)
	}
	return len(p), nil
}

func (b *bounded) bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.buf.Bytes())
}
