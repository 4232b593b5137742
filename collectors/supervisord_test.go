package collectors

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// supervisedXML is a process as supervisord describes it.
func supervisedXML(name, group, state, exit string) string {
	return `<value><struct>
<member><name>description</name><value><string>pid 7, uptime 0:01:02</string></value></member>
<member><name>pid</name><value><int>7</int></value></member>
<member><name>start</name><value><int>1700000000</int></value></member>
<member><name>state</name><value><int>` + state + `</int></value></member>
<member><name>exitstatus</name><value><i4>` + exit + `</i4></value></member>
<member><name>name</name><value>` + name + `</value></member>
<member><name>group</name><value><string>` + group + `</string></value></member>
</struct></value>`
}

func supervisordXML(processes ...string) string {
	return "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><array><data>\n" +
		strings.Join(processes, "\n") + "</data></array></value>\n</param>\n</params>\n</methodResponse>\n"
}

// supervisordServer answers as told, to those who ask as supervisord wants it.
func supervisordServer(t *testing.T, answer string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		if err != nil || r.Method != "POST" || r.URL.Path != "/RPC2" || user != "u" || password != "p" ||
			!strings.Contains(string(b), "<methodName>supervisor.getAllProcessInfo</methodName>") {
			t.Errorf("%s %s by %q: %s, %v", r.Method, r.URL, user, b, err)
		}
		io.WriteString(w, answer)
	})
}

const supervisordWant = `# TYPE node_supervisord_up gauge
node_supervisord_up{group="shop",name="web"} 1
node_supervisord_up{group="shop",name="mail"} 0
# TYPE node_supervisord_state gauge
node_supervisord_state{group="shop",name="web"} 20
node_supervisord_state{group="shop",name="mail"} 100
# TYPE node_supervisord_exit_status gauge
node_supervisord_exit_status{group="shop",name="web"} 0
node_supervisord_exit_status{group="shop",name="mail"} 3
# TYPE node_supervisord_start_time_seconds counter
node_supervisord_start_time_seconds{group="shop",name="web"} 1700000000
`

func TestSupervisord(t *testing.T) {
	handler := supervisordServer(t, supervisordXML(supervisedXML("web", "shop", "20", "0"), supervisedXML("mail", "shop", "100", "3")))

	s := httptest.NewServer(handler)
	defer s.Close()
	cfg := DefaultConfig()
	cfg.Supervisord.URL = strings.Replace(s.URL, "//", "//u:p@", 1) + "/RPC2"
	same(t, render(t, make1(t, "supervisord", cfg)), supervisordWant)

	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	u := &httptest.Server{Listener: l, Config: &http.Server{Handler: handler}}
	u.Start()
	defer u.Close()
	cfg.Supervisord.URL = "unix://u:p@" + socket
	same(t, render(t, make1(t, "supervisord", cfg)), supervisordWant)
}

func TestSupervisordBad(t *testing.T) {
	for answer, want := range map[string]string{
		"":                                  "EOF",
		"<html></html>":                     "methodResponse",
		"<methodResponse>":                  "EOF",
		"<methodResponse></methodResponse>": "want one",
		supervisordXML(supervisedXML("web", "shop", "up", "0")):           `"up"`,
		supervisordXML(supervisedXML("", "shop", "20", "0")):              "without name",
		supervisordXML("<value>text</value>"):                             "without name",
		strings.Repeat(" ", maxSupervisordAnswer+1):                       "more than",
		supervisordXML(supervisedXML("web", "shop", "20", "1e99")):        "exitstatus",
		"<methodResponse><fault><value></value></fault></methodResponse>": "does not say why",
		"<methodResponse><fault><value><struct><member><name>faultString</name><value><string>SHUTDOWN_STATE</string></value></member></struct></value></fault></methodResponse>": "SHUTDOWN_STATE",
	} {
		s := httptest.NewServer(supervisordServer(t, answer))
		cfg := DefaultConfig()
		cfg.Supervisord.URL = strings.Replace(s.URL, "//", "//u:p@", 1) + "/RPC2"
		out, err := renderErr(make1(t, "supervisord", cfg))
		s.Close()
		if err == nil || errors.Is(err, ErrNoData) || !strings.Contains(err.Error(), want) || out != "" {
			t.Errorf("%.80q: error %.200v, want %s; said %q", answer, err, want, out)
		}
	}
	s := httptest.NewServer(http.NotFoundHandler())
	cfg := DefaultConfig()
	cfg.Supervisord.URL = s.URL
	if _, err := renderErr(make1(t, "supervisord", cfg)); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("no such page: %v", err)
	}
	s.Close()
	for _, url := range []string{s.URL, "unix://" + t.TempDir() + "/none"} {
		cfg.Supervisord.URL = url
		if _, err := renderErr(make1(t, "supervisord", cfg)); !errors.Is(err, ErrNoData) {
			t.Errorf("%s, where nothing listens: %v", url, err)
		}
	}
	for _, url := range []string{"ftp://x/", "::", ""} {
		cfg.Supervisord.URL = url
		if _, err := build(cfg, []string{"supervisord"}); err == nil {
			t.Errorf("%q is accepted", url)
		}
	}
}

func FuzzSupervisord(f *testing.F) {
	f.Add([]byte(supervisordXML(supervisedXML("web", "shop", "20", "0"))))
	f.Add([]byte("<methodResponse><params><param><value/></param></params></methodResponse>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		processes, err := parseSupervisord(b)
		if err != nil {
			return
		}
		for _, p := range processes {
			if p.name == "" {
				t.Errorf("%q: %+v", b, p)
			}
		}
	})
}
