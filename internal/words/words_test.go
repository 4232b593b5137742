package words

import (
	"errors"
	"slices"
	"testing"
)

func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "",
		"one line":                 "one line",
		" two\n  lines,\r\n\tor 3": "two lines, or 3",
	} {
		if got := OneLine(errors.New(text)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct{ lists, want []string }{
		{nil, nil},
		{[]string{"", " , ,"}, nil},
		{[]string{"a, b c ,a", "d"}, []string{"a", "b c", "a", "d"}},
		{[]string{"pods, nodes", "", ",secrets"}, []string{"pods", "nodes", "secrets"}},
	} {
		if got := Split(c.lists...); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.lists, got, c.want)
		}
	}
}
