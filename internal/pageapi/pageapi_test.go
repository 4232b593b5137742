package pageapi

import (
	"cmp"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// A page of a list is what it would be if all of the list were ordered.
func TestCut(t *testing.T) {
	var all []int
	for i := range 1000 {
		all = append(all, i*7919%1000)
	}
	want := slices.Sorted(slices.Values(all))
	for _, w := range []Window{{Limit: 0}, {Limit: 1}, {Limit: 7}, {Limit: 50}, {Offset: 50, Limit: 50}, {Offset: 70, Limit: 60}, {Offset: 120, Limit: 50}, {Offset: 980, Limit: 50},
		{Offset: 1000, Limit: 50}, {Offset: 5000, Limit: 50}, {Limit: 5000}} {
		got := Cut(w, slices.Clone(all), cmp.Compare[int])
		from := min(w.Offset, 1000)
		if !slices.Equal(got, want[from:from+min(w.Limit, 1000-from)]) {
			t.Errorf("%+v: %v", w, got)
		}
	}
	if got := Cut(Window{Limit: 5}, nil, cmp.Compare[int]); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

// What an answer cost stands in it and in a header.
func TestCostIsTold(t *testing.T) {
	type answer struct {
		Rows []int `json:"rows"`
		Costed
	}
	h := Handler(func(*http.Request) (a answer, err error) {
		a.Cost = Cost{Queries: 2, Samples: 10, Seconds: 0.0123}
		a.Cost.Add(Cost{Queries: 1, Samples: 5, Seconds: 7, Missing: []string{"memory: no"}})
		return a, nil
	})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if got, want := w.Header().Get("Server-Timing"), `view;dur=12.3;desc="3 queries, 15 samples"`; got != want {
		t.Errorf("header %q, want %q", got, want)
	}
	if want := `"cost":{"queries":3,"samples":15,"seconds":0.0123,"age":0,"missing":["memory: no"]}`; !strings.Contains(w.Body.String(), want) {
		t.Errorf("%s, want %s", w.Body, want)
	}
}
