package collectors

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"watchpost/internal/testkit"
)

// TestDocs: each collector has a page, and the table in it names every family
// that its file declares. With -update the tables are written anew.
func TestDocs(t *testing.T) {
	for _, r := range table {
		t.Run(r.name, func(t *testing.T) {
			var rows [][]string
			for _, d := range declared(t, r.name) {
				rows = append(rows, []string{"`" + d.name + "`", d.kind, strings.Join(d.labels, ", "), d.help})
			}
			testkit.Page(t, filepath.Join("..", "docs", "metrics", r.name+".md"), testkit.Table([]string{"metric", "type", "labels", "meaning"}, rows))
		})
	}
	if pages, _ := filepath.Glob("../docs/metrics/*.md"); len(pages) != len(table) {
		t.Errorf("%d pages for %d collectors: one is left over", len(pages), len(table))
	}
}

// declaration is a family as the source declares it.
type declaration struct {
	kind, name, help string
	labels           []string
}

// declared are the families in the files of one collector: NAME.go, NAME_*.go
// and those that it names in a "families:" row of its own. A name or help that is
// made at run time shows the parts that are written out, the rest as *.
func declared(t *testing.T, name string) []declaration {
	t.Helper()
	files, err := filepath.Glob(name + "*.go")
	if err != nil {
		t.Fatal(err)
	}
	var all []declaration
	seen := make(map[string]bool)
	for _, path := range files {
		base := strings.TrimSuffix(path, ".go")
		if strings.HasSuffix(base, "_test") || base != name && !strings.HasPrefix(base, name+"_") || otherCollector(base, name) {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if pkg, isName := unwrap(sel).(*ast.Ident); !ok || !isName || pkg.Name != "expo" {
				return true
			}
			switch sel.Sel.Name {
			case "Counter", "Gauge", "Untyped":
			default:
				return true
			}
			d := declaration{kind: strings.ToLower(sel.Sel.Name), name: written(call.Args[0]), help: written(call.Args[1])}
			for _, l := range call.Args[2:] {
				d.labels = append(d.labels, written(l))
			}
			if key := fmt.Sprint(d); !seen[key] {
				seen[key] = true
				all = append(all, d)
			}
			return true
		})
	}
	if len(all) == 0 {
		t.Errorf("%s declares no family", name)
	}
	return all
}

func unwrap(sel *ast.SelectorExpr) ast.Expr {
	if sel == nil {
		return nil
	}
	return sel.X
}

// otherCollector tells whether a file belongs to another collector whose name is
// longer: net_x.go is not net's where there is a collector net_x.
func otherCollector(base, name string) bool {
	for _, r := range table {
		if r.name != name && len(r.name) > len(name) && (base == r.name || strings.HasPrefix(base, r.name+"_")) {
			return true
		}
	}
	return false
}

// written is a string expression as far as it is written out.
func written(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil {
			return s
		}
	case *ast.BinaryExpr:
		return written(e.X) + written(e.Y)
	}
	return "*"
}
