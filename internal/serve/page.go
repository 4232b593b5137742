package serve

import (
	"html/template"
	"net/http"
	"os"

	"github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v2"
)

// Landing is the page that says what the program is and sees right now.
type Landing struct {
	Path  string // where it is served: "/{$}" is the root alone
	About string // one sentence
	Links []Link
	Facts func() []Fact // asked at each view; may be nil
}

// Link is one thing to look at.
type Link struct{ Path, Text string }

// Fact is one line of what the program sees.
type Fact struct{ Name, Value string }

// SetLanding serves a landing page.
func (s *Server) SetLanding(l Landing) { s.landing = l }

var landingPage = template.Must(template.New("landing").Parse(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Program}}</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem; margin: 0 } p { margin: .4rem 0 1.2rem }
small { color: GrayText } table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-top: 1px solid color-mix(in srgb, GrayText 30%, transparent); vertical-align: top; font-weight: 400 }
th { color: GrayText; white-space: nowrap } td { overflow-wrap: anywhere }
a { margin-right: 1rem }
</style>
<h1>{{.Program}} <small>{{.Version}}</small></h1>
<p>{{.About}}</p>
<p>{{range .Links}}<a href="{{.Path}}">{{.Text}}</a>{{end}}</p>
<table>{{range .Facts}}<tr><th scope="row">{{.Name}}</th><td>{{.Value}}</td></tr>{{end}}</table>
</html>
`))

func (s *Server) serveLanding(w http.ResponseWriter, _ *http.Request) {
	page := struct {
		Program, Version, About string
		Links                   []Link
		Facts                   []Fact
	}{s.cfg.Program, s.cfg.Version, s.landing.About, s.landing.Links, nil}
	if s.landing.Facts != nil {
		page.Facts = s.landing.Facts()
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	if err := landingPage.Execute(w, page); err != nil {
		s.cfg.Log.Debug("Landing page was not sent whole", "err", err)
	}
}

// UsesTLS tells whether the web configuration file turns TLS on.
func UsesTLS(file string) (bool, error) {
	if file == "" {
		return false, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return false, err
	}
	var c web.Config
	if err := yaml.Unmarshal(b, &c); err != nil {
		return false, err
	}
	return c.TLSConfig.IsEnabled(), nil
}
