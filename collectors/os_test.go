package collectors

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestOS(t *testing.T) {
	fs := tree(t, map[string]string{
		"usr/lib/os-release": `# made up
NAME="Heron Linux"
ID=heron
ID_LIKE='debian ubuntu'
PRETTY_NAME="Heron \"Marsh\" \$1"
VERSION_ID=12.4.1
IMAGE_ID=a\ b

SUPPORT_END=2030-06-30
`,
		"etc/os-release": "-> ../usr/lib/os-release",
	})
	c := make1(t, "os", on(fs))
	want := `# TYPE node_os_info gauge
node_os_info{build_id="",id="heron",id_like="debian ubuntu",image_id="a b",image_version="",name="Heron Linux",pretty_name="Heron \"Marsh\" $1",variant="",variant_id="",version="",version_codename="",version_id="12.4.1"} 1
# TYPE node_os_version gauge
node_os_version{id="heron",id_like="debian ubuntu",name="Heron Linux"} 12.4
# TYPE node_os_support_end_timestamp_seconds gauge
node_os_support_end_timestamp_seconds 1909008000
`
	same(t, render(t, c), want)
	same(t, render(t, c), want)

	// An upgrade puts another file in its place.
	write(t, filepath.Join(fs.Root, "usr/lib/os-release"), "ID=heron\nVERSION_ID=rolling\n", false)
	same(t, render(t, c), `# TYPE node_os_info gauge
node_os_info{build_id="",id="heron",id_like="",image_id="",image_version="",name="",pretty_name="",variant="",variant_id="",version="",version_codename="",version_id="rolling"} 1
`)

	// A date that is none costs its own sample.
	write(t, filepath.Join(fs.Root, "usr/lib/os-release"), "VERSION_ID=7\nSUPPORT_END=soon\n", false)
	for range 2 {
		text, err := renderErr(c)
		if err == nil || !strings.Contains(err.Error(), "soon") || len(values(t, text)) != 2 {
			t.Errorf("%v, said %s", err, text)
		}
	}
}

func TestOSBad(t *testing.T) {
	for _, text := range []string{"\x7fELF\x02\x01", "NAME\n", "NAME=\"Heron\n", "A B=c\n", "=x\n"} {
		said, err := renderErr(make1(t, "os", on(tree(t, map[string]string{"etc/os-release": text}))))
		if err == nil || !strings.Contains(err.Error(), "etc/os-release") || said != "" {
			t.Errorf("%q: %v, said %s", text, err, said)
		}
	}
}

func FuzzParseOSRelease(f *testing.F) {
	for _, s := range []string{"NAME=x\n", "A='b c' # d\n", "A=\"\\\"\"", "A=\\", "\"", "VERSION_ID=1.2.3", "VERSION_ID=.", "A=b #c"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := parseOSRelease(b)
		if err != nil {
			return
		}
		for key, value := range v {
			if key == "" || len(value) > len(b) {
				t.Errorf("%q: %q is %q", b, key, value)
			}
		}
		if n := leadingNumber(v["VERSION_ID"]); !(n >= 0) {
			t.Errorf("%q: version %v", b, n)
		}
	})
}
