package kube

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"watchpost/internal/expo"
)

// Answers that a real API server gives rarely, from a server that gives them always.

type marshaler interface{ Marshal() ([]byte, error) }

// protobufOf is an object as the API server answers it.
func protobufOf(t testing.TB, o marshaler) []byte {
	t.Helper()
	raw, err := o.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	b, err := (&runtime.Unknown{Raw: raw, ContentType: mediaProtobuf}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return append(bytes.Clone(protobufMagic), b...)
}

// frameOf is an event as a watch has it.
func frameOf(t testing.TB, verb string, o marshaler) []byte {
	t.Helper()
	b, err := (&v1.WatchEvent{Type: verb, Object: runtime.RawExtension{Raw: protobufOf(t, o)}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

func wirePod(n int, version string) *core.Pod {
	return &core.Pod{
		ObjectMeta: v1.ObjectMeta{Namespace: "a", Name: fmt.Sprintf("p%d", n), UID: fakeUID(n), ResourceVersion: version,
			ManagedFields: []v1.ManagedFieldsEntry{{Manager: "m", FieldsType: "FieldsV1", FieldsV1: v1.NewFieldsV1(`{"f:a":{}}`)}, {Manager: "n"}}},
		Spec: core.PodSpec{NodeName: "n1", Containers: []core.Container{{Name: "c"}}},
	}
}

func bookmark(version string, initial bool) *core.Pod {
	p := &core.Pod{ObjectMeta: v1.ObjectMeta{ResourceVersion: version}}
	if initial {
		p.Annotations = map[string]string{v1.InitialEventsAnnotationKey: "true"}
	}
	return p
}

// script is a server whose answers are given one after another; each function gets
// the request that it answers. After the last it says nothing until the client goes.
type script struct {
	mu    sync.Mutex
	steps []func(http.ResponseWriter, *http.Request)
	asked []string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	q := r.URL.Query()
	q.Del("timeoutSeconds")
	s.asked = append(s.asked, r.URL.Path+"?"+q.Encode())
	var step func(http.ResponseWriter, *http.Request)
	if len(s.steps) > 0 {
		step, s.steps = s.steps[0], s.steps[1:]
	}
	s.mu.Unlock()
	if step == nil {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return
	}
	step(w, r)
}

func (s *script) requests() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.asked, "\n") + "\n"
}

// scripted runs a cluster of the resources named against a script.
func scripted(t *testing.T, change func(*Config), resource string, steps ...func(http.ResponseWriter, *http.Request)) (*Cluster, *script) {
	t.Helper()
	s := &script{steps: steps}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	client, err := NewClient(ClientConfig{Server: server.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	config := Config{Client: client, Resources: []string{resource}, Log: slog.New(slog.NewTextHandler(testWriter{t}, nil))}
	if change != nil {
		change(&config)
	}
	c, err := newCluster(config, testTable())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done; client.http.CloseIdleConnections() })
	return c, s
}

// says answers with pieces, and then goes on saying nothing where open.
func says(contentType string, open bool, pieces ...[]byte) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		for _, p := range pieces {
			w.Write(p)
		}
		if open {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	}
}

// refuses answers with a status.
func refuses(status *apierrors.StatusError) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaJSON)
		w.WriteHeader(int(status.ErrStatus.Code))
		json.NewEncoder(w).Encode(status.ErrStatus)
	}
}

var noStreams = apierrors.NewInvalid(v1.SchemeGroupVersion.WithKind("ListOptions").GroupKind(), "", nil)

// pageOf is a page of pods.
func pageOf(t *testing.T, version, next string, numbers ...int) []byte {
	l := &core.PodList{ListMeta: v1.ListMeta{ResourceVersion: version, Continue: next}}
	for _, n := range numbers {
		l.Items = append(l.Items, *wirePod(n, version))
	}
	return protobufOf(t, l)
}

const podLine = "t_pod{namespace=\"a\",name=\"p%d\",node=\"n1\",phase=\"\"} 1\n"

func podLines(numbers ...int) (lines string) {
	for _, n := range numbers {
		lines += fmt.Sprintf(podLine, n)
	}
	return lines
}

