package kube

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

// rendered are the sample lines of an object, family by family.
func rendered(r *resource, o Options, object v1.Object) string {
	var out rendering
	newRenderer(r, o).render(object, &out)
	return string(out.text)
}

// checkRendered compares the lines of an object with those that are wanted; the
// families named, and only they, are rendered. Without names all are.
func checkRendered(t *testing.T, r *resource, o Options, object v1.Object, want string, families ...string) {
	t.Helper()
	if len(families) > 0 {
		o.Keep = func(name string, _ bool) bool {
			for _, f := range families {
				if f == name {
					return true
				}
			}
			return false
		}
	}
	want = strings.ReplaceAll(strings.TrimLeft(want, "\n"), "\t", "")
	if got := rendered(r, o, object); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestConfigMaps(t *testing.T) {
	cm := &v1.PartialObjectMetadata{ObjectMeta: v1.ObjectMeta{
		Namespace: "tickets", Name: "prices", ResourceVersion: "77", CreationTimestamp: v1.Unix(1500000000, 0),
		Labels: map[string]string{"app": "desk"}, Annotations: map[string]string{"team/mail": `"a"`},
	}}
	checkRendered(t, &configMaps, Options{}, cm, `
		kube_configmap_info{namespace="tickets",configmap="prices"} 1
		kube_configmap_created{namespace="tickets",configmap="prices"} 1500000000
		kube_configmap_metadata_resource_version{namespace="tickets",configmap="prices"} 77
	`)
	checkRendered(t, &configMaps, Options{Labels: map[string][]string{"*": {"*"}}, Annotations: map[string][]string{"configmaps": {"team/*"}}}, cm, `
		kube_configmap_annotations{namespace="tickets",configmap="prices",annotation_team_mail="\"a\""} 1
		kube_configmap_labels{namespace="tickets",configmap="prices",label_app="desk"} 1
	`, "kube_configmap_labels", "kube_configmap_annotations")
}
