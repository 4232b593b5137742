package podmap

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"watchpost/internal/containers"
	"watchpost/internal/fetch"
	"watchpost/internal/testkubelet"
)

// podText is a pod in JSON.
func podText(name, uid, ip, more string) string {
	return fmt.Sprintf(`{"metadata":{"namespace":"a","name":%q,"uid":%q,"resourceVersion":"5","labels":{"app":"x"},"annotations":{"kubernetes.io/config.hash":"c%s"}},
		"spec":{"nodeName":"n1"%s},"status":{"phase":"Running","hostIP":"192.0.2.1","podIP":%q,"podIPs":[{"ip":%q}],
		"containerStatuses":[{"name":"main","containerID":"containerd://%s-1"}]}}`, name, uid, uid, more, ip, ip, uid)
}

func parsed(t *testing.T, text string) *object {
	t.Helper()
	o := new(object)
	if err := json.Unmarshal([]byte(text), o); err != nil {
		t.Fatal(err)
	}
	return o
}

func (m *Map) textOf(namespace, name string) string {
	l := m.Labels([]byte(namespace), []byte(name))
	if l == nil {
		return "unknown"
	}
	var out strings.Builder
	f, err := containers.NewFilter(containers.Rules{}, m)
	if err != nil {
		return err.Error()
	}
	if err := f.Copy(&out, strings.NewReader(fmt.Sprintf("x{namespace=%q,pod=%q} 1\n", namespace, name)), 0, 1000); err != nil {
		return err.Error()
	}
	return out.String()
}

func names(pods []*Pod) string {
	var all []string
	for _, p := range pods {
		all = append(all, p.Name+"/"+p.UID)
	}
	return strings.Join(all, " ")
}

func TestMap(t *testing.T) {
	now := time.Unix(1000, 0)
	m := New(Config{Rules: containers.PodRules{Labels: []string{"app"}}, Grace: time.Minute, Now: func() time.Time { return now }})
	if m.Ready() == nil || m.Current() {
		t.Error("ready before a list")
	}
	m.replace([]*object{parsed(t, podText("p", "u-1", "10.0.0.1", "")), parsed(t, podText("host", "u-2", "192.0.2.1", `,"hostNetwork":true`))})
	if m.Ready() != nil || !m.Current() || m.Len() != 2 {
		t.Error("not ready")
	}
	if got := m.textOf("a", "p"); got != `x{namespace="a",pod="p",pod_ip="10.0.0.1",label_app="x"} 1`+"\n" {
		t.Error(got)
	}
	if p := m.ByUID("u_1"); p == nil || p.Name != "p" || m.ByUID("cu-1") != p {
		t.Error("not found by UID")
	}
	if p, name := m.ByContainer("containerd://u-1-1"); p == nil || name != "main" {
		t.Error("not found by container")
	}
	byIP := func(ip string) string {
		owners, onHost := m.ByIP(netip.MustParseAddr(ip))
		return names(owners) + ";" + names(onHost)
	}
	if got := byIP("::ffff:10.0.0.1") + " " + byIP("192.0.2.1"); got != "p/u-1; ;host/u-2" {
		t.Error(got)
	}

	// A pod of the same name, before the old one is told to be deleted: of a StatefulSet.
	m.put(parsed(t, podText("p", "u-3", "10.0.0.3", "")))
	m.remove("u-1")
	if got := m.textOf("a", "p"); !strings.Contains(got, "10.0.0.3") {
		t.Error(got)
	}
	if got := byIP("10.0.0.1"); got != "p/u-1;" { // who had it
		t.Error(got)
	}
	m.put(parsed(t, podText("q", "u-4", "10.0.0.1", ""))) // to whom it was given again
	if got := byIP("10.0.0.1"); got != "q/u-4;" {
		t.Error(got)
	}
	m.remove("u-3")
	if got := m.textOf("a", "p"); !strings.Contains(got, "10.0.0.3") {
		t.Error("a deleted pod is forgotten at once: " + got)
	}
	now = now.Add(2 * time.Minute)
	m.Expire()
	if got := m.textOf("a", "p"); got != "unknown" || m.Len() != 2 || m.ByUID("u-1") != nil || byIP("10.0.0.3") != ";" {
		t.Error("a deleted pod stays for ever: " + got)
	}
	// Who is not in a new list was deleted.
	m.replace([]*object{parsed(t, podText("q", "u-4", "10.0.0.1", ""))})
	if p := m.ByUID("u-2"); p == nil || p.Gone.IsZero() {
		t.Error("still there")
	}
	now = now.Add(2 * time.Minute)
	m.Expire()
	if m.Len() != 1 || len(m.byContainer) != 1 || len(m.byIP) != 1 || len(m.byName) != 1 || m.gone != 0 {
		t.Errorf("left: %d pods, %d containers, %d addresses, %d namespaces, %d gone", m.Len(), len(m.byContainer), len(m.byIP), len(m.byName), m.gone)
	}
}