// A continue token that is too old: the list begins again, whole. Then the watch
// starts where the list was.
func TestListWhoseTokenExpires(t *testing.T) {
	c, s := scripted(t, nil, "pods",
		refuses(noStreams),
		says(mediaProtobuf, false, pageOf(t, "7", "token", 1, 2)),
		refuses(apierrors.NewResourceExpired("too old")),
		says(mediaProtobuf, false, pageOf(t, "9", "", 2, 3)),
		says(mediaProtobuf+";stream=watch", true, frameOf(t, verbAdded, wirePod(4, "10"))),
	)
	eventually(t, "pods", func() string { return said(c, "t_pod{") }, podLines(2, 3, 4))
	eventually(t, "requests", s.requests, `
		/api/v1/pods?allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&watch=1
		/api/v1/pods?limit=500
		/api/v1/pods?continue=token&limit=500
		/api/v1/pods?
		/api/v1/pods?allowWatchBookmarks=true&resourceVersion=9&watch=1
	`)
}

// A streamed list that breaks off is no list. What is served until the next one is
// complete is what was served before, and then the whole of it at once.
func TestStreamThatBreaksOff(t *testing.T) {
	bad := frameOf(t, verbAdded, wirePod(3, "6"))
	c, s := scripted(t, nil, "pods",
		says(mediaProtobuf, false, frameOf(t, verbAdded, wirePod(1, "5")), frameOf(t, verbAdded, wirePod(2, "6")), bad[:len(bad)/2]),
		says(mediaProtobuf, false, frameOf(t, verbAdded, wirePod(2, "6")), frameOf(t, verbBookmark, bookmark("8", true)), frameOf(t, verbBookmark, bookmark("9", false))),
		refuses(apierrors.NewResourceExpired("too old")),
		says(mediaProtobuf, true, frameOf(t, verbAdded, wirePod(5, "12"))),
	)
	eventually(t, "not ready", func() string {
		if err := c.Ready(); err != nil && strings.HasPrefix(err.Error(), "pods: not listed yet: ") && said(c, "") == "" {
			return "no"
		}
		return "yes"
	}, "no")
	eventually(t, "pods", func() string { return said(c, "t_pod{") }, podLines(2))
	eventually(t, "requests", s.requests, strings.Repeat("/api/v1/pods?allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&watch=1\n", 2)+
		"/api/v1/pods?allowWatchBookmarks=true&resourceVersion=9&watch=1\n"+
		"/api/v1/pods?allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&watch=1\n")
	if got := said(c, "t_pod{"); got != podLines(2) { // the second list is not complete
		t.Errorf("got %s", got)
	}
	if err := c.Ready(); err != nil {
		t.Errorf("a relist under way is no failure: %v", err)
	}
}

// History that is gone comes as an event, too.
func TestExpiredEvent(t *testing.T) {
	gone := apierrors.NewResourceExpired("too old")
	gone.ErrStatus.Code = http.StatusGone
	c, _ := scripted(t, nil, "pods",
		says(mediaProtobuf, false, frameOf(t, verbAdded, wirePod(1, "5")), frameOf(t, verbBookmark, bookmark("8", true)),
			frameOf(t, verbModified, wirePod(6, "9")), frameOf(t, verbDeleted, wirePod(1, "10")), frameOf(t, verbError, &gone.ErrStatus)),
		says(mediaProtobuf, true, frameOf(t, verbAdded, wirePod(7, "5")), frameOf(t, verbBookmark, bookmark("18", true))),
	)
	eventually(t, "pods", func() string { return said(c, "t_pod{") }, podLines(7))
}

