// Package pageapi is how the handlers behind the collector's page read their
// requests and write their answers: a window of a list, and the envelope that
// Prometheus' API has as well, so that one client reads both.
package pageapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// MaxRows is the most rows that one answer has.
const MaxRows = 500

// DefaultRows are answered where the request names no limit.
const DefaultRows = 50

// MaxWords bounds the text by which rows are looked for, in bytes.
const MaxWords = 500

// Error is a refusal with its HTTP status and the kind of error that stands in
// the envelope.
type Error struct {
	Status int
	Kind   string // "bad_data", "not_found", "unavailable"...
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// BadData is the answer to a request that asks for what there cannot be.
func BadData(format string, args ...any) error {
	return &Error{http.StatusBadRequest, "bad_data", fmt.Errorf(format, args...)}
}

// NotFound is the answer to a request for a thing that is not known.
func NotFound(format string, args ...any) error {
	return &Error{http.StatusNotFound, "not_found", fmt.Errorf(format, args...)}
}

// Cost is what an answer took.
type Cost struct {
	Queries int      `json:"queries"`           // that the storage was asked
	Samples int      `json:"samples"`           // that it read for them
	Seconds float64  `json:"seconds"`           // in all
	Age     float64  `json:"age"`               // seconds since what is kept was asked; 0 where nothing is
	Missing []string `json:"missing,omitempty"` // parts that failed, and why
}

// Add puts what a part took to the whole; their seconds are the same ones.
func (c *Cost) Add(part Cost) {
	c.Queries += part.Queries
	c.Samples += part.Samples
	c.Missing = append(c.Missing, part.Missing...)
}

// Costed is embedded into answers that tell their cost.
type Costed struct {
	Cost Cost `json:"cost"`
}

func (c *Costed) timing() string {
	return fmt.Sprintf(`view;dur=%.1f;desc="%d queries, %d samples"`, c.Cost.Seconds*1000, c.Cost.Queries, c.Cost.Samples)
}

// Handler answers GET (and HEAD) with what ask returns, as JSON. Where it
// is Costed, the header Server-Timing says so, which browsers show beside a request:
//
//	Server-Timing: view;dur=12.3;desc="4 queries, 1200 samples"
func Handler[T any](ask func(r *http.Request) (T, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			Refuse(w, &Error{http.StatusMethodNotAllowed, "bad_data", errors.New("this is read with GET")})
			return
		}
		data, err := ask(r)
		if err != nil {
			Refuse(w, err)
			return
		}
		if c, has := any(&data).(interface{ timing() string }); has {
			w.Header().Set("Server-Timing", c.timing())
		}
		write(w, http.StatusOK, envelope[T]{Status: "success", Data: &data})
	})
}

// Refuse answers with an error: an *Error as it says, a cancelled request with
// 499, one that ran out of time with 503, anything else with 500.
func Refuse(w http.ResponseWriter, err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{http.StatusInternalServerError, "internal", err}
		switch {
		case errors.Is(err, context.Canceled):
			e.Status, e.Kind = 499, "canceled" // as Prometheus' API
		case errors.Is(err, context.DeadlineExceeded):
			e.Status, e.Kind = http.StatusServiceUnavailable, "timeout"
		}
	}
	write(w, e.Status, envelope[struct{}]{Status: "error", ErrorType: e.Kind, Error: err.Error()})
}

type envelope[T any] struct {
	Status    string `json:"status"`
	Data      *T     `json:"data,omitempty"`
	ErrorType string `json:"errorType,omitempty"`
	Error     string `json:"error,omitempty"`
}

func write(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that has gone needs no answer
}

// Window says which rows of a list are wanted, in which order.
type Window struct {
	Offset, Limit int
	Sort          string // a column; "" is the list's own order
	Down          bool   // largest first
	Words         []string
}

// ReadWindow reads offset, limit, sort, desc and q. columns are those that can be
// sorted by.
func ReadWindow(q url.Values, columns ...string) (Window, error) {
	w := Window{Limit: DefaultRows, Sort: q.Get("sort"), Down: q.Get("desc") == "1"}
	for name, into := range map[string]*int{"offset": &w.Offset, "limit": &w.Limit} {
		text := q.Get(name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return w, BadData("%s=%q is not a number of rows", name, text)
		}
		*into = n
	}
	w.Limit = min(w.Limit, MaxRows)
	if w.Sort != "" && !slices.Contains(columns, w.Sort) {
		return w, BadData("sort=%q is none of %s", w.Sort, strings.Join(columns, ", "))
	}
	text := q.Get("q")
	if len(text) > MaxWords {
		return w, BadData("q is longer than %d bytes", MaxWords)
	}
	w.Words = strings.Fields(strings.ToLower(text))
	return w, nil
}

// Matches tells whether every word is in one of the texts, in any case.
func (w *Window) Matches(texts ...string) bool {
	for _, word := range w.Words {
		if !slices.ContainsFunc(texts, func(t string) bool { return ContainsFold(t, word) }) {
			return false
		}
	}
	return true
}

// ContainsFold tells whether text has word in it; word is in lower case. ASCII text
// is compared without an allocation.
func ContainsFold(text, word string) bool {
	if word == "" {
		return true
	}
	for i := 0; i+len(word) <= len(text); i++ {
		j := 0
		for j < len(word) && lower(text[i+j]) == word[j] {
			j++
		}
		if j == len(word) {
			return true
		}
	}
	if strings.IndexFunc(text, func(r rune) bool { return r > unicode.MaxASCII }) < 0 {
		return false
	}
	return strings.Contains(strings.ToLower(text), word)
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

// Cut is the window's part of rows as order has them. The first pages of a long list
// are found without ordering all of it; rows are moved about.
func Cut[T any](w Window, rows []T, order func(a, b T) int) []T {
	from := min(w.Offset, len(rows))
	to := from + min(w.Limit, len(rows)-from)
	if to < len(rows)/8 {
		first(rows, to, order)
		rows = rows[:to]
	}
	slices.SortFunc(rows, order)
	return rows[from:to]
}

// first moves the n rows to the front that order puts there, in any order: they are
// a heap whose largest is on top, and what is not less than that one stays outside.
func first[T any](rows []T, n int, order func(a, b T) int) {
	if n == 0 {
		return
	}
	heap := rows[:n]
	down := func(i int) {
		for {
			child := 2*i + 1
			if child >= n {
				return
			}
			if child+1 < n && order(heap[child+1], heap[child]) > 0 {
				child++
			}
			if order(heap[child], heap[i]) <= 0 {
				return
			}
			heap[i], heap[child] = heap[child], heap[i]
			i = child
		}
	}
	for i := n/2 - 1; i >= 0; i-- {
		down(i)
	}
	for i := n; i < len(rows); i++ {
		if order(rows[i], heap[0]) < 0 {
			heap[0], rows[i] = rows[i], heap[0]
			down(0)
		}
	}
}

// Natural compares as people count: node-9 comes before node-10.
func Natural(a, b string) int {
	for a != "" && b != "" {
		da, db := digits(a), digits(b)
		if da > 0 && db > 0 {
			na, nb := strings.TrimLeft(a[:da], "0"), strings.TrimLeft(b[:db], "0")
			if c := cmp.Or(cmp.Compare(len(na), len(nb)), strings.Compare(na, nb), cmp.Compare(da, db)); c != 0 {
				return c
			}
			a, b = a[da:], b[db:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

// digits is how many digits s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return n
}
