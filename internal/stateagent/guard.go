package stateagent

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"watchpost/internal/words"
	"watchpost/kube"
)

// guard shows a handler only to those whom the API server lets get its path: by the
// token of the request, as the API server itself would take it.
type guard struct {
	http.Handler
	gate func() *kube.Gate
	log  *slog.Logger
}

// maxToken bounds a token in bytes; those of service accounts have about a thousand.
const maxToken = 16 << 10

// ServeHTTP implements http.Handler.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "bearer") || token == "" || len(token) > maxToken {
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "want a bearer token of the cluster", http.StatusUnauthorized)
		return
	}
	err := g.gate().Allow(r.Context(), token, strings.ToLower(r.Method), r.URL.Path)
	switch {
	case err == nil:
		g.Handler.ServeHTTP(w, r)
	case errors.Is(err, kube.ErrUnknownToken):
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, err.Error(), http.StatusUnauthorized)
	case errors.Is(err, kube.ErrForbidden):
		http.Error(w, err.Error()+": "+strings.ToLower(r.Method)+" on the non-resource URL "+r.URL.Path, http.StatusForbidden)
	case r.Context().Err() != nil: // nobody is there to read it
	default:
		g.log.Warn("The API server cannot be asked whether a request is allowed", "error", words.OneLine(err))
		http.Error(w, "the API server cannot be asked whether this is allowed", http.StatusServiceUnavailable)
	}
}