// A server that cannot give parts of objects gives them whole.
func TestServerWithoutParts(t *testing.T) {
	secret := &core.Secret{ObjectMeta: v1.ObjectMeta{Namespace: "a", Name: "s", UID: fakeUID(1), Labels: map[string]string{"v": "1"}}, Type: "example/x", Data: map[string][]byte{"k": []byte("hidden")}}
	refusal := apierrors.NewGenericServerResponse(http.StatusNotAcceptable, "get", secretsOf, "", "", 0, false)
	end := &core.Secret{ObjectMeta: bookmark("8", true).ObjectMeta}
	c, _ := scripted(t, nil, "secrets", refuses(refusal), says(mediaProtobuf, true, frameOf(t, verbAdded, secret), frameOf(t, verbBookmark, end)))
	eventually(t, "secret", func() string { return said(c, "t_secret") }, "t_secret{namespace=\"a\",name=\"s\",type=\"example/x\",v=\"1\"} 1\n")

	cm := &core.ConfigMap{ObjectMeta: v1.ObjectMeta{Namespace: "a", Name: "m", UID: fakeUID(1), Annotations: map[string]string{"v": "1"}}}
	last := &core.ConfigMap{ObjectMeta: bookmark("8", true).ObjectMeta}
	c, _ = scripted(t, nil, "configmaps", refuses(refusal), says(mediaProtobuf, true, frameOf(t, verbAdded, cm), frameOf(t, verbBookmark, last)))
	eventually(t, "config map", func() string { return said(c, "t_configmap") }, "t_configmap{namespace=\"a\",name=\"m\",v=\"1\"} 1\n")
}

var secretsOf = core.Resource("secrets")

// A table says its columns once.
func TestTablesOfAWatch(t *testing.T) {
	table := func(verb, columns, name, kind, annotations string) []byte {
		return []byte(fmt.Sprintf(`{"type":%q,"object":{"kind":"Table","apiVersion":"meta.k8s.io/v1",%s"rows":[{"cells":[%q,%q,1,"5s"],"object":{"kind":"PartialObjectMetadata","metadata":{"name":%q,"uid":%q,"namespace":"a","resourceVersion":"5"%s}}}]}}`+"\n",
			verb, columns, name, kind, name, name, annotations))
	}
	columns := `"columnDefinitions":[{"name":"Name"},{"name":"Type"},{"name":"Data"},{"name":"Age"}],`
	c, _ := scripted(t, nil, "secrets", says(mediaJSON, true, table(verbAdded, columns, "s1", "one", ""), table(verbAdded, "", "s2", "two", ""),
		table(verbBookmark, "", "", "", `,"annotations":{"k8s.io/initial-events-end":"true"}`), table(verbDeleted, "", "s1", "one", "")))
	eventually(t, "secrets", func() string { return said(c, "t_secret") }, "t_secret{namespace=\"a\",name=\"s2\",type=\"two\",v=\"\"} 1\n")
}

// A resource that the server does not know is empty, and not a failure.
func TestAbsentResource(t *testing.T) {
	unknown := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "404 page not found", http.StatusNotFound) }
	c, s := scripted(t, nil, "widgets", unknown, unknown,
		says(mediaJSON, true, []byte(`{"type":"ADDED","object":{"metadata":{"name":"w","namespace":"a","uid":"u"}}}{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"5","annotations":{"k8s.io/initial-events-end":"true"}}}}`)))
	eventually(t, "readiness", readiness(c), "ready")
	select {
	case <-c.Synced():
	case <-time.After(time.Minute):
		t.Error("not synced")
	}
	eventually(t, "objects", func() string { return fmt.Sprint(c.Snapshot(nil, nil).Objects()) }, "1")
	if !strings.HasPrefix(s.requests(), "/apis/absent.example/v1/widgets?") {
		t.Errorf("asked %s", s.requests())
	}
}

// Resources come and go while the cluster runs. Families of one name are one.
func TestResourcesThatComeAndGo(t *testing.T) {
	stream := says(mediaProtobuf, true, frameOf(t, verbAdded, wirePod(1, "5")), frameOf(t, verbBookmark, bookmark("8", true)))
	c, _ := scripted(t, nil, "pods", stream, stream, stream)
	eventually(t, "readiness", readiness(c), "ready")
	again := *testTable()[3]
	again.name = "more"
	if err := c.change([]*resource{&again}, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "two", func() string { return said(c, "t_pod{") }, podLines(1, 1))
	var text bytes.Buffer
	if err := c.Snapshot(nil, nil).WriteText(&text, expo.OpenMetrics); err != nil {
		t.Fatal(err)
	}
	if s := text.String(); strings.Count(s, "# TYPE t_pod gauge\n") != 1 || !strings.HasSuffix(s, "# EOF\n") {
		t.Errorf("got %s", s)
	}
	text.Reset()
	if err := c.Snapshot([]string{"more", "secrets"}, []string{"more"}).WriteText(&text, expo.Text); err != nil || text.Len() != 0 {
		t.Errorf("of what was chosen and left out: %s, %v", &text, err)
	}
	if err := c.change(nil, []*resource{&again}); err != nil {
		t.Fatal(err)
	}
	if got := said(c, "t_pod{"); got != podLines(1) {
		t.Errorf("after it is gone: %s", got)
	}
}

