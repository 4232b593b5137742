package serve

import (
	"encoding/json"
	"net/http"
)

// WriteJSON answers with a value on one line, or of an error with {"error": text}.
func WriteJSON(w http.ResponseWriter, status int, v any) { writeJSON(w, status, "", v) }

// WriteIndentedJSON is WriteJSON for people: two spaces for each level.
func WriteIndentedJSON(w http.ResponseWriter, status int, v any) { writeJSON(w, status, "  ", v) }

func writeJSON(w http.ResponseWriter, status int, indent string, v any) {
	if err, bad := v.(error); bad {
		v = map[string]string{"error": err.Error()}
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", indent)
	e.Encode(v) // an error is the client's: it has gone
}
