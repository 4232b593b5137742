package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"watchpost/internal/run"
)

// reexec runs this program again in new network and mount namespaces, which the
// kernel takes away, with all that was made in them, when it and the programs it
// measures have ended.
func reexec(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append([]string{"--netns-inside"}, os.Args[1:]...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("in a network namespace of its own (as root?): %w", err)
	}
	return nil
}

// settleTime is for the interfaces to come up before anything is measured.
const settleTime = 3 * time.Second

// fillNamespace mounts a /sys that shows this network namespace, and makes the
// loopback interface and pairs of veth interfaces that are up.
func fillNamespace(ctx context.Context, pairs int) error {
	if err := syscall.Mount("", "/", "", syscall.MS_PRIVATE|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := syscall.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return fmt.Errorf("mounting /sys: %w", err)
	}
	var batch strings.Builder
	batch.WriteString("link set lo up\n")
	for i := range pairs {
		fmt.Fprintf(&batch, "link add veth%d type veth peer name peer%d\nlink set veth%d up\nlink set peer%d up\n", i, i, i, i)
	}
	ip := exec.CommandContext(ctx, "ip", "-batch", "-")
	ip.Stdin = strings.NewReader(batch.String())
	if out, err := ip.CombinedOutput(); err != nil {
		return fmt.Errorf("ip -batch: %w: %.300s", err, out)
	}
	return run.Sleep(ctx, settleTime)
}