// Until it has lasted for a while a failure is not told, nor are objects forgotten.
func TestFailureIsToldAfterAWhile(t *testing.T) {
	now := time.Unix(1000, 0)
	w := &watcher{resource: testTable()[0], now: func() time.Time { return now }, log: slog.New(slog.DiscardHandler), source: newSource(newCodec(), 1, time.Now)}
	status := func() string {
		synced, err := w.status()
		return fmt.Sprint(synced, " ", err)
	}
	check := func(want string) {
		t.Helper()
		if got := status(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	check("false not listed yet")
	w.failed(io.ErrUnexpectedEOF)
	check("false not listed yet: unexpected EOF")
	w.source.begin()
	w.source.put("u", fakeText("x 1\n"), 0)
	w.source.commit()
	w.synced(1)
	check("true <nil>")
	w.failed(io.ErrUnexpectedEOF)
	check("true <nil>")
	now = now.Add(patience)
	w.failed(io.ErrNoProgress)
	check("true failing for 1m0s: multiple Read calls return no data or error")
	w.well()
	check("true <nil>")
	missing := apierrors.NewNotFound(core.Resource("x"), "y")
	w.failed(missing)
	if v := w.source.view(); v.objects != 1 {
		t.Error("forgot its objects at the first 404")
	}
	now = now.Add(patience + 1)
	w.failed(missing)
	check("true <nil>")
	if v := w.source.view(); v.objects != 0 {
		t.Error("tells of objects of a resource that is gone")
	}
}

func TestPause(t *testing.T) {
	for failures, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 6: 30 * time.Second, 1000: 30 * time.Second} {
		for range 50 {
			if d := pause(failures, io.EOF); d < want/2 || d > want {
				t.Errorf("after %d failures %s, want up to %s", failures, d, want)
			}
		}
	}
	if d := pause(1, apierrors.NewTooManyRequests("", 20)); d < 10*time.Second {
		t.Errorf("the server asked for 20 s: %s", d)
	}
}

// What falls silent in the middle of a list is given up.
func TestGuarded(t *testing.T) {
	ctx, giveUp := context.WithCancelCause(t.Context())
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { w.CloseWithError(context.Canceled) })
	g := &guarded{r, 20 * time.Millisecond, giveUp}
	_, err := g.Read(make([]byte, 1))
	if err = cause(ctx, err); err != errSilent {
		t.Errorf("got %v", err)
	}
}

func TestPodEnd(t *testing.T) {
	at := func(s int64) v1.Time { return v1.Unix(s, 0) }
	ended := func(s int64) core.ContainerStatus {
		return core.ContainerStatus{State: core.ContainerState{Terminated: &core.ContainerStateTerminated{FinishedAt: at(s)}}}
	}
	for _, test := range []struct {
		name string
		pod  core.Pod
		want int64
	}{
		{"running", core.Pod{Status: core.PodStatus{Phase: core.PodRunning, ContainerStatuses: []core.ContainerStatus{ended(5)}}}, 0},
		{"done", core.Pod{Status: core.PodStatus{Phase: core.PodSucceeded, ContainerStatuses: []core.ContainerStatus{ended(5), ended(9), ended(7)}}}, 9},
		{"init failed", core.Pod{Status: core.PodStatus{Phase: core.PodFailed, InitContainerStatuses: []core.ContainerStatus{ended(5)}, ContainerStatuses: make([]core.ContainerStatus, 2)}}, 5},
		{"evicted", core.Pod{Status: core.PodStatus{Phase: core.PodFailed, Conditions: []core.PodCondition{{LastTransitionTime: at(3)}, {LastTransitionTime: at(4)}}}}, 4},
		{"bare", core.Pod{ObjectMeta: v1.ObjectMeta{CreationTimestamp: at(2)}, Status: core.PodStatus{Phase: core.PodFailed}}, 2},
	} {
		end := podEnd(&test.pod)
		if got := end.Unix(); end.IsZero() != (test.want == 0) || test.want != 0 && got != test.want {
			t.Errorf("%s: got %v, want %d", test.name, end, test.want)
		}
	}
}

