package collectors

import (
	"strings"
	"testing"
)

func TestFilefd(t *testing.T) {
	c := make1(t, "filefd", on(tree(t, map[string]string{"proc/sys/fs/file-nr": "1024\t0\t1631329\n"})))
	same(t, render(t, c), `# TYPE node_filefd_allocated gauge
node_filefd_allocated 1024
# TYPE node_filefd_maximum gauge
node_filefd_maximum 1631329
`)
}

// Where fs.file-max is not limited the kernel says 2^63-1.
func TestFilefdUnlimited(t *testing.T) {
	c := make1(t, "filefd", on(tree(t, map[string]string{"proc/sys/fs/file-nr": "1152\t0\t9223372036854775807\n"})))
	if v := values(t, render(t, c)); v["node_filefd_maximum"] != 9223372036854775807 {
		t.Errorf("maximum %v", v["node_filefd_maximum"])
	}
}

func TestFilefdBad(t *testing.T) {
	for _, text := range []string{"", "1024\t0\n", "1024\t0\tmany\n", "-1 0 2"} {
		c := make1(t, "filefd", on(tree(t, map[string]string{"proc/sys/fs/file-nr": text})))
		out, err := renderErr(c)
		if err == nil || out != "" || !strings.Contains(err.Error(), "proc/sys/fs/file-nr") {
			t.Errorf("%q: error %v, said %q", text, err, out)
		}
	}
}

func FuzzFileNr(f *testing.F) {
	f.Add([]byte("1024\t0\t1631329\n"))
	f.Add([]byte("1024"))
	f.Fuzz(func(t *testing.T, b []byte) {
		nr, err := parseFileNr(b)
		if err != nil && nr != (fileNr{}) {
			t.Errorf("%q: %+v beside the error %v", b, nr, err)
		}
	})
}
