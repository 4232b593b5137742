package cli

// Configuration files: what can be said by flags can be said in YAML instead. A
// key is a flag's name, whole or nested at its dots; docs/configuration.md has the
// format for its readers. The flags are the only list of what there is: a flag
// that is added can be set in a file at once.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kingpin/v2"
	"go.yaml.in/yaml/v3"
)

// Bounds of a configuration file.
const (
	maxConfigFile = 1 << 20 // bytes
	maxMistakes   = 20      // told at a time
)

// configFlag is the flag that names the file.
const configFlag = "config.file"

// switchKey stands for the switch itself among the settings below it: netdev.enabled
// is netdev, which in nested form is the name of a group as well.
const switchKey = "enabled"

// FileError is a mistake in a configuration file.
type FileError struct {
	File   string
	Line   int    // counted from 1; 0 where no single line is to blame
	Key    string // the flag's name, "" where it is not about one
	Reason string
}

// Error is one line: file:line: key: reason.
func (e *FileError) Error() string {
	text := e.File
	if e.Line > 0 {
		text += ":" + strconv.Itoa(e.Line)
	}
	if e.Key != "" {
		text += ": " + e.Key
	}
	return text + ": " + oneLine(e.Reason)
}

// oneLine replaces line breaks and other bytes that do not belong into a message.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// configFile is an App's part for configuration files.
type configFile struct {
	arg      *kingpin.ArgClause // of the command that checks one
	name     string             // of the file that was read, if any
	settings []setting          // what it says, in its order
	without  string             // a flag whose setting is passed over: see Blame
}

// setting is one flag as a file sets it.
type setting struct {
	flag   string
	line   int
	toggle bool
	values []value // several for repeatable flags only
}

// value is the text that a flag would be given on the command line.
type value struct {
	text string
	line int
}

// UseConfigFile gives the program --config.file, and to its command check a
// command config that takes a file as argument. It returns the latter's name.
func (a *App) UseConfigFile(check *kingpin.CmdClause) (command string) {
	a.Flag(configFlag, "YAML file that sets flags. Those of the command line and of the environment come before it.").PlaceHolder("FILE").String()
	cmd := check.Command("config", "Check a configuration file, without running anything.")
	a.file.arg = cmd.Arg("file", "The file, as for --"+configFlag+".")
	a.file.arg.Required().String()
	return cmd.FullCommand()
}

// Settings tells which configuration file was read, and how many flags it sets.
func (a *App) Settings() (file string, n int) { return a.file.name, len(a.file.settings) }

// Without makes Parse pass over what the configuration file says of a flag.
func (a *App) Without(flag string) { a.file.without = flag }

// Blame tells an error that was found in the flags as a mistake in the
// configuration file, if one of the file's settings is its cause: one without
// which it would not be. again tells what happens without that of a flag.
func (a *App) Blame(err error, again func(without string) error) error {
	if bad := new(UsageError); !errors.As(err, &bad) {
		return err
	}
	if told := new(FileError); errors.As(err, &told) {
		return err
	}
	// A switch may only be what brings the mistake of another setting to light.
	for _, toggle := range []bool{false, true} {
		for _, s := range a.file.settings {
			if s.toggle != toggle {
				continue
			}
			if other := again(s.flag); other == nil || other.Error() != err.Error() {
				return Usage(&FileError{File: a.file.name, Line: s.line, Key: s.flag, Reason: err.Error()})
			}
		}
	}
	return err
}

// readConfigFile reads the configuration file that the command line or the
// environment names, and sets the flags that neither of them sets. To be called
// before the command line is parsed, for kingpin then sets the other ones.
func (a *App) readConfigFile(parsed *kingpin.ParseContext) error {
	if a.file.arg == nil {
		return nil
	}
	a.file.name = os.Getenv(a.GetFlag(configFlag).Model().Envar)
	for _, e := range parsed.Elements {
		if f, ok := e.Clause.(*kingpin.FlagClause); ok && f.Model().Name == configFlag && e.Value != nil {
			a.file.name = *e.Value
		}
	}
	for _, e := range parsed.Elements {
		if e.Clause == a.file.arg && e.Value != nil {
			a.file.name = *e.Value
		}
	}
	if a.file.name == "" {
		return nil
	}
	text, err := readBounded(a.file.name)
	if err != nil {
		return fmt.Errorf("--%s: %w", configFlag, err)
	}
	settings, mistakes := parseConfigFile(text, a.known())
	for _, s := range settings {
		if s.flag == a.file.without {
			continue
		}
		a.file.settings = append(a.file.settings, s)
		mistakes = append(mistakes, a.set(s)...)
	}
	return a.told(mistakes)
}

