package main

import (
	"net/http"

	"watchpost/internal/fleet"
	"watchpost/internal/promstack"
)

// pageAPI is what the page asks beyond the HTTP API that everybody uses: lists of
// nodes, pods, applications and targets, a window at a time. It only reads.
func pageAPI(engine *promstack.Engine) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", fleet.New(engine).Handler())
	engineOwn := engine.PageHandler()
	for _, path := range []string{"/targets", "/targets/", "/cardinality", "/cardinality/", "/storage"} {
		mux.Handle(path, engineOwn)
	}
	return mux
}
