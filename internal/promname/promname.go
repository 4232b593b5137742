// Package promname makes names of labels from the keys of Kubernetes' labels and
// annotations, as kube-state-metrics does.
package promname

import (
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Labels yields the entries of an object's map, its labels say, whose keys an
// allow list names, as names and values for labels of a sample, by key. A key of
// the list may hold stars, each for any text.
//
// Keys that make the same name get numbers: _conflict1 for the first of them,
// _conflict2 and so on, passing over names that others have. These are
// kube-state-metrics' names.
func Labels(prefix string, m map[string]string, allow []string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, l := range labels(prefix, m, allow) {
			if !yield(l.name, l.value) {
				return
			}
		}
	}
}

type label struct{ name, value string }

func labels(prefix string, m map[string]string, allow []string) []label {
	if len(m) == 0 {
		return nil
	}
	var labels []label
	holder := make(map[string]int, len(m)) // name: the index in labels of the first that had it
	numbers := map[string]int{}            // name: the last number given to one that clashed
	number := func(name string, i int) string {
		for {
			numbers[name]++
			n := name + "_conflict" + strconv.Itoa(numbers[name])
			if _, taken := holder[n]; !taken {
				holder[n] = i
				return n
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if !slices.ContainsFunc(allow, func(pattern string) bool { return matches(pattern, key) }) {
			continue
		}
		name := labelName(prefix, key)
		if first, taken := holder[name]; !taken {
			holder[name] = len(labels)
		} else {
			if labels[first].name == name {
				labels[first].name = number(name, first)
			}
			name = number(name, len(labels))
		}
		labels = append(labels, label{name, m[key]})
	}
	return labels
}

// matches tells whether a key fits a pattern in which each star is any text.
func matches(pattern, key string) bool {
	head, tail, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == key
	}
	rest, ok := strings.CutPrefix(key, head)
	if !ok {
		return false
	}
	for i := range len(rest) + 1 {
		if matches(tail, rest[i:]) {
			return true
		}
	}
	return false
}

// labelName makes the name of a label from a key, as kube-state-metrics does:
// what a name cannot hold becomes an underscore, and capitals lower case, with an
// underscore before one that follows a small letter or a digit.
func labelName(prefix, key string) string {
	name := make([]byte, 0, len(prefix)+len(key)+8)
	name = append(name, prefix...)
	var last byte
	for i := range len(key) {
		c := key[i]
		switch {
		case 'A' <= c && c <= 'Z':
			if 'a' <= last && last <= 'z' || '0' <= last && last <= '9' {
				name = append(name, '_')
			}
			name = append(name, c+'a'-'A')
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			name = append(name, c)
		default:
			name = append(name, '_')
		}
		last = c
	}
	return string(name)
}
