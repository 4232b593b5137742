// Package words holds what is done to short texts everywhere: errors that go onto one
// line, and lists of names that are written with commas.
package words

import "strings"

// OneLine is an error's text without its line ends: each run of white space is one
// space.
func OneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// Split are the words of lists that are separated by commas, without the space around
// them; empty ones are left out.
func Split(lists ...string) (all []string) {
	for _, list := range lists {
		for word := range strings.SplitSeq(list, ",") {
			if word = strings.TrimSpace(word); word != "" {
				all = append(all, word)
			}
		}
	}
	return all
}
