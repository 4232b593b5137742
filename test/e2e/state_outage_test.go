//go:build e2e

package e2e

// What may befall the API server, its history, the line to it and the right to read
// it. Each time the state-agent serves what it knew, says so, and recovers by itself.

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	coordination "k8s.io/api/coordination/v1"
	rbac "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"watchpost/internal/testkube"
	"watchpost/kube"
)

// up waits until the state-agent says that a resource can be watched, or not.
func (a *stateAgent) up(resource string, want int) {
	a.t.Helper()
	a.tells(fmt.Sprintf(`watchpost_kube_up{resource=%q} %d`, resource, want))
}

// tells waits until it says a line of itself.
func (a *stateAgent) tells(line string) {
	a.t.Helper()
	eventually(a.t, line, func() error {
		if got := get(a.t, http.DefaultClient, a.tele+"/metrics"); !strings.Contains(got.body, line+"\n") {
			return fmt.Errorf("no %s", line)
		}
		return nil
	})
}

// unready waits until it is not ready, for the reasons given.
func (a *stateAgent) unready(reasons ...string) {
	a.t.Helper()
	eventually(a.t, "not ready", func() error {
		got := get(a.t, http.DefaultClient, a.tele+"/readyz")
		for _, why := range reasons {
			if !strings.Contains(got.body, why) {
				return fmt.Errorf("%d, without %q: %s", got.status, why, got.body)
			}
		}
		if got.status != http.StatusServiceUnavailable {
			return fmt.Errorf("%d %s", got.status, got.body)
		}
		return nil
	})
	if got := get(a.t, http.DefaultClient, a.tele+"/livez"); got.status != 200 {
		a.t.Errorf("it is not live: %d %s", got.status, got.body)
	}
}