// However many pods end within the grace time, only the last of them are known.
func TestGoneIsBounded(t *testing.T) {
	m := New(Config{Grace: time.Hour})
	uid := func(i int) string { return fmt.Sprintf("u-%d", i) }
	const pods = 3 * maxGone
	for i := range pods {
		m.put(parsed(t, podText("p"+uid(i), uid(i), fmt.Sprintf("10.%d.%d.1", i/250, i%250), "")))
		if i > 0 {
			m.remove(uid(i - 1))
		}
	}
	if m.Len() != 1+maxGone || m.gone != maxGone || len(m.graves) != maxGone || cap(m.graves) > 4*maxGone || len(m.byIP) != 1+maxGone {
		t.Errorf("%d pods, %d gone, %d of %d graves, %d addresses", m.Len(), m.gone, len(m.graves), cap(m.graves), len(m.byIP))
	}
	if m.textOf("a", "p"+uid(pods-2-maxGone)) != "unknown" || m.textOf("a", "p"+uid(pods-1-maxGone)) == "unknown" {
		t.Error("not the oldest are forgotten")
	}
}

// A pod's annotation does not take the UID of another pod away from it.
func TestForeignUID(t *testing.T) {
	m := New(Config{})
	thief := strings.ReplaceAll(podText("thief", "u-2", "10.0.0.2", ""), `"cu-2"`, `"u-1"`)
	m.put(parsed(t, thief))
	m.put(parsed(t, podText("p", "u-1", "10.0.0.1", "")))
	m.put(parsed(t, thief))
	if p := m.ByUID("u-1"); p == nil || p.Name != "p" || m.Len() != 2 {
		t.Errorf("%+v of %d", p, m.Len())
	}
	m.remove("u-1")
	if p := m.ByUID("u-2"); p == nil || !p.Gone.IsZero() || m.gone != 1 {
		t.Errorf("%+v, %d gone", p, m.gone)
	}
}

func TestLookup(t *testing.T) {
	node := testkubelet.NewNode(3)
	l, err := readList(strings.NewReader(node.PodList()))
	if err != nil {
		t.Fatal(err)
	}
	m := New(Config{})
	m.replace(l.Items)
	p := node.Pods[1]
	for query, want := range map[string]int{
		"ip=" + p.IP: 200, "pod=" + p.Namespace + "/" + p.Name: 200, "pod=" + p.Name: 200, "pod=pod" + strings.ReplaceAll(p.UID, "-", "_"): 200,
		"container=" + p.ContainerID: 200, "ip=10.9.9.9": 404, "pod=x/y": 404, "container=x": 404, "cgroup=/kubepods/besteffort/pod" + p.UID + "/" + p.ContainerID: 200, "cgroup=/system.slice": 404, "ip=x": 400, "": 400, "ip=10.1.0.1&pod=x": 400,
	} {
		w := httptest.NewRecorder()
		m.ServeLookup(w, httptest.NewRequest("GET", "/lookup?"+query, nil))
		if w.Code != want || want == 200 && !strings.Contains(w.Body.String(), `"uid":"`+p.UID+`"`) {
			t.Errorf("%q: status %d: %s", query, w.Code, w.Body)
		}
	}
}

