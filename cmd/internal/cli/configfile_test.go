package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// program has a flag of each kind.
type program struct {
	*App
	check    string
	count    *int
	wait     *time.Duration
	names    *[]string
	labels   *map[string]string
	disk     *bool
	diskSkip *string
	net      *bool
}

func newProgram() *program {
	p := &program{App: New("prog", "For tests.", ":1")}
	p.Command("serve", "Serve.").Default()
	check := p.Command("check", "Check.")
	check.Command("all", "Check all.").Default()
	p.check = p.UseConfigFile(check)
	p.count = p.Flag("count", "A number.").Default("3").Int()
	p.wait = p.Flag("wait", "A time.").Default("1s").Duration()
	p.names = p.Flag("part.name", "Names.").Default("first", "second").Strings()
	p.labels = p.Flag("label", "Pairs.").StringMap()
	p.disk = p.Flag("part.disk", "A switch with settings below.").Default("true").Bool()
	p.diskSkip = p.Flag("part.disk.skip", "A text.").Default("loop").String()
	p.net = p.Flag("part.net", "A switch.").Bool()
	return p
}

// state is what the flags say.
func (p *program) state() string {
	var labels []string
	for _, k := range slices.Sorted(maps.Keys(*p.labels)) {
		labels = append(labels, k+"="+(*p.labels)[k])
	}
	return fmt.Sprintf("count %d, wait %s, names %q, labels %q, disk %t, skip %q, net %t, listen %q, level %s",
		*p.count, *p.wait, *p.names, labels, *p.disk, *p.diskSkip, *p.net, *p.addresses, *p.logLevel)
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "prog.yml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

const defaults = `count 3, wait 1s, names ["first" "second"], labels [], disk true, skip "loop", net false, listen [":1"], level info`

func TestConfigFile(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		env        map[string]string
		args       []string
		want       string
	}{
		{name: "empty", want: defaults},
		{name: "comments", text: "# nothing\n---\n", want: defaults},
		{name: "an empty group", text: "part:\n# disk: false\nweb: {}\n", want: defaults},
		{name: "flat", text: "count: 4\nwait: 2m\npart.name: [a, b]\nlabel: [x=1, y=2]\npart.disk: false\npart.disk.skip: '^ram'\npart.net: true\nweb.listen-address: ':2'\nlog.level: debug\n",
			want: `count 4, wait 2m0s, names ["a" "b"], labels ["x=1" "y=2"], disk false, skip "^ram", net true, listen [":2"], level debug`},
		{name: "nested", text: "part:\n  name: [a]\n  disk:\n    enabled: false\n    skip: ''\n  net: True\nlabel:\n  x: 1\n  y: '='\nweb: {listen-address: [':2', ':3']}\n",
			want: `count 3, wait 1s, names ["a"], labels ["x=1" "y=="], disk false, skip "", net true, listen [":2" ":3"], level info`},
		{name: "mixed", text: "part.disk:\n  skip: a\npart:\n  disk: false\n", want: strings.NewReplacer("disk true", "disk false", "loop", "a").Replace(defaults)},
		{name: "an empty list", text: "part.name: []\n", want: strings.Replace(defaults, `["first" "second"]`, "[]", 1)},
		{name: "the environment comes before the file", text: "count: 4\npart: {name: [a], net: true}\n",
			env:  map[string]string{"PROG_COUNT": "5", "PROG_PART_NAME": "e\nf"},
			want: strings.NewReplacer("count 3", "count 5", `"first" "second"`, `"e" "f"`, "net false", "net true").Replace(defaults)},
		{name: "the command line comes before both", text: "count: 4\nwait: 2s\npart: {name: [a], net: true, disk: false}\nlabel: {a: b}\n",
			env: map[string]string{"PROG_COUNT": "5"}, args: []string{"--count=6", "--part.name=c", "--no-part.net", "--part.disk", "--label=x=y"},
			want: strings.NewReplacer("count 3", "count 6", "1s", "2s", `"first" "second"`, `"c"`, "labels []", `labels ["x=y"]`).Replace(defaults)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for k, v := range tc.env {
				t.Setenv(k, v)
			}
			p := newProgram()
			if _, err := p.Parse(append(tc.args, "--config.file="+writeFile(t, tc.text))); err != nil {
				t.Fatal(err)
			}
			if got := p.state(); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestConfigFileMistakes(t *testing.T) {
	for _, tc := range []struct {
		text string
		want []string // lines, without the file
	}{
		{"count: x\n", []string{`1: count: "x": strconv.ParseFloat: parsing "x": invalid syntax`}},
		{"\nwait: 3\n", []string{`2: wait: "3": time: missing unit in duration "3"`}},
		{"log: {level: loud}\n", []string{`1: log.level: "loud": enum value must be one of debug,info,warn,error, got 'loud'`}},
		{"nonsense: 1\n", []string{"1: nonsense: there is no such flag"}},
		{"part:\n  disc: {skip: a}\n", []string{"2: part.disc: there is no such flag"}},
		{"--count: 1\n", []string{"1: --count: there is no such flag; write it without the dashes"}},
		{"no-part.net: true\npart: {no-disk: true}\n", []string{"1: no-part.net: there is no such flag; write part.net: false", "2: part.no-disk: there is no such flag; write part.disk: false"}},
		{"enabled: true\n", []string{"1: enabled: there is no such flag"}},
		{"part.net: {enabled: true}\n", []string{"1: part.net: want true or false, not a group"}},
		{"part.net: yes\n", []string{`1: part.net: want true or false, not "yes"`}},
		{"part.net: 'true'\n", []string{`1: part.net: want true or false, not "true"`}},
		{"part.disk.skip: true\n", []string{`1: part.disk.skip: want a text or number (in quotes if that is meant), not "true"`}},
		{"part.disk.skip: [a]\n", []string{"1: part.disk.skip: want a value, not a list"}},
		{"part.disk.skip:\n", []string{"1: part.disk.skip: want a value, not nothing"}},
		{"part.name: {a: b}\n", []string{"1: part.name: want a list of values, not a group"}},
		{"part.name:\n- a\n- [b]\n- ~\n", []string{"3: part.name: want a list of values, not a list", "4: part.name: want a value, not nothing"}},
		{"label: a\n", []string{`1: label: "a": expected KEY=VALUE got 'a'`}},
		{"label: {a: [1]}\n", []string{"1: label: want names with values, not a list"}},
		{"label: {a: 1, 'b=c': 2, a: 3}\n", []string{`1: label: want a name, not "b=c"`, `1: label: "a" is there twice`}},
		{"part: 1\n", []string{`1: part: is a group of settings; want them, not "1"`}},
		{"part.net: true\npart:\n  net: true\n", []string{"3: part.net: is set in line 1 already"}},
		{"part.disk: true\npart: {disk: {enabled: true}}\n", []string{"2: part.disk: is set in line 1 already"}},
		{"config.file: a\nversion: true\n", []string{"1: config.file: is for the command line only", "2: version: is for the command line only"}},
		{"a: &x 1\ncount: *x\n", []string{"1: a: there is no such flag", "2: count: want a value, not an alias: those are not for this file"}},
		{"[1]: 2\n", []string{"1: want the name of a flag, not a list"}},
		{"? |\n  a\n  b\n: 1\n", []string{`1: "a\nb\n": there is no such flag`}},
		{"- count\n", []string{"1: want names of flags with their values, not a list"}},
		{"count: 1\n---\ncount: 2\n", []string{"2: only one document can be in the file"}},
		{"count: 1\n wait: 2\n", []string{"2: mapping values are not allowed in this context"}},
		{"count: \xff\n", []string{"yaml"}},
	} {
		name := writeFile(t, tc.text)
		_, err := newProgram().Parse([]string{"--config.file", name})
		if bad := new(UsageError); !errors.As(err, &bad) {
			t.Errorf("%q: error %v, want a mistake", tc.text, err)
			continue
		}
		got := strings.Split(err.Error(), "\n")
		if len(tc.want) == 1 && tc.want[0] == "yaml" {
			if len(got) != 1 || !strings.HasPrefix(got[0], name+":") {
				t.Errorf("%q: %q", tc.text, got)
			}
			continue
		}
		for i := range got {
			got[i] = strings.TrimPrefix(got[i], name+":")
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%q:\ngot  %q\nwant %q", tc.text, got, tc.want)
		}
	}
}

// A setting that the command line replaces is wrong all the same, but an unknown
// flag on the command line is told before it.
func TestConfigFileMistakeBesideCommandLine(t *testing.T) {
	name := writeFile(t, "count: x\n")
	if _, err := newProgram().Parse([]string{"--config.file", name, "--count=1"}); err == nil || !strings.HasPrefix(err.Error(), name+":1: count: ") {
		t.Errorf("got %v", err)
	}
	if _, err := newProgram().Parse([]string{"--config.file", name, "--nonsense"}); err == nil || strings.Contains(err.Error(), name) {
		t.Errorf("got %v", err)
	}
}

func TestConfigFileMany(t *testing.T) {
	_, err := newProgram().Parse([]string{"--config.file", writeFile(t, strings.Repeat("x: 1\n", 100))})
	if err == nil || strings.Count(err.Error(), "\n") != maxMistakes || !strings.HasSuffix(err.Error(), "and 80 more mistakes") {
		t.Errorf("got %v", err)
	}
}

func TestConfigFileUnreadable(t *testing.T) {
	dir := t.TempDir()
	large := writeFile(t, strings.Repeat("#\n", maxConfigFile/2+1))
	for _, name := range []string{dir, filepath.Join(dir, "absent"), large} {
		_, err := newProgram().Parse([]string{"--config.file", name})
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The file is named by the flag, by the environment or by the command that checks it.
func TestConfigFileNamed(t *testing.T) {
	name, other := writeFile(t, "count: 4\npart.net: true\n"), writeFile(t, "count: 5\n")
	for _, tc := range []struct {
		env   string
		args  []string
		count int
	}{
		{name, nil, 4},
		{other, []string{"--config.file", name}, 4},
		{other, []string{"--config.file", other, "check", "config", name}, 4},
		{"", []string{"check", "config", name}, 4},
	} {
		t.Setenv("PROG_CONFIG_FILE", tc.env)
		p := newProgram()
		command, err := p.Parse(tc.args)
		if err != nil {
			t.Fatal(err)
		}
		if file, n := p.Settings(); *p.count != tc.count || file != name || n != 2 {
			t.Errorf("%q: count %d, %d settings of %s", tc.args, *p.count, n, file)
		}
		if (command == p.check) != slices.Contains(tc.args, "config") {
			t.Errorf("%q: command %q", tc.args, command)
		}
		if !p.Given("part.net") || !p.Given("count") || p.Given("wait") {
			t.Error("what is given is not what the file sets")
		}
	}
}

func TestBlame(t *testing.T) {
	name := writeFile(t, "part:\n  disk: true\n  disk.skip: wrong\n  net: true\nwait: 5s\n")
	args := []string{"--config.file", name}
	try := func(without string) (*program, error) {
		p := newProgram()
		p.Without(without)
		if _, err := p.Parse(args); err != nil {
			return p, err
		}
		switch {
		case *p.disk && *p.net && *p.diskSkip == "wrong":
			return p, Usage(errors.New("cannot skip wrong"))
		case *p.wait == 5*time.Second:
			return p, Usage(errors.New("five is too much"))
		}
		return p, nil
	}
	p, err := try("")
	again := func(without string) error { _, err := try(without); return err }
	if got, want := fmt.Sprint(p.Blame(err, again)), name+":3: part.disk.skip: cannot skip wrong"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	elsewhere := Usage(errors.New("not because of the file"))
	if got := p.Blame(elsewhere, func(string) error { return elsewhere }); got != elsewhere {
		t.Errorf("got %v", got)
	}
	late := errors.New("no mistake in flags")
	if got := p.Blame(late, again); got != late {
		t.Errorf("got %v", got)
	}
}

// FuzzConfigFile: whatever is in the file, what comes out are settings of flags
// that exist, or mistakes of one line each that name where they are.
func FuzzConfigFile(f *testing.F) {
	for _, s := range []string{
		"", "count: 4\n", "part:\n  name: [a, b]\n  disk: {enabled: false, skip: x}\n", "label: {a: b}\nlog.level: warn\n",
		"a: &x [*x]\n", "count: 1\n---\n", "part: {<<: {net: true}}\n", "? [a]\n: b\n", "\xff\xfe", "part.net: !!bool yes\n", "label: !!map a\n",
	} {
		f.Add([]byte(s))
	}
	flags := newProgram().known()
	f.Fuzz(func(t *testing.T, text []byte) {
		settings, mistakes := parseConfigFile(text, flags)
		seen := make(map[string]bool)
		for _, s := range settings {
			kind, known := flags[s.flag]
			if !known || kind == never || seen[s.flag] || s.line < 1 {
				t.Errorf("setting %+v", s)
			}
			if kind != list && kind != pairs && len(s.values) != 1 {
				t.Errorf("setting %+v has %d values", s, len(s.values))
			}
			seen[s.flag] = true
		}
		for _, m := range mistakes {
			if e := m.Error(); strings.ContainsAny(e, "\n\r") || m.Reason == "" {
				t.Errorf("mistake %q", e)
			}
		}
		if len(mistakes) > 0 {
			return
		}
		name := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := newProgram().Parse([]string{"--config.file", name}); err != nil && !strings.Contains(err.Error(), name) {
			t.Errorf("error %q does not name the file", err)
		}
	})
}
