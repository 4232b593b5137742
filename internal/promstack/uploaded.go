package promstack

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/prometheus/tsdb"
)

// uploaded knows the blocks that another program, as Thanos' sidecar, has copied away:
//
//	{"version": 1, "uploaded": ["01M7ZKZJHE0J1JTPHQKJBREW6Z"]}
//
// Until a block is among them it is not merged with others.
type uploaded struct {
	file string
	log  *slog.Logger
	now  func() time.Time

	mu   sync.Mutex
	ids  []string
	at   time.Time // when the file was read
	told string    // the last error
}

// uploadedEach is how often the file is read at most, as in Prometheus.
const uploadedEach = time.Minute

// waitsFor tells whether a block is not to be merged yet. Where the file cannot be read
// nothing waits.
func (u *uploaded) waitsFor(m *tsdb.BlockMeta) bool {
	if m.Compaction.Level > 1 {
		return false // merged before
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.at.IsZero() || u.now().Sub(u.at) >= uploadedEach {
		ids, err := u.read()
		if err != nil {
			if err.Error() != u.told {
				u.told = err.Error()
				u.log.Warn("Which blocks are uploaded is not known: none waits for that", "err", err)
			}
			return false
		}
		u.ids, u.at, u.told = ids, u.now(), ""
	}
	return !slices.Contains(u.ids, m.ULID.String())
}

func (u *uploaded) read() ([]string, error) {
	text, err := os.ReadFile(u.file)
	if err != nil {
		return nil, err
	}
	var list struct {
		Uploaded []string `json:"uploaded"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", u.file, err)
	}
	return list.Uploaded, nil
}
