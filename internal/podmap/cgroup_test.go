package podmap

import "testing"

func TestByCgroup(t *testing.T) {
	const uid = "0a1b2c3d-0000-4000-8000-0123456789ab"
	m := New(Config{})
	m.replace([]*object{parsed(t, podText("p", uid, "10.0.0.1", ""))})
	p := m.ByUID(uid)
	p.Containers["feed"] = "main"
	m.byContainer["feed"] = p
	for path, want := range map[string]string{
		"/kubepods/burstable/pod" + uid:           "p ",
		"/kubepods/burstable/pod" + uid + "/feed": "p main",
		"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0a1b2c3d_0000_4000_8000_0123456789ab.slice":                           "p ",
		"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0a1b2c3d_0000_4000_8000_0123456789ab.slice/cri-containerd-feed.scope": "p main",
		"/kubepods.slice/kubepods-burstable-pod0a1b2c3d_0000_4000_8000_0123456789ab.slice/crio-feed.scope/container/inner":                    "p main",
		"/kubepods.slice/kubepods-burstable-pod0a1b2c3d_0000_4000_8000_0123456789ab.slice/crio-unknown.scope":                                 "p ",
		"/system.slice/kubepods-burstable-pod0a1b2c3d_0000_4000_8000_0123456789ab.slice:cri-containerd:feed":                                  "p main",
		"/kubepods/burstable/podother": " ", "/": " ", "": " ", "/system.slice/podman.service": " ",
	} {
		pod, container := m.ByCgroup(path)
		got := " " + container
		if pod != nil {
			got = pod.Name + got
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

func FuzzByCgroup(f *testing.F) {
	f.Add("/kubepods.slice/kubepods-burstable-podu_1.slice/cri-containerd-c.scope")
	m := New(Config{})
	m.insert(&Pod{Name: "p", UID: "u-1", Containers: map[string]string{"c": "main"}})
	f.Fuzz(func(t *testing.T, path string) {
		if p, container := m.ByCgroup(path); p == nil && container != "" || p != nil && p.Name != "p" {
			t.Errorf("%q: %v, %q", path, p, container)
		}
	})
}
