package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // its own metrics, as in kube-apiserver
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

// advertised is the address that an API server on loopback names as its own in the
// endpoints of the service "kubernetes": one of those reserved for documentation (RFC
// 5737), so that objects are the same on every machine. A flag of the caller overrides
// it.
const advertised = "192.0.2.1"

// How long the API server may take to be ready, and how often it is asked.
const (
	readyTimeout  = 2 * time.Minute
	readyInterval = 50 * time.Millisecond
)

// startAPIServer runs kube-apiserver; the channel tells why it ended.
func startAPIServer(o options, k keys) <-chan error {
	named := advertised
	if !o.address.IsLoopback() {
		named = o.address.String()
	}
	args := []string{
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", o.etcdPort),
		"--bind-address=" + o.address.String(),
		fmt.Sprintf("--secure-port=%d", o.securePort),
		"--advertise-address=" + named,
		"--cert-dir=" + o.dir,
		"--tls-cert-file=" + k.serverCert,
		"--tls-private-key-file=" + k.serverKey,
		"--client-ca-file=" + k.ca,
		"--token-auth-file=" + k.tokens,
		"--authorization-mode=Node,RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + k.serviceAccount,
		"--service-account-signing-key-file=" + k.serviceAccount,
		"--service-cluster-ip-range=" + o.services.String(),
		"--allow-privileged=true",
		"--kubelet-client-certificate=" + k.kubeletCert,
		"--kubelet-client-key=" + k.kubeletKey,
		"--kubelet-certificate-authority=" + k.ca,
		"--kubelet-preferred-address-types=InternalIP",
	}
	if o.bulk {
		args = append(args, "--disable-admission-plugins=ServiceAccount",
			"--max-requests-inflight=3000", "--max-mutating-requests-inflight=1000")
	}
	command := app.NewAPIServerCommand()
	command.SetArgs(append(args, o.apiserver...)) // of a flag given twice the last counts
	ended := make(chan error, 1)
	go func() {
		err := command.Execute()
		if err == nil {
			err = errors.New("it was told to")
		}
		ended <- err
	}()
	return ended
}

// waitReady returns when the API server says that it is ready and has made the
// namespace "default", which it does a moment later.
func waitReady(ctx context.Context, kubeconfig string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1 // asked often, on purpose
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	for {
		err := client.CoreV1().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
		if err == nil {
			_, err = client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceDefault, metav1.GetOptions{})
		}
		if err == nil {
			return nil
		}
		if apierrors.IsUnauthorized(err) {
			return fmt.Errorf("kube-apiserver refuses %s: %w", kubeconfig, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("kube-apiserver is not ready after %s: %w", readyTimeout, err)
		case <-time.After(readyInterval):
		}
	}
}
