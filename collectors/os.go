package collectors

// Which distribution this is, from /etc/os-release or else /usr/lib/os-release
// (os-release(5)): assignments as a shell takes them.
//
//	NAME="Ubuntu"
//	VERSION_ID="24.04"
//	SUPPORT_END=2029-05-31

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	osInfo = expo.Gauge("node_os_info", "Which distribution this is, by its os-release file; always 1.",
		"build_id", "id", "id_like", "image_id", "image_version", "name", "pretty_name", "variant", "variant_id", "version", "version_codename", "version_id")
	osVersion    = expo.Gauge("node_os_version", "The first two parts of the distribution's version, as a number.", "id", "id_like", "name")
	osSupportEnd = expo.Gauge("node_os_support_end_timestamp_seconds", "When support for the distribution ends.")
)

// osFiles are where the file may be, the first that is there counts.
var osFiles = [...]string{"etc/os-release", "usr/lib/os-release"}

type osRelease struct {
	host hostfs.FS

	text   []byte // what the rest was made of
	info   []string
	about  []string // labels of the version
	number float64
	end    time.Time
}

func newOS(c Config) (Collector, error) { return &osRelease{host: c.FS}, nil }

// Collect implements Collector. The file is read each time, since an upgrade puts
// another in its place, and taken apart when it is not the same.
func (o *osRelease) Collect(_ context.Context, w *expo.Writer) error {
	path, b, err := o.read()
	if err != nil {
		return absent(err)
	}
	if o.text == nil || !bytes.Equal(b, o.text) {
		v, err := parseOSRelease(b)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		o.text = b
		if err := o.take(v); err != nil {
			o.text = nil // say so each time
			err = fmt.Errorf("%s: %w", path, err)
			o.write(w)
			return err
		}
	}
	o.write(w)
	return nil
}

func (o *osRelease) read() (path string, b []byte, err error) {
	for _, name := range osFiles {
		path = o.host.RootPath(name)
		if b, err = hostfs.Read(path); !hostfs.Gone(err) {
			break
		}
	}
	return path, b, err
}

func (o *osRelease) write(w *expo.Writer) {
	w.Sample(osInfo, 1, o.info...)
	if o.number > 0 {
		w.Sample(osVersion, o.number, o.about...)
	}
	if !o.end.IsZero() {
		w.Sample(osSupportEnd, float64(o.end.Unix()))
	}
}

// take makes the samples of the variables. What is left empty by an error is the end of support.
func (o *osRelease) take(v map[string]string) error {
	o.info = o.info[:0]
	for _, label := range osInfo.Labels() {
		o.info = append(o.info, v[strings.ToUpper(label)])
	}
	o.about = []string{v["ID"], v["ID_LIKE"], v["NAME"]}
	o.number, o.end = leadingNumber(v["VERSION_ID"]), time.Time{}
	var err error
	if date := v["SUPPORT_END"]; date != "" {
		if o.end, err = time.Parse(time.DateOnly, date); err != nil {
			o.end = time.Time{}
			err = fmt.Errorf("SUPPORT_END: %w", err)
		}
	}
	return err
}

// leadingNumber is the number that s begins with, up to a second point: 22.04 of 22.04.1.
// Without one it is 0.
func leadingNumber(s string) float64 {
	end, points := 0, 0
	for end < len(s) && ('0' <= s[end] && s[end] <= '9' || s[end] == '.' && end > 0 && points == 0) {
		if s[end] == '.' {
			points++
		}
		end++
	}
	n, err := strconv.ParseFloat(s[:end], 64)
	if err != nil {
		return 0
	}
	return n
}

// parseOSRelease reads the assignments.
func parseOSRelease(b []byte) (map[string]string, error) {
	v := make(map[string]string)
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || !expo.ValidName(key) {
			return nil, fmt.Errorf("want NAME=value in %.60q", line)
		}
		if value, ok = shellValue(value); !ok {
			return nil, fmt.Errorf("a quote is left open in %.60q", line)
		}
		v[key] = value
	}
	return v, nil
}

// shellValue takes the quotes and backslashes away from a value. ok is false
// where a quote is not closed.
func shellValue(s string) (value string, ok bool) {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == quote && quote != 0:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == '\\' && quote != '\'' && i+1 < len(s) && (quote == 0 || strings.IndexByte("\"\\$`", s[i+1]) >= 0):
			i++
			b.WriteByte(s[i])
		case quote == 0 && c == '#' && b.Len() > 0 && i > 0 && s[i-1] == ' ': // a comment behind the value
			return strings.TrimRight(b.String(), " "), true
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), quote == 0
}
