package testkube

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/util/retry"
)

// deletions is the file that names what is deleted after everything was created.
const deletions = "delete.txt"

// Load puts a folder of objects into the cluster.
//
//  1. Each object of each *.yaml file is created, in the order of the file names and
//     in that of the documents within. A field that the API server does not know is
//     an error.
//  2. Each status is written to the status subresource: fields that are not in the
//     file keep what the API server has put there. Approved and Denied certificate
//     requests are approved or denied before.
//  3. What delete.txt lists, one "KIND NAME [NAMESPACE]" a line, is deleted; a
//     finalizer or a grace period keeps it, with its deletion timestamp. Empty lines
//     and those that begin with # are not read.
//
// The first that is refused ends it, and the test.
func (c *Cluster) Load(t testing.TB, folder fs.FS) {
	t.Helper()
	if err := c.LoadFS(t.Context(), folder); err != nil {
		t.Fatal(err)
	}
}

// LoadFS is Load for programs.
func (c *Cluster) LoadFS(ctx context.Context, folder fs.FS) error {
	l, err := newLoader(c)
	if err != nil {
		return err
	}
	objects, err := ReadObjects(folder)
	if err != nil {
		return err
	}
	for _, o := range objects {
		if err := l.create(ctx, o.Unstructured); err != nil {
			return fmt.Errorf("%s: %w", o, err)
		}
	}
	for _, o := range objects {
		if err := l.writeStatus(ctx, o.Unstructured); err != nil {
			return fmt.Errorf("%s: status: %w", o, err)
		}
	}
	return l.deleteListed(ctx, folder)
}

// Apply writes objects as kubectl apply --server-side does, those that are there already,
// too; what others have set there gives way. It is done when all are, in their order.
func (c *Cluster) Apply(ctx context.Context, objects []Object) error {
	l, err := newLoader(c)
	if err != nil {
		return err
	}
	for _, o := range objects {
		r, err := l.resource(o.Unstructured)
		if err == nil {
			_, err = r.Apply(ctx, o.GetName(), o.Unstructured, metav1.ApplyOptions{FieldManager: "testkube", Force: true})
		}
		if err != nil {
			return fmt.Errorf("%s: %w", o, err)
		}
	}
	return nil
}

// Object is one of a file.
type Object struct {
	*unstructured.Unstructured
	File string
}

// String names the object for an error.
func (o Object) String() string {
	return fmt.Sprintf("%s: %s %s", o.File, o.GetKind(), strings.TrimPrefix(o.GetNamespace()+"/"+o.GetName(), "/"))
}

// ReadObjects are the objects of the *.yaml files of a folder, in the order of the
// file names and in that of the documents within.
func ReadObjects(folder fs.FS) ([]Object, error) {
	files, err := fs.Glob(folder, "*.yaml") // sorted
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("the folder has no *.yaml file")
	}
	var objects []Object
	for _, file := range files {
		b, err := fs.ReadFile(folder, file)
		if err != nil {
			return nil, err
		}
		documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(b)))
		for n := 1; ; n++ {
			document, err := documents.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("%s: document %d: %w", file, n, err)
			}
			o := &unstructured.Unstructured{}
			if err := yaml.UnmarshalStrict(document, &o.Object); err != nil {
				return nil, fmt.Errorf("%s: document %d: %w", file, n, err)
			}
			if len(o.Object) == 0 {
				continue // comments only
			}
			if o.GetAPIVersion() == "" || o.GetKind() == "" {
				return nil, fmt.Errorf("%s: document %d has no apiVersion or no kind", file, n)
			}
			objects = append(objects, Object{o, file})
		}
	}
	return objects, nil
}

// loader writes objects of any kind.
type loader struct {
	client dynamic.Interface
	mapper meta.ResettableRESTMapper
}

func newLoader(c *Cluster) (*loader, error) {
	client, err := dynamic.NewForConfig(c.Config())
	if err != nil {
		return nil, err
	}
	return &loader{client, restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.client.Discovery()))}, nil
}

