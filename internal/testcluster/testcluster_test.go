package testcluster

import (
	"archive/tar"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"

	"golang.org/x/net/dns/dnsmessage"
)

// newDNS knows a service with an address, one without, and the endpoints of the latter.
func newDNS(t *testing.T) *dnsServer {
	t.Helper()
	services := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	slices := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	yes, no, host := true, false, "web-0"
	for _, s := range []*corev1.Service{
		{ObjectMeta: metav1.ObjectMeta{Name: "redis", Namespace: "shop"}, Spec: corev1.ServiceSpec{ClusterIP: "198.19.0.7"}},
		{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop"}, Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone}},
	} {
		if err := services.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	err := slices.Add(&discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Name: "web-x", Namespace: "shop", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		Endpoints: []discoveryv1.Endpoint{
			{Addresses: []string{"198.18.1.4"}, Hostname: &host, Conditions: discoveryv1.EndpointConditions{Ready: &yes}},
			{Addresses: []string{"198.18.1.5"}},
			{Addresses: []string{"198.18.1.6"}, Conditions: discoveryv1.EndpointConditions{Ready: &no}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &dnsServer{services: corelisters.NewServiceLister(services), slices: discoverylisters.NewEndpointSliceLister(slices)}
}

func TestDNS(t *testing.T) {
	d := newDNS(t)
	for _, test := range []struct {
		name  string
		code  dnsmessage.RCode
		wants []string
	}{
		{"redis.shop.svc.cluster.local.", dnsmessage.RCodeSuccess, []string{"198.19.0.7"}},
		{"REDIS.shop.svc.cluster.local.", dnsmessage.RCodeSuccess, []string{"198.19.0.7"}},
		{"web.shop.svc.cluster.local.", dnsmessage.RCodeSuccess, []string{"198.18.1.4", "198.18.1.5"}},
		{"web-0.web.shop.svc.cluster.local.", dnsmessage.RCodeSuccess, []string{"198.18.1.4"}},
		{"web-1.web.shop.svc.cluster.local.", dnsmessage.RCodeNameError, nil},
		{"redis.elsewhere.svc.cluster.local.", dnsmessage.RCodeNameError, nil},
		{"example.com.", dnsmessage.RCodeNameError, nil},
		{"svc.cluster.local.", dnsmessage.RCodeNameError, nil},
	} {
		for _, kind := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA} {
			question := dnsmessage.Message{Header: dnsmessage.Header{ID: 7}, Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(test.name), Type: kind, Class: dnsmessage.ClassINET}}}
			b, err := question.Pack()
			if err != nil {
				t.Fatal(err)
			}
			var answer dnsmessage.Message
			if err := answer.Unpack(d.answer(b)); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, a := range answer.Answers {
				got = append(got, netip.AddrFrom4(a.Body.(*dnsmessage.AResource).A).String())
			}
			wants := test.wants
			if kind != dnsmessage.TypeA {
				wants = nil // there are none, which is no error
			}
			if answer.ID != 7 || answer.RCode != test.code || !slices.Equal(got, wants) {
				t.Errorf("%s %s: %s %v, want %s %v", kind, test.name, answer.RCode, got, test.code, wants)
			}
		}
	}
	if got := d.answer([]byte("not a question")); got != nil {
		t.Errorf("nonsense was answered: %q", got)
	}
}

func FuzzDNS(f *testing.F) {
	question := dnsmessage.Message{Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName("a.b.svc.cluster.local."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
	b, err := question.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{})
	empty := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	d := &dnsServer{services: corelisters.NewServiceLister(empty), slices: discoverylisters.NewEndpointSliceLister(empty)}
	f.Fuzz(func(t *testing.T, b []byte) {
		answer := d.answer(b)
		var m dnsmessage.Message
		if answer != nil && m.Unpack(answer) != nil {
			t.Errorf("the answer to %q cannot be read: %q", b, answer)
		}
	})
}

// contents are the files of a tar, with "" for folders.
func contents(t *testing.T, r io.Reader) map[string]string {
	t.Helper()
	found := map[string]string{}
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		found[h.Name] = string(b)
	}
}

func TestImage(t *testing.T) {
	dir := t.TempDir()
	program, archive := filepath.Join(dir, "program"), filepath.Join(dir, "image.tar")
	if err := os.WriteFile(program, []byte("does something"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := (Image{Name: "registry.example/a:1", Files: map[string]string{"/usr/bin/a": program}, Entrypoint: []string{"/usr/bin/a"}}).Write(archive); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	parts := contents(t, file)
	if !strings.Contains(parts["manifest.json"], `"RepoTags":["registry.example/a:1"]`) || !strings.Contains(parts["config.json"], `"Entrypoint":["/usr/bin/a"]`) {
		t.Errorf("manifest %s, config %s", parts["manifest.json"], parts["config.json"])
	}
	layer := contents(t, strings.NewReader(parts["layer.tar"]))
	if _, folder := layer["usr/bin/"]; len(layer) != 3 || !folder || layer["usr/bin/a"] != "does something" {
		t.Errorf("the layer has %q", layer)
	}
	err = (Image{Name: "a:1", Files: map[string]string{"/a": filepath.Join(dir, "missing")}}).Write(archive)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an image of a file that is not there: %v", err)
	}
}
