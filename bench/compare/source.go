package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"strings"
	"time"

	"watchpost/bench/internal/agent"
)

// scrapeTimeout is for one scrape.
const scrapeTimeout = 30 * time.Second

// source is where expositions come from: a program that was started, an address,
// or files.
type source struct {
	name    string
	program *agent.Program // nil where nothing was started
	url     string
	accept  string
	client  *http.Client
	files   []string // the next ones to read; the last again and again
}

// open makes a source out of a word of the command line. args are for an
// executable.
func open(ctx context.Context, from, accept string, args []string) (*source, error) {
	s := &source{name: from, accept: accept, client: agent.Client(1, scrapeTimeout)}
	if strings.HasPrefix(from, "http://") {
		s.url = from
		return s, nil
	}
	if info, err := os.Stat(from); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
		s.program, err = agent.Start(ctx, from, args...)
		if err != nil {
			return nil, err
		}
		s.url = s.program.Base + "/metrics"
		return s, nil
	}
	s.files = strings.Split(from, ",")
	return s, nil
}

func (s *source) scrape(ctx context.Context) ([]byte, error) {
	if len(s.files) > 0 {
		name := s.files[0]
		if len(s.files) > 1 {
			s.files = s.files[1:]
		}
		return os.ReadFile(name)
	}
	r, err := agent.Request(ctx, s.url, s.accept, scrapeTimeout)
	if err != nil {
		return nil, err
	}
	page, err := agent.Scrape(s.client, r, new(bytes.Buffer))
	if err != nil {
		return nil, err
	}
	return page.Text()
}

// stop ends the program where one was started.
func (s *source) stop() error {
	if s.program == nil {
		return nil
	}
	return s.program.Stop()
}
