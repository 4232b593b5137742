package main

// The Dockerfile of the repository is the one place that says what is in an image and how
// it is started; this reads the part of its language that the final stages need:
//
//	FROM scratch AS base
//	ARG VERSION=unknown
//	LABEL org.opencontainers.image.version=$VERSION
//	COPY --from=build /out/ca-certificates.crt /etc/ssl/certs/
//	USER 65534:65534
//	FROM base AS node-agent
//	ENTRYPOINT ["/node-agent"]
//
// https://docs.docker.com/reference/dockerfile/. What is not known is refused, as an image
// that differs from docker's would be a surprise. Stages that begin with another image than
// scratch are docker's business: they make what `image --stage` makes.

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// stage is one target of the Dockerfile that begins with nothing.
type stage struct {
	name, base string
	labels     map[string]string
	user       string
	ports      []string // 9100/tcp
	volumes    []string
	entrypoint []string
	copies     []copied
}

// copied is one COPY instruction.
type copied struct {
	uid, gid int
	sources  []string // absolute, in the stage that builds
	dest     string   // absolute; with a slash at its end a folder that gets the sources
}

// parseDockerfile reads the stages that begin with scratch, or with one of those before,
// in their order. args are the values of ARG instructions, as of --build-arg.
func parseDockerfile(text string, args map[string]string) ([]stage, error) {
	var stages []stage
	var now *stage // nil in stages that are not ours
	var declared map[string]string
	inherited := map[string]map[string]string{} // declared, by stage
	for _, l := range instructions(text) {
		fail := func(err error) error { return fmt.Errorf("line %d: %s: %w", l.number, l.text, err) }
		name, rest, _ := strings.Cut(l.text, " ")
		name, rest = strings.ToUpper(name), strings.TrimSpace(rest)
		if name == "FROM" {
			s, err := from(rest, stages)
			if err != nil {
				return nil, fail(err)
			}
			if now = s; s == nil {
				continue
			}
			if slices.ContainsFunc(stages, func(o stage) bool { return o.name == s.name }) {
				return nil, fail(fmt.Errorf("there are two stages %q", s.name))
			}
			if declared = maps.Clone(inherited[s.base]); declared == nil {
				declared = map[string]string{}
			}
			inherited[s.name] = declared
			stages = append(stages, *s)
			now = &stages[len(stages)-1]
			continue
		}
		if now == nil {
			continue
		}
		words, err := split(rest, func(arg string) (string, error) {
			if v, found := declared[arg]; found {
				return v, nil
			}
			return "", fmt.Errorf("no ARG %s before it in this stage", arg)
		})
		if err == nil && len(words) == 0 {
			err = errors.New("nothing follows")
		}
		if err == nil {
			err = now.instruction(name, rest, words, args, declared)
		}
		if err != nil {
			return nil, fail(err)
		}
	}
	if len(stages) == 0 {
		return nil, errors.New("no stage begins with scratch")
	}
	return stages, nil
}

// from reads the rest of a FROM: a new stage, or nil where it is none of ours.
func from(rest string, stages []stage) (*stage, error) {
	f := strings.Fields(rest)
	for len(f) > 0 && strings.HasPrefix(f[0], "--") {
		f = f[1:]
	}
	if len(f) != 1 && (len(f) != 3 || !strings.EqualFold(f[1], "as")) {
		return nil, errors.New("want FROM IMAGE AS NAME")
	}
	var s stage
	if i := slices.IndexFunc(stages, func(o stage) bool { return o.name == f[0] }); i >= 0 {
		s = stages[i]
		s.labels = maps.Clone(s.labels)
		s.ports, s.volumes, s.copies = slices.Clone(s.ports), slices.Clone(s.volumes), slices.Clone(s.copies)
	} else if f[0] != "scratch" {
		return nil, nil
	}
	if len(f) != 3 {
		return nil, errors.New("a stage that is an image needs a name: FROM IMAGE AS NAME")
	}
	s.name, s.base = f[2], f[0]
	return &s, nil
}