// server answers lists and watches from a script.
type server struct {
	asked   []string
	answers []func(ctx context.Context) (string, error)
}

func (s *server) Get(ctx context.Context, path string, _ ...string) (*fetch.Answer, error) {
	kind := "list"
	if strings.Contains(path, "watch=1") {
		kind = "watch"
	}
	if !strings.Contains(path, "fieldSelector=spec.nodeName%3Dn1") {
		kind = "everything"
	}
	s.asked = append(s.asked, kind)
	i := len(s.asked) - 1
	if i >= len(s.answers) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	text, err := s.answers[i](ctx)
	if err != nil {
		return nil, err
	}
	return &fetch.Answer{ReadCloser: io.NopCloser(strings.NewReader(text))}, nil
}

func says(text string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { time.Sleep(2 * time.Second); return text, nil }
}

func fails(err error) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return "", err }
}

// The loop: lists, watches, goes on after the end of a watch, lists again when the
// server has forgotten, and keeps what it knows when the server fails.
func TestWatch(t *testing.T) {
	list := func(pods ...string) func(context.Context) (string, error) {
		return says(`{"metadata":{"resourceVersion":"1"},"items":[` + strings.Join(pods, ",") + `]}`)
	}
	event := func(verb, object string) string { return `{"type":"` + verb + `","object":` + object + "}\n" }
	one, two := podText("one", "u1", "10.0.0.1", ""), podText("two", "u2", "10.0.0.2", "")
	synctest.Test(t, func(t *testing.T) {
		s := &server{answers: []func(context.Context) (string, error){
			fails(&fetch.StatusError{Status: http.StatusForbidden}),
			list(one),
			says(event("ADDED", two) + event("BOOKMARK", `{"metadata":{"resourceVersion":"9"}}`)),
			says(event("DELETED", one)),
			says(event("ERROR", `{"code":410}`)),
			list(two),
			fails(&fetch.StatusError{Status: http.StatusGone}),
			fails(io.ErrUnexpectedEOF),
			list(two),
			says(`{"type":"ADDED","obj`),
		}}
		m := New(Config{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			(&Watch{Server: s, Node: "n1", Log: slog.New(slog.DiscardHandler)}).Run(ctx, m)
		}()
		synctest.Wait()
		if err := m.Ready(); err == nil || !strings.Contains(err.Error(), "grant list and watch on pods") {
			t.Error(err)
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if got := strings.Join(s.asked, " "); got != "list list watch watch watch list watch list list watch watch" {
			t.Error(got)
		}
		if p := m.ByUID("u2"); m.Ready() != nil || p == nil || !p.Gone.IsZero() {
			t.Error("what was known is lost")
		}
		if p := m.ByUID("u1"); p == nil || p.Gone.IsZero() {
			t.Error("the deleted pod is not known as such")
		}
		cancel()
		<-done
	})
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(testkubelet.NewNode(1).PodList()))
	f.Add([]byte(`{"type":"ADDED","object":` + podText("p", "u", "10.0.0.1", "") + `}{"type":"ERROR","object":{"code":410}}`))
	f.Add([]byte(`{"items":[null]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m := New(Config{Rules: containers.PodRules{Labels: []string{"*"}}, Grace: time.Nanosecond})
		if l, err := readList(strings.NewReader(string(text))); err == nil {
			m.replace(l.Items)
		}
		readEvents(strings.NewReader(string(text)), func(verb string, o *object) {
			if verb == "DELETED" {
				m.remove(o.Metadata.UID)
			} else if verb != "BOOKMARK" {
				m.put(o)
			}
		})
		m.replace(nil)
		time.Sleep(time.Microsecond)
		m.Expire()
		if m.Len() != 0 || len(m.byIP) != 0 || len(m.byContainer) != 0 || len(m.byName) != 0 || m.gone != 0 {
			t.Errorf("left: %+v", m.byUID)
		}
	})
}
