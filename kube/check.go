package kube

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	authorization "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Report tells whether a resource can be read, for people.
type Report struct {
	Resource  string
	Group     string   // of the API; "" is the core
	Namespace string   // "" is all of them, or that the resource is in none
	Missing   []string // verbs that are not allowed
	Absent    bool     // the API server does not know the resource
	Objects   int64    // how many there are
	Counted   bool     // whether Objects is their number; else it is at least that
	Err       error    // the API server could not be asked, or refused
}

// Check asks for each resource of the cluster whether it may be listed and watched,
// and how many objects it has.
func (c *Cluster) Check(ctx context.Context) []Report {
	var reports []Report
	for _, w := range c.watchers() {
		reports = append(reports, w.check(ctx))
	}
	return reports
}

// check asks about one resource.
func (w *watcher) check(ctx context.Context) Report {
	r := Report{Resource: w.resource.name, Group: w.resource.version.Group, Namespace: w.namespace}
	for _, verb := range []string{"list", "watch"} {
		review := authorization.SelfSubjectAccessReview{Spec: authorization.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorization.ResourceAttributes{
				Namespace: w.namespace, Verb: verb,
				Group: w.resource.version.Group, Version: w.resource.version.Version, Resource: w.resource.name,
			}}}
		review.APIVersion, review.Kind = "authorization.k8s.io/v1", "SelfSubjectAccessReview"
		if err := w.client.create(ctx, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review); err != nil {
			r.Err = err
			return r
		}
		if !review.Status.Allowed {
			r.Missing = append(r.Missing, verb)
		}
	}
	if slices.Contains(r.Missing, "list") {
		return r
	}
	r.Objects, r.Counted, r.Err = w.countObjects(ctx)
	if statusCode(r.Err) == http.StatusNotFound {
		r.Absent, r.Err = true, nil
	}
	return r
}

// countObjects asks for one object and for how many more there are. With selectors
// the API server does not tell that.
func (w *watcher) countObjects(ctx context.Context) (n int64, exact bool, err error) {
	query := maps.Clone(w.selectors)
	if query == nil {
		query = url.Values{}
	}
	query.Set("limit", "1")
	body, err := w.client.open(ctx, w.path, query, mediaJSON+asMetaList)
	if err != nil {
		return 0, false, err
	}
	defer body.Close()
	var list v1.PartialObjectMetadataList
	if err := json.NewDecoder(io.LimitReader(body, maxObject)).Decode(&list); err != nil {
		return 0, false, err
	}
	n = int64(len(list.Items))
	if more := list.RemainingItemCount; more != nil {
		return n + *more, true, nil
	}
	return n, list.Continue == "", nil
}

// Rules is the text of the rules of a ClusterRole or Role that grant what is missing.
func Rules(reports []Report) string {
	groups := make(map[string][]string)
	for _, r := range reports {
		if len(r.Missing) > 0 && !slices.Contains(groups[r.Group], r.Resource) {
			groups[r.Group] = append(groups[r.Group], r.Resource)
		}
	}
	var text strings.Builder
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		text.WriteString("- apiGroups: [\"" + group + "\"]\n  resources: [" + strings.Join(groups[group], ", ") + "]\n  verbs: [list, watch]\n")
	}
	return text.String()
}

// Version asks the API server for its version, to see whether it answers at all.
func (c *Client) Version(ctx context.Context) (string, error) {
	body, err := c.open(ctx, "/version", nil, mediaJSON)
	if err != nil {
		return "", err
	}
	defer body.Close()
	var v struct {
		GitVersion string `json:"gitVersion"`
	}
	if err := json.NewDecoder(io.LimitReader(body, maxReview)).Decode(&v); err != nil {
		return "", err
	}
	if v.GitVersion == "" {
		return "", errors.New("it tells no version")
	}
	return v.GitVersion, nil
}