// instruction is what one line does to the stage.
func (s *stage) instruction(name, rest string, words []string, args, declared map[string]string) error {
	switch name {
	case "ARG":
		for _, w := range words {
			arg, value, _ := strings.Cut(w, "=")
			if given, found := args[arg]; found {
				value = given
			}
			declared[arg] = value
		}
	case "LABEL":
		if s.labels == nil {
			s.labels = map[string]string{}
		}
		for _, w := range words {
			label, value, found := strings.Cut(w, "=")
			if !found || label == "" {
				return fmt.Errorf("want NAME=VALUE, not %q", w)
			}
			s.labels[label] = value
		}
	case "USER":
		if len(words) != 1 {
			return errors.New("want one user")
		}
		if _, _, err := owner(words[0]); err != nil {
			return err
		}
		s.user = words[0]
	case "EXPOSE":
		for _, w := range words {
			if port, err := strconv.ParseUint(w, 10, 16); err != nil || port == 0 {
				return fmt.Errorf("want a TCP port, not %q", w)
			}
			s.ports = append(s.ports, w+"/tcp")
		}
	case "VOLUME":
		for _, w := range words {
			if !path.IsAbs(w) {
				return fmt.Errorf("want an absolute path, not %q", w)
			}
		}
		s.volumes = append(s.volumes, words...)
	case "ENTRYPOINT":
		s.entrypoint = nil
		if err := json.Unmarshal([]byte(rest), &s.entrypoint); err != nil || len(s.entrypoint) == 0 {
			return errors.New(`want ["/program", "argument"]: there is no shell`)
		}
	case "COPY":
		c, err := copyLine(words)
		if err != nil {
			return err
		}
		s.copies = append(s.copies, c)
	default:
		return errors.New("not known to this program: see deploy/image/dockerfile.go")
	}
	return nil
}

func copyLine(words []string) (copied, error) {
	var c copied
	from := ""
	for len(words) > 0 && strings.HasPrefix(words[0], "--") {
		name, value, _ := strings.Cut(words[0], "=")
		var err error
		switch name {
		case "--from":
			from = value
		case "--chown":
			c.uid, c.gid, err = owner(value)
		default:
			err = fmt.Errorf("%s is not known to this program", name)
		}
		if err != nil {
			return c, err
		}
		words = words[1:]
	}
	if from == "" {
		return c, errors.New("want --from=STAGE: images hold what was built alone")
	}
	if len(words) < 2 {
		return c, errors.New("want what to copy, and where to")
	}
	c.sources, c.dest = words[:len(words)-1], words[len(words)-1]
	for _, w := range words {
		if !path.IsAbs(w) || strings.ContainsAny(w, "*?[") || slices.Contains(strings.Split(w, "/"), "..") {
			return c, fmt.Errorf("want absolute paths without wildcards and .., not %q", w)
		}
	}
	if len(c.sources) > 1 && !strings.HasSuffix(c.dest, "/") {
		return c, fmt.Errorf("several sources need a folder, %s/", c.dest)
	}
	return c, nil
}

// owner reads UID:GID; names mean nothing where there is no /etc/passwd, and a user without
// a group would have root's.
func owner(text string) (uid, gid int, err error) {
	u, g, _ := strings.Cut(text, ":")
	for _, n := range []struct {
		text string
		to   *int
	}{{u, &uid}, {g, &gid}} {
		v, err := strconv.ParseUint(n.text, 10, 31)
		if err != nil {
			return 0, 0, fmt.Errorf("want numbers, UID:GID, not %q", text)
		}
		*n.to = int(v)
	}
	return uid, gid, nil
}

// numbered is an instruction, with the number of its first line.
type numbered struct {
	number int
	text   string
}

// instructions are the lines without comments, continued ones in one piece.
func instructions(text string) []numbered {
	var list []numbered
	open := false // the line before went on
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		part, goesOn := strings.CutSuffix(line, `\`)
		part = strings.TrimSpace(part)
		if open {
			list[len(list)-1].text += " " + part
		} else {
			list = append(list, numbered{number, part})
		}
		open = goesOn
	}
	return list
}

// split takes words apart: separated by spaces, quoted with ", with $NAME and ${NAME}.
func split(text string, value func(string) (string, error)) ([]string, error) {
	var words []string
	var word strings.Builder
	begun, quoted := false, false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '"':
			begun, quoted = true, !quoted
		case c == '\'' && !quoted || c == '`' || c == '\\':
			return nil, fmt.Errorf("%c is not known to this program", c)
		case (c == ' ' || c == '\t') && !quoted:
			if begun {
				words = append(words, word.String())
				word.Reset()
				begun = false
			}
		case c == '$':
			name, length := variable(text[i+1:])
			if name == "" {
				return nil, errors.New("want $NAME or ${NAME}")
			}
			v, err := value(name)
			if err != nil {
				return nil, err
			}
			word.WriteString(v)
			begun = true
			i += length
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	if quoted {
		return nil, errors.New(`a " is not closed`)
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}

// variable reads NAME or {NAME}, and tells how long that was.
func variable(text string) (name string, length int) {
	inner, braces := strings.CutPrefix(text, "{")
	n := 0
	for n < len(inner) && (inner[n] == '_' || inner[n] >= '0' && inner[n] <= '9' || inner[n] >= 'A' && inner[n] <= 'Z' || inner[n] >= 'a' && inner[n] <= 'z') {
		n++
	}
	if !braces {
		return inner[:n], n
	}
	if n == len(inner) || inner[n] != '}' {
		return "", 0
	}
	return inner[:n], n + 2
}