// told makes one error of mistakes, in the order of the file.
func (a *App) told(mistakes []*FileError) error {
	slices.SortStableFunc(mistakes, func(x, y *FileError) int { return x.Line - y.Line })
	var errs []error
	for i, m := range mistakes {
		if i == maxMistakes {
			errs = append(errs, fmt.Errorf("and %d more mistakes", len(mistakes)-i))
			break
		}
		m.File = a.file.name
		errs = append(errs, m)
	}
	return errors.Join(errs...)
}

// set sets a flag as the file says. Where the command line or the environment sets
// it too, what the file says is only checked, and replaced later.
func (a *App) set(s setting) (mistakes []*FileError) {
	clause := a.GetFlag(s.flag)
	model := clause.Model()
	if a.overrides(s.flag) && kindOf(model) != single && kindOf(model) != toggle {
		return nil // setting it would add to the values that count
	}
	clause.Default()
	for _, v := range s.values {
		if err := model.Value.Set(v.text); err != nil {
			mistakes = append(mistakes, &FileError{Line: v.line, Key: s.flag, Reason: fmt.Sprintf("%s: %v", quote(v.text), err)})
		}
	}
	return mistakes
}

// sets tells whether the file sets a flag.
func (f *configFile) sets(flag string) bool {
	return slices.ContainsFunc(f.settings, func(s setting) bool { return s.flag == flag })
}

// readBounded reads a file that is not larger than one of flags can be.
func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfigFile+1))
	if err == nil && len(text) > maxConfigFile {
		err = fmt.Errorf("%s: larger than %d bytes", name, maxConfigFile)
	}
	return text, err
}

// kind is what a flag takes.
type kind int

const (
	single kind = iota // one value
	toggle             // true or false
	list               // a list of values
	pairs              // a list of name=value
	never              // nothing from a file
)

// kindOf tells what a flag takes.
func kindOf(m *kingpin.FlagModel) kind {
	if g, ok := m.Value.(kingpin.Getter); ok {
		if _, ok := g.Get().(map[string]string); ok {
			return pairs
		}
	}
	c, repeatable := m.Value.(interface{ IsCumulative() bool })
	switch {
	case m.IsBoolFlag():
		return toggle
	case repeatable && c.IsCumulative():
		return list
	}
	return single
}

// known are the program's flags. Those that only make sense on the command line
// are there too, to be told from unknown ones.
func (a *App) known() map[string]kind {
	flags := make(map[string]kind)
	for _, m := range a.Model().Flags {
		flags[m.Name] = kindOf(m)
	}
	for _, name := range []string{"help", "help-long", "help-man", "completion-bash", "completion-script-bash", "completion-script-zsh", "version", configFlag} {
		flags[name] = never
	}
	return flags
}

// configParser turns YAML into settings.
type configParser struct {
	flags    map[string]kind
	groups   map[string]bool // names that stand before a dot in those of flags
	seen     map[string]int  // line by flag
	settings []setting
	mistakes []*FileError
}

// parseConfigFile turns the text of a configuration file into what it says of the
// flags that there are, and what is wrong with it. It does not look into values.
func parseConfigFile(text []byte, flags map[string]kind) ([]setting, []*FileError) {
	p := &configParser{flags: flags, groups: make(map[string]bool), seen: make(map[string]int)}
	for name := range flags {
		for i, c := range name {
			if c == '.' {
				p.groups[name[:i]] = true
			}
		}
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil // nothing but comments
	case err != nil:
		p.broken(err)
		return nil, p.mistakes
	}
	if err := d.Decode(&more); err == nil {
		p.mistake(more.Line, "", "only one document can be in the file")
	} else if !errors.Is(err, io.EOF) {
		p.broken(err)
	}
	for _, n := range doc.Content {
		switch {
		case isNull(n): // "---" alone
		case n.Kind != yaml.MappingNode:
			p.mistake(n.Line, "", "want names of flags with their values, not "+describe(n))
		default:
			p.group("", n)
		}
	}
	return p.settings, p.mistakes
}

func (p *configParser) mistake(line int, key, reason string) {
	p.mistakes = append(p.mistakes, &FileError{Line: line, Key: key, Reason: reason})
}

// broken is for what is not YAML: "yaml: line 7: did not find expected key".
func (p *configParser) broken(err error) {
	reason, line := strings.TrimPrefix(err.Error(), "yaml: "), 0
	if rest, ok := strings.CutPrefix(reason, "line "); ok {
		if number, what, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				line, reason = n, what
			}
		}
	}
	p.mistake(line, "", reason)
}