// resource is where the objects of o's kind in o's namespace are.
func (l *loader) resource(o *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	kind := o.GroupVersionKind()
	m, err := l.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) { // its definition may have been loaded a moment ago
		l.mapper.Reset()
		m, err = l.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	}
	if err != nil {
		return nil, err
	}
	return l.scoped(m, o.GetNamespace()), nil
}

// scoped is where the objects of a kind in a namespace are, "" being the default one.
func (l *loader) scoped(m *meta.RESTMapping, namespace string) dynamic.ResourceInterface {
	if m.Scope.Name() == meta.RESTScopeNameRoot {
		return l.client.Resource(m.Resource)
	}
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return l.client.Resource(m.Resource).Namespace(namespace)
}

func (l *loader) create(ctx context.Context, o *unstructured.Unstructured) error {
	r, err := l.resource(o)
	if err != nil {
		return err
	}
	_, err = r.Create(ctx, o, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	return err
}

// writeStatus sets the fields of the status that o has in the stored object.
func (l *loader) writeStatus(ctx context.Context, o *unstructured.Unstructured) error {
	given, found, err := unstructured.NestedMap(o.Object, "status")
	if err != nil || !found || len(given) == 0 {
		return err
	}
	r, err := l.resource(o)
	if err != nil {
		return err
	}
	if o.GroupVersionKind().GroupKind() == (schema.GroupKind{Group: "certificates.k8s.io", Kind: "CertificateSigningRequest"}) && decided(given) {
		if err := update(ctx, r, o.GetName(), given, "approval"); err != nil {
			return err
		}
	}
	return update(ctx, r, o.GetName(), given, "status")
}

// update sets fields of the status of the object called name by a subresource. A
// conflict with another writer, such as the API server's own, is tried again.
func update(ctx context.Context, r dynamic.ResourceInterface, name string, status map[string]any, subresource string) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		stored, err := r.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		all, _, err := unstructured.NestedMap(stored.Object, "status")
		if err != nil {
			return err
		}
		if all == nil {
			all = map[string]any{}
		}
		maps.Copy(all, status)
		stored.Object["status"] = all
		_, err = r.Update(ctx, stored, metav1.UpdateOptions{FieldValidation: metav1.FieldValidationStrict}, subresource)
		return err
	})
}

// decided tells whether the status of a certificate request approves or denies it.
func decided(status map[string]any) bool {
	conditions, _, _ := unstructured.NestedSlice(status, "conditions") // another type is for the API server to refuse
	return slices.ContainsFunc(conditions, func(c any) bool {
		m, _ := c.(map[string]any)
		return m["type"] == "Approved" || m["type"] == "Denied"
	})
}

// deleteListed deletes what delete.txt of the folder lists, if there is one.
func (l *loader) deleteListed(ctx context.Context, folder fs.FS) error {
	b, err := fs.ReadFile(folder, deletions)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := l.delete(ctx, strings.Fields(line)); err != nil {
			return fmt.Errorf("%s: %q: %w", deletions, line, err)
		}
	}
	return nil
}

// delete deletes the object of the words KIND NAME [NAMESPACE], and finds it
// afterwards: what is gone at once was listed by mistake.
func (l *loader) delete(ctx context.Context, words []string) error {
	if len(words) < 2 || len(words) > 3 {
		return errors.New("want KIND NAME [NAMESPACE]")
	}
	kind, err := l.mapper.KindFor(schema.GroupVersionResource{Resource: words[0]})
	if err != nil {
		return err
	}
	m, err := l.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}
	name, namespace := words[1], strings.Join(words[2:], "")
	r := l.scoped(m, namespace)
	background := metav1.DeletePropagationBackground
	if err := r.Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
		return err
	}
	if _, err := r.Get(ctx, name, metav1.GetOptions{}); apierrors.IsNotFound(err) {
		return errors.New("gone at once: without a finalizer or a grace period there is nothing to see")
	} else if err != nil {
		return err
	}
	return nil
}
