package stateagent

import (
	"encoding/json"
	"strings"
	"testing"
)

// shown are the families of two pods on one host network, and of one elsewhere.
var shown = map[string]string{
	familyPodInfo: `kube_pod_info{namespace="a",pod="web-1",uid="u1",host_ip="192.0.2.1",pod_ip="10.0.0.1",node="n1",created_by_kind="ReplicaSet",created_by_name="web-7",priority_class="",host_network="false"} 1
kube_pod_info{namespace="a",pod="proxy",uid="u2",host_ip="192.0.2.1",pod_ip="192.0.2.1",node="n1",created_by_kind="",created_by_name="",priority_class="",host_network="true"} 1
kube_pod_info{namespace="b",pod="proxy",uid="u3",host_ip="192.0.2.1",pod_ip="192.0.2.1",node="n1",created_by_kind="",created_by_name="",priority_class="",host_network="true"} 1
kube_pod_info{namespace="b",pod="new \"one\"\\",uid="u4",host_ip="",pod_ip="",node="",created_by_kind="",created_by_name="",priority_class="",host_network="false"} 1
`,
	familyPodIPs: `kube_pod_ips{namespace="a",pod="web-1",uid="u1",ip="10.0.0.1",ip_family="4"} 1
kube_pod_ips{namespace="a",pod="web-1",uid="u1",ip="2001:db8:0::1",ip_family="6"} 1
`,
	familyPodOwner: `kube_pod_owner{namespace="a",pod="web-1",uid="u1",owner_kind="Helper",owner_name="h",owner_is_controller="false"} 1
kube_pod_owner{namespace="a",pod="web-1",uid="u1",owner_kind="ReplicaSet",owner_name="web-7",owner_is_controller="true"} 1
kube_pod_owner{namespace="a",pod="proxy",uid="u2",owner_kind="",owner_name="",owner_is_controller=""} 1
kube_pod_owner{namespace="b",pod="proxy",uid="u3",owner_kind="DaemonSet",owner_name="proxy",owner_is_controller="true"} 1
`,
	familyPodPhase: `kube_pod_status_phase{namespace="a",pod="web-1",uid="u1",phase="Pending"} 0
kube_pod_status_phase{namespace="a",pod="web-1",uid="u1",phase="Running"} 1
`,
}

// textsOf gives families in parts of one line and of all lines.
func textsOf(of map[string]string, whole bool) families {
	return func(name string, part func([]byte) error) (bool, error) {
		text, ok := of[name]
		if whole {
			return ok, part([]byte(text))
		}
		for line := range strings.Lines(text) {
			if err := part([]byte(line)); err != nil {
				return ok, err
			}
		}
		return ok, nil
	}
}

func TestLookup(t *testing.T) {
	const web = `{"pod":"web-1","namespace":"a","uid":"u1","node":"n1","hostIP":"192.0.2.1","podIPs":["10.0.0.1","2001:db8:0::1"],"owner":{"kind":"ReplicaSet","name":"web-7"},"phase":"Running"}`
	const proxyA = `{"pod":"proxy","namespace":"a","uid":"u2","node":"n1","hostIP":"192.0.2.1","podIPs":["192.0.2.1"]}`
	const proxyB = `{"pod":"proxy","namespace":"b","uid":"u3","node":"n1","hostIP":"192.0.2.1","podIPs":["192.0.2.1"],"owner":{"kind":"DaemonSet","name":"proxy"}}`
	for _, whole := range []bool{true, false} {
		for _, tc := range []struct{ ip, pod, want string }{
			{"10.0.0.1", "", "[" + web + "]"},
			{"2001:db8::1", "", "[" + web + "]"},
			{"192.0.2.1", "", "[" + proxyA + "," + proxyB + "]"},
			{"10.0.0.10", "", "null"},
			{"", "proxy", "[" + proxyA + "," + proxyB + "]"},
			{"", "b/proxy", "[" + proxyB + "]"},
			{"", "prox", "null"},
			{"", "c/proxy", "null"},
		} {
			q, err := parseQuestion(tc.ip, tc.pod)
			if err != nil {
				t.Fatal(err)
			}
			pods, err := q.answer(textsOf(shown, whole))
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := json.Marshal(pods); string(got) != tc.want {
				t.Errorf("%+v: got\n%s\nwant\n%s", q, got, tc.want)
			}
		}
	}
}

func TestLookupQuestions(t *testing.T) {
	for _, tc := range [][2]string{{"", ""}, {"1.2.3.4", "a"}, {"1.2.3", ""}, {"", "a/"}, {"", "a/b/c"}} {
		if q, err := parseQuestion(tc[0], tc[1]); err == nil {
			t.Errorf("%q: %+v", tc, q)
		}
	}
}

// An address of very many pods is answered with a part of them.
func TestLookupMany(t *testing.T) {
	var text strings.Builder
	for i := range 2 * maxFound {
		text.WriteString(`kube_pod_info{namespace="a",pod="p` + strings.Repeat("x", i%50) + `",uid="` + strings.Repeat("u", i+1) + `",pod_ip="192.0.2.1"} 1` + "\n")
	}
	q := question{ip: "192.0.2.1"}
	pods, err := q.answer(textsOf(map[string]string{familyPodInfo: text.String()}, true))
	if err != nil || len(pods) != maxFound {
		t.Errorf("%d pods, %v", len(pods), err)
	}
}

// Whatever is asked and shown, what is found fits the question.
func FuzzLookup(f *testing.F) {
	f.Add("10.0.0.1", "", shown[familyPodInfo], shown[familyPodIPs])
	f.Add("", "a/web-1", shown[familyPodInfo], shown[familyPodOwner])
	f.Fuzz(func(t *testing.T, ip, pod, info, more string) {
		q, err := parseQuestion(ip, pod)
		if err != nil {
			return
		}
		text := textsOf(map[string]string{familyPodInfo: info, familyPodIPs: more, familyPodOwner: more, familyPodPhase: more}, true)
		pods, err := q.answer(text)
		if err != nil {
			return
		}
		for _, p := range pods {
			if q.pod != "" && p.Pod != q.pod || q.namespace != "" && p.Namespace != q.namespace {
				t.Errorf("%+v: %+v", q, p)
			}
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	var text strings.Builder
	for i := range 20_000 {
		text.WriteString(strings.ReplaceAll(strings.SplitAfter(shown[familyPodInfo], "\n")[0], "10.0.0.1", "10.0."+string(rune('0'+i%10))+".2"))
	}
	text.WriteString(shown[familyPodInfo])
	texts := textsOf(map[string]string{familyPodInfo: text.String(), familyPodIPs: shown[familyPodIPs], familyPodOwner: shown[familyPodOwner]}, true)
	q := question{ip: "10.0.0.1"}
	b.ReportAllocs()
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		if pods, err := q.answer(texts); err != nil || len(pods) != 1 {
			b.Fatal(pods, err)
		}
	}
}
