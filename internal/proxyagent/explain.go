package proxyagent

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"watchpost/internal/containers"
	"watchpost/internal/expo"
	"watchpost/internal/serve"
	"watchpost/internal/words"
)

// maxExplained bounds the series of a source in an answer, unless the request says
// fewer.
const maxExplained = 1000

// explained is what the filter does with series of a source.
type explained struct {
	Source string                   `json:"source"`
	Error  string                   `json:"error,omitempty"`
	Series []containers.Explanation `json:"series"`
}

// serveExplain answers /debug/explain?metric=PATTERN&source=NAME&limit=N: which rule
// keeps or drops a series, and why. The sources are asked now, one request at a time.
func (a *Agent) serveExplain(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	metric, only, most := q.Get("metric"), q.Get("source"), maxExplained
	if n, err := strconv.Atoi(q.Get("limit")); err == nil && n > 0 && n < most {
		most = n
	} else if q.Has("limit") && (err != nil || n <= 0) {
		serve.WriteIndentedJSON(w, http.StatusBadRequest, errors.New("limit is not a number above 0"))
		return
	}
	if metric == "" {
		serve.WriteIndentedJSON(w, http.StatusBadRequest, errors.New("want ?metric=PATTERN, and perhaps &source=NAME&limit=N"))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.cfg.Ceiling)
	defer cancel()
	select {
	case a.explain <- struct{}{}:
		defer func() { <-a.explain }()
	case <-ctx.Done():
		serve.WriteIndentedJSON(w, http.StatusServiceUnavailable, errors.New("another request is being explained"))
		return
	}
	answer := []explained{}
	for _, s := range slices.Concat(a.sources, a.pods.all()) {
		if only != "" && s.Name != only {
			continue
		}
		e := explained{Source: s.Name, Series: []containers.Explanation{}}
		f, err := s.filter()
		var text []byte
		if err == nil {
			text, err = a.text(ctx, s)
		}
		if err == nil {
			var told []containers.Explanation
			told, err = f.Explain(expo.Text, text, containers.Pattern(metric), most)
			e.Series = append(e.Series, told...)
		}
		if err != nil {
			e.Error = words.OneLine(err)
		}
		answer = append(answer, e)
	}
	if len(answer) == 0 {
		serve.WriteIndentedJSON(w, http.StatusNotFound, errors.New("there is no source "+strconv.Quote(only)))
		return
	}
	serve.WriteIndentedJSON(w, http.StatusOK, answer)
}