// keepsSaying scrapes all the time, until the result is called; that fails the test
// where a scrape was without one of the texts.
func (a *stateAgent) keepsSaying(texts ...string) (end func()) {
	stop, lost := make(chan struct{}), make(chan string, 1)
	go func() {
		n, missing := 0, ""
		for {
			select {
			case <-stop:
				if n == 0 {
					missing = "every scrape"
				}
				lost <- missing
				return
			case <-time.After(20 * time.Millisecond):
			}
			res, err := http.Get(a.metrics + "/metrics")
			if err != nil {
				missing = err.Error()
				continue
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if n++; err != nil {
				missing = err.Error()
			}
			for _, text := range texts {
				if !bytes.Contains(body, []byte(text)) {
					missing = text
				}
			}
		}
	}()
	return func() {
		a.t.Helper()
		close(stop)
		if missing := <-lost; missing != "" {
			a.t.Errorf("a scrape was without %s", missing)
		}
	}
}

func lease(t *testing.T, c *testkube.Cluster, namespace, name string) {
	t.Helper()
	if _, err := c.Client().CoordinationV1().Leases(namespace).Create(t.Context(), &coordination.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func inShop(name string) string {
	return `kube_configmap_info{namespace="shop",configmap="` + name + `"} 1`
}

func TestStateAgentOutlivesTheAPIServer(t *testing.T) {
	beside(t)
	c := testkube.Start(t, testkube.Options{})
	namespace(t, c, "shop", nil)
	configMap(t, c, "shop", "one")
	a := startStateAgent(t, "--kubeconfig="+c.Kubeconfig(), "--resources=configmaps,pods").ready()
	a.shows(inShop("one"), true)
	said := a.keepsSaying(inShop("one"))
	c.Kill()
	a.up("configmaps", 0)
	a.up("pods", 0)
	a.unready("configmaps: ", "pods: ")
	if err := c.Restart(); err != nil {
		t.Fatal(err)
	}
	configMap(t, c, "shop", "two")
	a.shows(inShop("two"), true)
	a.ready()
	a.up("configmaps", 1)
	a.up("pods", 1)
	said()
}

// The watch is cut off while history is written and forgotten: what was deleted
// meanwhile goes, what was made comes, and what stayed was there all the time.
func TestStateAgentLostHistory(t *testing.T) {
	beside(t)
	c := testkube.Start(t, testkube.Options{Args: []string{"--watch-cache=false"}})
	namespace(t, c, "shop", nil)
	configMap(t, c, "shop", "stays")
	configMap(t, c, "shop", "goes")
	line, err := c.NewProxy()
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	kubeconfig, err := c.Through(line)
	if err != nil {
		t.Fatal(err)
	}
	a := startStateAgent(t, "--kubeconfig="+kubeconfig, "--resources=configmaps", "--log.level=debug").ready()
	a.shows(inShop("goes"), true)
	said := a.keepsSaying(inShop("stays"))
	line.Cut()
	line.Break()
	if err := c.Client().CoreV1().ConfigMaps("shop").Delete(t.Context(), "goes", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	configMap(t, c, "shop", "comes")
	if err := c.Compact(); err != nil {
		t.Fatal(err)
	}
	a.shows(inShop("goes"), true) // nothing is known of it
	line.Mend()
	a.shows(inShop("comes"), true)
	a.shows(inShop("goes"), false)
	a.ready()
	said()
	if !strings.Contains(a.said.String(), "does not know what happened since") {
		t.Error("the history was not lost: the test shows nothing")
	}
}

// The line is silent for 5 s, or WATCHPOST_CUT=1m: connections are open and nothing
// comes. After a minute that is noticed.
func TestStateAgentCutOff(t *testing.T) {
	beside(t)
	c := testkube.Start(t, testkube.Options{})
	namespace(t, c, "shop", nil)
	configMap(t, c, "shop", "stays")
	configMap(t, c, "shop", "goes")
	line, err := c.NewProxy()
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	kubeconfig, err := c.Through(line)
	if err != nil {
		t.Fatal(err)
	}
	a := startStateAgent(t, "--kubeconfig="+kubeconfig, "--resources=configmaps").ready()
	a.shows(inShop("goes"), true)
	said := a.keepsSaying(inShop("stays"))
	cut := duration(t, "WATCHPOST_CUT", 5*time.Second)
	end := time.After(cut)
	line.Cut()
	if err := c.Client().CoreV1().ConfigMaps("shop").Delete(t.Context(), "goes", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	configMap(t, c, "shop", "comes")
	if cut >= time.Minute {
		a.up("configmaps", 0)
	}
	<-end
	a.shows(inShop("goes"), true)
	if cut >= time.Minute {
		a.unready("configmaps: ")
	}
	line.Mend()
	a.shows(inShop("comes"), true)
	a.shows(inShop("goes"), false)
	a.ready()
	a.up("configmaps", 1)
	said()
}

// The right to read one resource is taken away: its last known state stays, the rest
// goes on, and readiness tells of it alone.
func TestStateAgentLosesARight(t *testing.T) {
	beside(t)
	c := testkube.Start(t, testkube.Options{})
	namespace(t, c, "shop", nil)
	configMap(t, c, "shop", "one")
	lease(t, c, "shop", "first")
	kubeconfig, err := c.User("reader")
	if err != nil {
		t.Fatal(err)
	}
	maps := rbac.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list", "watch"}}
	leases := rbac.PolicyRule{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"list", "watch"}}
	roles := c.Client().RbacV1().ClusterRoles()
	role, err := roles.Create(t.Context(), &rbac.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Rules: []rbac.PolicyRule{maps, leases}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	grant := func(rules ...rbac.PolicyRule) {
		t.Helper()
		role.Rules = rules
		if role, err = roles.Update(t.Context(), role, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Client().RbacV1().ClusterRoleBindings().Create(t.Context(), &rbac.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		RoleRef:  rbac.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "reader"},
		Subjects: []rbac.Subject{{Kind: "User", APIGroup: "rbac.authorization.k8s.io", Name: "reader"}}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	a := startStateAgent(t, "--kubeconfig="+kubeconfig, "--resources=configmaps,leases").ready()
	first, second := `kube_lease_owner{lease="first",`, `kube_lease_owner{lease="second",`
	a.shows(first, true)
	said := a.keepsSaying(first, inShop("one"))
	grant(maps)
	// A watch that is open goes on: it was allowed when it began. So the API server
	// starts anew.
	if err := c.Restart(); err != nil {
		t.Fatal(err)
	}
	a.up("leases", 0)
	configMap(t, c, "shop", "two")
	lease(t, c, "shop", "second")
	a.shows(inShop("two"), true)
	a.up("configmaps", 1)
	a.unready("leases: ", "forbidden")
	if got := get(t, http.DefaultClient, a.tele+"/readyz"); strings.Contains(got.body, "configmaps") {
		t.Errorf("readiness names what is well: %s", got.body)
	}
	a.shows(second, false)
	grant(maps, leases)
	a.shows(second, true)
	a.ready()
	a.up("leases", 1)
	said()
}

// Settings that ask for what cannot be listed wait, which is told, and what was shown
// stays; they count as soon as they can.
func TestStateAgentSettingsThatWait(t *testing.T) {
	beside(t)
	c := kubernetes.Get(t)
	namespace(t, c, "waits", nil)
	configMap(t, c, "waits", "one")
	kubeconfig, err := c.User("waiter")
	if err != nil {
		t.Fatal(err)
	}
	grant := func(name, group, resource string) {
		t.Helper()
		api := c.Client().RbacV1()
		if _, err := api.ClusterRoles().Create(t.Context(), &rbac.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbac.PolicyRule{
			{APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{"list", "watch"}}}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := api.ClusterRoleBindings().Create(t.Context(), &rbac.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:  rbac.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: name},
			Subjects: []rbac.Subject{{Kind: "User", APIGroup: "rbac.authorization.k8s.io", Name: "waiter"}}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	grant("waits-configmaps", "", "configmaps")
	file := filepath.Join(t.TempDir(), "options.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write("resources: [configmaps]\n")
	a := startStateAgent(t, "--kubeconfig="+kubeconfig, "--config="+file).ready()
	const one = `kube_configmap_info{namespace="waits",configmap="one"} 1`
	a.shows(one, true)
	said := a.keepsSaying(one)
	labels := fmt.Sprintf(`{filename=%q,type="config"} `, file)
	a.tells("kube_state_metrics_last_config_reload_successful" + labels + "1")
	write("resources: [configmaps, namespaces]\n")
	a.tells("kube_state_metrics_last_config_reload_successful" + labels + "0")
	a.shows("kube_namespace_created", false)
	a.ready() // of what is shown
	grant("waits-namespaces", "", "namespaces")
	a.shows(`kube_namespace_created{namespace="waits"`, true)
	a.tells("kube_state_metrics_last_config_reload_successful" + labels + "1")
	said()
}

// Where nothing may be read, nothing is shown, and each resource is named.
func TestStateAgentEverythingForbidden(t *testing.T) {
	beside(t)
	c := kubernetes.Get(t)
	kubeconfig, err := c.User("stranger")
	if err != nil {
		t.Fatal(err)
	}
	a := startStateAgent(t, append(everythingOn(kube.Resources()), "--kubeconfig="+kubeconfig)...)
	var each []string
	for _, name := range kube.Resources() {
		each = append(each, name+": ")
	}
	a.unready(append(each, "forbidden")...)
	for _, name := range kube.Resources() {
		a.tells(fmt.Sprintf(`watchpost_kube_synced{resource=%q} 0`, name))
	}
	if got := get(t, http.DefaultClient, a.metrics+"/metrics"); strings.Contains(got.body, "kube_") {
		t.Errorf("it shows: %.500s", got.body)
	}
}