// group reads the settings whose names begin with prefix. The names of flags bound
// how deep that goes.
func (p *configParser) group(prefix string, n *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		name := prefix + k.Value
		above := strings.TrimSuffix(prefix, ".")
		kind, known := p.flags[name]
		switch {
		case k.Kind != yaml.ScalarNode:
			p.mistake(k.Line, above, "want the name of a flag, not "+describe(k))
		case known && (v.Kind != yaml.MappingNode || kind == pairs || kind == never):
			p.setting(name, kind, k, v)
		case p.groups[name] && v.Kind == yaml.MappingNode:
			p.group(name+".", v)
		case known:
			p.setting(name, kind, k, v)
		case p.groups[name] && isNull(v): // all below it is commented out
		case p.groups[name]:
			p.mistake(v.Line, name, "is a group of settings; want them, not "+describe(v))
		case k.Value == switchKey && p.flags[above] == toggle && above != "":
			p.setting(above, toggle, k, v)
		default:
			p.mistake(k.Line, quoteName(name), "there is no such flag"+p.hint(name))
		}
	}
}

// hint helps those who write the name of a switch as on the command line.
func (p *configParser) hint(name string) string {
	plain := strings.TrimLeft(name, "-")
	last := strings.LastIndexByte(plain, '.') + 1 // collector: {no-arp: true}
	for _, from := range []int{0, last} {
		if off, no := strings.CutPrefix(plain[from:], "no-"); no && p.flags[plain[:from]+off] == toggle {
			return "; write " + plain[:from] + off + ": false"
		}
	}
	if _, known := p.flags[plain]; known {
		return "; write it without the dashes"
	}
	return ""
}

// setting reads what the file says of one flag.
func (p *configParser) setting(name string, kind kind, k, v *yaml.Node) {
	if line, again := p.seen[name]; again {
		p.mistake(k.Line, name, fmt.Sprintf("is set in line %d already", line))
		return
	}
	p.seen[name] = k.Line
	if kind == never {
		p.mistake(k.Line, name, "is for the command line only")
		return
	}
	before := len(p.mistakes)
	s := setting{flag: name, line: k.Line, toggle: kind == toggle, values: p.values(name, kind, v)}
	if len(p.mistakes) == before {
		p.settings = append(p.settings, s)
	}
}

// values are what v gives to a flag.
func (p *configParser) values(name string, kind kind, v *yaml.Node) (values []value) {
	add := func(n *yaml.Node, before string) {
		text, want := scalar(n, kind)
		if want != "" {
			p.mistake(n.Line, name, "want "+want+", not "+describe(n))
			return
		}
		values = append(values, value{before + text, n.Line})
	}
	switch {
	case v.Kind == yaml.SequenceNode && (kind == list || kind == pairs):
		for _, n := range v.Content {
			add(n, "")
		}
	case v.Kind == yaml.MappingNode && kind == pairs:
		for i := 0; i+1 < len(v.Content); i += 2 {
			k := v.Content[i]
			switch {
			case k.Kind != yaml.ScalarNode || k.Value == "" || strings.ContainsAny(k.Value, "=:"):
				p.mistake(k.Line, name, "want a name, not "+describe(k))
			case slices.ContainsFunc(values, func(v value) bool { return strings.HasPrefix(v.text, k.Value+"=") }):
				p.mistake(k.Line, name, quote(k.Value)+" is there twice")
			default:
				add(v.Content[i+1], k.Value+"=")
			}
		}
	default:
		add(v, "")
	}
	return values
}

// scalar is the text of n for a flag, as it would stand on the command line, or
// what is wanted instead.
func scalar(n *yaml.Node, kind kind) (text, want string) {
	truth := n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool"
	switch {
	case kind == toggle && !truth:
		return "", "true or false"
	case kind == toggle:
		return strings.ToLower(n.Value), ""
	case n.Kind != yaml.ScalarNode && kind == list:
		return "", "a list of values"
	case n.Kind != yaml.ScalarNode && kind == pairs:
		return "", "names with values"
	case n.Kind != yaml.ScalarNode || isNull(n):
		return "", "a value"
	case truth:
		return "", "a text or number (in quotes if that is meant)"
	}
	return n.Value, ""
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// describe tells what stands where something else is wanted.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a group"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "an alias: those are not for this file"
	case isNull(n):
		return "nothing"
	}
	return quote(n.Value)
}

// quote quotes a value, not more of it than a message can bear.
func quote(s string) string {
	const most = 60
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strconv.Quote(s)
}

// quoteName shows a key as it is, unless that would spoil the message.
func quoteName(name string) string {
	if q := quote(name); q != `"`+name+`"` {
		return q
	}
	return name
}
