package containers

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"watchpost/internal/expo"
	"watchpost/internal/testkubelet"
)

// TestBlocks: that labels are recognised changes nothing but the speed, in
// whatever order rows come, go and come back.
func TestBlocks(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pods := podsOf{}
	for i := range 20 {
		pods[fmt.Sprintf("shop/p%d", i)] = NewPodLabels("pod_ip", fmt.Sprintf("10.0.0.%d", i))
	}
	rules := rulesOf(t, "series: [{drop: m1, where: {pod: p3}}, {drop: '*', where: {x: '2'}}]\nlabel-rules: [{metric: m2, drop: id}]")
	f := newFilter(t, rules, pods, "node", "n")
	for range 50 {
		var b strings.Builder
		for m := range 6 {
			fmt.Fprintf(&b, "# TYPE m%d gauge\n", m)
			for i := range 20 {
				switch random.IntN(12) {
				case 0:
					continue
				case 1:
					fmt.Fprintf(&b, "m%d{id=\"%d\"} 1\n", m, i)
				case 2:
					fmt.Fprintf(&b, "m%d{id=\"é\",x=\"%d\",pod=\"p%d\",namespace=\"shop\"} 1\n", m, i%3, i)
				}
				fmt.Fprintf(&b, "m%d{id=\"%d\",namespace=\"shop\",pod=\"p%d\",x=\"%d\"} %d 17\n", m, i, i, i%5, m)
			}
		}
		pods[fmt.Sprintf("shop/p%d", random.IntN(20))] = NewPodLabels("pod_ip", fmt.Sprint(random.IntN(1000)))
		want, err := copied(newFilter(t, rules, pods, "node", "n"), expo.Text, b.String()) // knows nothing yet
		if err != nil {
			t.Fatal(err)
		}
		// One at a time there is no metric before.
		var alone strings.Builder
		for y := range strings.SplitSeq(b.String(), "# TYPE ") {
			if y == "" {
				continue
			}
			out, err := copied(newFilter(t, rules, pods, "node", "n"), expo.Text, "# TYPE "+y)
			if err != nil {
				t.Fatal(err)
			}
			alone.WriteString(out)
		}
		if want != alone.String() {
			t.Fatalf("got\n%swant\n%s", want, alone.String())
		}
		if got := filtered(t, f, b.String()); got != want {
			t.Fatalf("got\n%swant\n%s", got, want)
		}
	}
	if f.blocks.hits == 0 {
		t.Error("nothing is recognised")
	}
}

// TestBlocksAreBounded: what is remembered of pods that come and go has an end,
// and new ones are recognised all the same.
func TestBlocksAreBounded(t *testing.T) {
	f := newFilter(t, Rules{}, nil)
	for n := range 40 {
		var b strings.Builder
		for m := range 3 {
			for i := range 200 {
				fmt.Fprintf(&b, "m%d{id=\"%s%d-%d\",pod=\"p%d\"} 1\n", m, strings.Repeat("x", 100), n, i, i)
			}
		}
		filtered(t, f, b.String())
		if f.blocks.bytes > maxBlocks+1000 {
			t.Fatalf("%d bytes", f.blocks.bytes)
		}
	}
	text := testkubelet.NewNode(20).Text()
	for range 3 {
		filtered(t, f, text)
	}
	if f.blocks.hits < f.blocks.misses {
		t.Errorf("%d recognised, %d not", f.blocks.hits, f.blocks.misses)
	}
}

// TestNoAllocations: in the steady state nothing is allocated for a line.
func TestNoAllocations(t *testing.T) {
	text := testkubelet.NewNode(10).Text()
	pods, _ := knownPods(t, text)
	for _, rules := range []string{"", "profile: default", "profile: lean\ntimestamps: keep", "label-rules: [{drop: [id, name]}]", "label-rules: [{drop: [id, name, image], sum: true}]"} {
		f := newFilter(t, rulesOf(t, rules), pods, "node", "n")
		allocs := testing.AllocsPerRun(5, func() {
			if err := f.Copy(io.Discard, strings.NewReader(text), expo.Text, 1<<30); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > 5 {
			t.Errorf("%q: %v allocations a text of %d lines", rules, allocs, strings.Count(text, "\n"))
		}
	}
}
