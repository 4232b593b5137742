package serve

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestWriteJSON(t *testing.T) {
	for name, c := range map[string]struct {
		write  func(http.ResponseWriter, int, any)
		status int
		v      any
		want   string
	}{
		"a value":           {WriteJSON, 200, map[string]int{"a": 1}, "{\"a\":1}\n"},
		"an error":          {WriteJSON, 404, errors.New(`no "x"`), `{"error":"no \"x\""}` + "\n"},
		"a value, indented": {WriteIndentedJSON, 200, map[string]int{"a": 1}, "{\n  \"a\": 1\n}\n"},
		"an error, too":     {WriteIndentedJSON, 400, errors.New("bad"), "{\n  \"error\": \"bad\"\n}\n"},
	} {
		w := httptest.NewRecorder()
		c.write(w, c.status, c.v)
		h := w.Result().Header
		if w.Code != c.status || w.Body.String() != c.want ||
			h.Get("Content-Type") != "application/json; charset=utf-8" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: got %d %q %v, want %d %q", name, w.Code, w.Body, h, c.status, c.want)
		}
	}
}
