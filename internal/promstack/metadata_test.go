package promstack

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/prometheus/storage/remote"
)

// What targets say of their metrics is forwarded, each once.
func TestMetadataIsForwarded(t *testing.T) {
	said := make(chan string, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := remote.DecodeWriteRequest(r.Body)
		if err != nil {
			t.Errorf("what was sent: %v", err)
			return
		}
		for _, m := range req.Metadata {
			select {
			case said <- fmt.Sprintf("%s %s %s", m.MetricFamilyName, m.Type, m.Help):
			default: // it comes again and again
			}
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(receiver.Close) // after the engine, whose end waits for it
	text := "# HELP answer It.\n# TYPE answer gauge\nanswer 42\n"
	e := startYML(t, t.TempDir(), jobs(map[string]string{"a": target(t, text), "b": target(t, text)})+
		fmt.Sprintf("remote_write: [{url: %q, metadata_config: {send_interval: 200ms}}]\n", receiver.URL))
	e.wants("answer", "a", "42")
	e.wants("answer", "b", "42")
	select {
	case got := <-said:
		if want := "answer GAUGE It."; got != want {
			t.Errorf("forwarded is %q, want %q", got, want)
		}
	case <-time.After(patience):
		t.Error("no metadata is forwarded")
	}
	list := metadataOf{e.parts.Load().scrapes}
	if all := list.ListMetadata(); len(all) != 1 || list.LengthMetadata() != 2 || list.SizeMetadata() != 2*len("It.gauge") {
		t.Errorf("the metadata is %v, %d entries of %d bytes", all, list.LengthMetadata(), list.SizeMetadata())
	}
	if m, ok := list.GetMetadata("answer"); !ok || m.Help != "It." {
		t.Errorf("answer is %v", m)
	}
	if _, ok := list.GetMetadata("question"); ok {
		t.Error("there is metadata of what is not there")
	}
}
