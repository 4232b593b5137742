package main

// Programs in the surroundings of a pod.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchpost/internal/testkube"
)

// pod starts programs as the kubelet starts those of a pod: with the credentials of a
// service account where they are always, and the API server's address in the environment.
type pod struct {
	account string   // folder with the token and the certificate of the API server
	env     []string // where the API server is
}

// account is the name of the service account, which may do everything.
const account = "collector"

func newPod(ctx context.Context, c *testkube.Cluster, dir string) (p pod, err error) {
	accounts := c.Client().CoreV1().ServiceAccounts(meta.NamespaceDefault)
	there := func(err error) error {
		if apierrors.IsAlreadyExists(err) { // of an earlier run on the same folder
			return nil
		}
		return err
	}
	_, err = accounts.Create(ctx, &core.ServiceAccount{ObjectMeta: meta.ObjectMeta{Name: account}}, meta.CreateOptions{})
	if there(err) != nil {
		return p, err
	}
	_, err = c.Client().RbacV1().ClusterRoleBindings().Create(ctx, &rbac.ClusterRoleBinding{
		ObjectMeta: meta.ObjectMeta{Name: account}, RoleRef: rbac.RoleRef{Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbac.Subject{{Kind: rbac.ServiceAccountKind, Name: account, Namespace: meta.NamespaceDefault}},
	}, meta.CreateOptions{})
	if there(err) != nil {
		return p, err
	}
	token, err := accounts.CreateToken(ctx, account, &authentication.TokenRequest{}, meta.CreateOptions{})
	if err != nil {
		return p, err
	}
	ca, err := os.ReadFile(filepath.Join(filepath.Dir(c.Kubeconfig()), "ca.crt"))
	if err != nil {
		return p, err
	}
	server, err := url.Parse(c.Server())
	if err != nil {
		return p, err
	}
	p = pod{account: filepath.Join(dir, "account"), env: []string{"KUBERNETES_SERVICE_HOST=" + server.Hostname(), "KUBERNETES_SERVICE_PORT=" + server.Port()}}
	if err := os.Mkdir(p.account, 0o755); err != nil {
		return p, err
	}
	for file, content := range map[string][]byte{"token": []byte(token.Status.Token), "ca.crt": ca, "namespace": []byte(meta.NamespaceDefault)} {
		if err := os.WriteFile(filepath.Join(p.account, file), content, 0o600); err != nil {
			return p, err
		}
	}
	return p, nil
}

// unshare is the program that gives others mounts of their own.
const unshare = "unshare"

// args are what unshare is started with, to run a program with /run, and so /var/run, of
// its own. It has unshare's process id.
func (p pod) args(program string, args ...string) []string {
	const enter = `mount -t tmpfs none /run && mkdir -p /var/run/secrets/kubernetes.io && cp -r "$0" /var/run/secrets/kubernetes.io/serviceaccount && exec env "$@"`
	all := []string{"--mount"}
	if os.Geteuid() != 0 {
		all = append(all, "--map-root-user")
	}
	all = append(append(all, "/bin/sh", "-c", enter, p.account), p.env...)
	return append(append(all, program), args...)
}

// dropAll is the rule that leaves no target.
const dropAll = "      - {action: drop, regex: \".*\"}\n"

// configuration writes what ours runs without being told, with a rule at the end of each
// job that drops what all others have let through.
func (p pod) configuration(ours, dir string) (file string, err error) {
	cmd := exec.Command(unshare, p.args(ours, "config")...)
	text, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return "", fmt.Errorf("%s config, as a pod: %w", ours, err)
	}
	var b strings.Builder
	for job := range strings.SplitAfterSeq(string(bytes.TrimSpace(text))+"\n", "\n\n") {
		empty := strings.HasSuffix(job, "\n\n")
		b.WriteString(strings.TrimSuffix(job, "\n"))
		if !empty {
			b.WriteByte('\n')
		}
		if strings.Contains(job, "relabel_configs:") {
			b.WriteString(dropAll)
		}
		if empty {
			b.WriteByte('\n')
		}
	}
	file = filepath.Join(dir, "prometheus.yml")
	return file, os.WriteFile(file, []byte(b.String()), 0o644)
}
