package kube

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

// podCut is what is not read of pods without further options.
func podCut(t testing.TB) *cut {
	t.Helper()
	fields := []string{everywhere}
	for _, u := range pods.unread {
		fields = append(fields, u.fields)
	}
	c, err := newCut(reflect.TypeFor[core.Pod](), fields)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What is cut out of objects before they are decoded changes nothing of what is
// rendered: objects with something in every field say the same with and without it.
func TestUnread(t *testing.T) {
	every := map[string][]string{"*": {"*"}}
	scheme, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	client := &Client{scheme: scheme}
	for _, r := range resources {
		if r.fetch != fetchWhole {
			continue
		}
		for name, options := range map[string]Options{
			"default":    {},
			"everything": {Labels: every, Annotations: every, PodLabels: []string{"*"}, Sidecars: true, Keep: func(string, bool) bool { return true }},
		} {
			n := newRenderer(r, options)
			made, err := newDecoder(client, r, r.fetch, n.chosen, nil)
			if err != nil {
				t.Fatal(err)
			}
			d := made.(*protobufDecoder)
			for number := range int64(8) {
				fill := filler{texts: []string{"a", "Ready", "True", "cpu", "web-1", "nvidia.com/gpu"}, n: 300 + number, given: int(number)}
				o := newFilled(t, scheme, r, &fill)
				o.SetManagedFields([]v1.ManagedFieldsEntry{{Manager: "m"}})
				raw, err := o.(interface{ Marshal() ([]byte, error) }).Marshal()
				if err != nil {
					t.Fatal(err)
				}
				whole := d.new()
				if err := whole.Unmarshal(raw); err != nil {
					t.Fatal(err)
				}
				e, err := d.decode(raw, false)
				if err != nil {
					t.Fatal(err)
				}
				if e.object.GetManagedFields() != nil {
					t.Errorf("%s: managed fields were decoded", r.name)
				}
				var want, got rendering
				n.render(whole, &want)
				n.render(e.object, &got)
				for i, f := range n.chosen {
					if !bytes.Equal(got.of(i), want.of(i)) {
						t.Errorf("%s with %s: the decoded part of the object says\n%s, the whole\n%s", f.Name(), name, got.of(i), want.of(i))
					}
				}
				if len(want.text) == 0 {
					t.Errorf("%s says nothing", r.name)
				}
			}
		}
	}
}

func TestCut(t *testing.T) {
	p := &core.Pod{ObjectMeta: v1.ObjectMeta{Name: "p", ManagedFields: []v1.ManagedFieldsEntry{{Manager: "m"}}}}
	p.Spec.NodeName = "n"
	for _, name := range []string{"a", "b"} {
		p.Spec.Containers = append(p.Spec.Containers, core.Container{Name: name, Args: []string{"x", "y"}, Env: []core.EnvVar{{Name: "e"}}, Image: "i"})
	}
	p.Spec.Volumes = []core.Volume{{Name: "v", VolumeSource: core.VolumeSource{EmptyDir: &core.EmptyDirVolumeSource{}}}}
	raw, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCut(reflect.TypeOf(p), []string{everywhere, "spec.containers.{args,env}", "spec.volumes.volumeSource.{emptyDir,secret}"})
	if err != nil {
		t.Fatal(err)
	}
	lean, err := c.append([]byte("before"), raw)
	if err != nil {
		t.Fatal(err)
	}
	var got core.Pod
	if err := got.Unmarshal(lean[len("before"):]); err != nil {
		t.Fatal(err)
	}
	want := p.DeepCopy()
	want.ManagedFields, want.Spec.Volumes[0].EmptyDir = nil, nil
	for i := range want.Spec.Containers {
		want.Spec.Containers[i].Args, want.Spec.Containers[i].Env = nil, nil
	}
	if !reflect.DeepEqual(&got, want) {
		t.Errorf("got %v\nwant %v", &got, want)
	}
	for _, bad := range []string{"spec.containers.argv", "spec.nodeName.x", "x"} {
		if _, err := newCut(reflect.TypeOf(p), []string{bad}); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	for n := range raw { // a message that ends too early is an error or another message, never a panic
		c.append(nil, raw[:n])
	}
}