// A refusal tells what the server said, in one line.
func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		answer func(http.ResponseWriter, *http.Request)
		want   string
	}{
		{refuses(apierrors.NewForbidden(core.Resource("pods"), "", fmt.Errorf("no"))), `pods is forbidden: no`},
		{func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", mediaProtobuf)
			w.WriteHeader(http.StatusForbidden)
			w.Write(protobufOf(t, &v1.Status{Message: "not you"}))
		}, "not you"},
		{func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>\nproxy", http.StatusBadGateway) }, `HTTP status 502 Bad Gateway: "<html> proxy"`},
		{says("text/html", false, []byte("<html>hello")), `not protobuf: begins with "<htm"`},
	} {
		c, _ := scripted(t, func(c *Config) { c.Client.pages.Store(true) }, "pods", test.answer)
		eventually(t, "readiness", readiness(c), "pods: not listed yet: "+test.want)
	}
}

func TestManagedFieldsAreLeftOut(t *testing.T) {
	d := &protobufDecoder{new: func() protobufObject { return &core.Pod{} }, cut: podCut(t)}
	want := wirePod(1, "5")
	raw, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	e, err := d.decode(raw, false)
	if err != nil || e.uid != fakeUID(1) || e.version != "5" {
		t.Fatalf("%+v, %v", e, err)
	}
	want.ManagedFields = nil
	if got := e.object.(*core.Pod); got.String() != want.String() {
		t.Errorf("got %s, want %s", got, want)
	}
	d.keep = func(uid []byte) bool { return types.UID(uid) != fakeUID(1) }
	if e, err = d.decode(raw, false); e.object != nil || e.version != "5" || err != nil {
		t.Errorf("another shard's object: %+v, %v", e, err)
	}
}

// Whatever comes from the server is read or refused, and nothing else happens.
func FuzzWire(f *testing.F) {
	f.Add(frameOf(f, verbAdded, wirePod(1, "5")), uint8(0))
	f.Add(append(frameOf(f, verbBookmark, bookmark("5", true)), frameOf(f, verbError, &v1.Status{Message: "m"})...), uint8(0))
	f.Add(protobufOf(f, &core.PodList{Items: []core.Pod{*wirePod(1, "5")}}), uint8(1))
	f.Add([]byte(`{"type":"ADDED","object":{"kind":"Table","columnDefinitions":[{"name":"Type"}],"rows":[{"cells":["x"],"object":{"metadata":{"uid":"u"}}}]}}`), uint8(2))
	f.Add([]byte(`{"metadata":{"resourceVersion":"5"},"items":[{"metadata":{"uid":"u"}},{"a":1}]}`), uint8(5))
	f.Add([]byte(`{"items":null}`), uint8(5))
	f.Add([]byte(`{"kind":"Table","rows":[{"cells":["x"]}]}`), uint8(3))
	f.Add([]byte(`{"type":"ADDED","object":{"metadata":[]}}`), uint8(4))
	f.Add(protobufOf(f, &v1.Status{Message: "m"}), uint8(6))
	lean := podCut(f)
	f.Fuzz(func(t *testing.T, b []byte, form uint8) {
		keep := func(uid []byte) bool { return len(uid)%2 == 0 }
		decoders := []decoder{
			&protobufDecoder{new: func() protobufObject { return &core.Pod{} }, keep: keep, cut: lean}, &tableDecoder{keep: keep}, anyDecoder{testTable()[1], keep},
		}
		read := func(o v1.Object) { _, _, _ = o.GetName(), o.GetUID(), o.GetAnnotations() }
		switch form %= 7; form {
		case 0, 2, 4:
			_ = decoders[form/2].watch(bytes.NewReader(b), func(e event) error {
				if e.object != nil {
					read(e.object)
				}
				return nil
			})
		case 1, 3, 5:
			_, _ = decoders[form/2].list(bytes.NewReader(b), func(o v1.Object) error { read(o); return nil })
		case 6:
			_ = readStatus(b, mediaProtobuf)
			_ = readStatus(b, mediaJSON)
		}
	})
}
