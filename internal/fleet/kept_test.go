package fleet

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A list that is fresh is held; one that is not is answered once more while it is made anew; one that is too old is waited
// for. What making it took is told once.
func TestKept(t *testing.T) {
	var mu sync.Mutex
	clock := time.Unix(1_800_000_000, 0)
	pass := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		clock = clock.Add(d)
	}
	v := New(nil)
	v.now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return clock
	}
	var k kept[int]
	var n atomic.Int32
	var broken atomic.Bool
	begun, goOn := make(chan struct{}, 10), make(chan struct{}, 10)
	build := func(_ context.Context, q *inquiry) (int, error) {
		begun <- struct{}{}
		<-goOn
		if broken.Load() {
			return 0, errors.New("broken")
		}
		q.queries.Add(1)
		return int(n.Add(1)), nil
	}
	get := func(want int, told bool) {
		t.Helper()
		got, _, asked, err := k.get(t.Context(), &v.present, build)
		if got != want || (asked != nil) != told || err != nil {
			t.Fatalf("%d, told %v, %v; want %d, told %v", got, asked != nil, err, want, told)
		}
	}
	remade := func() { // until what was begun is done
		t.Helper()
		<-begun
		k.mu.Lock()
		wait := k.making
		k.mu.Unlock()
		goOn <- struct{}{}
		<-wait
	}

	goOn <- struct{}{}
	get(1, true) // waited for
	<-begun
	pass(MaxAge - time.Second)
	get(1, false)
	pass(2 * time.Second)
	get(1, false) // the old one, while a new one is begun
	get(1, false)
	remade()
	get(2, true)
	get(2, false)

	pass(MaxAge + time.Second)
	broken.Store(true)
	get(2, false)
	remade()
	get(2, false) // it failed, and is tried again
	broken.Store(false)
	remade()
	get(3, true)

	pass(mostMaxAge)
	goOn <- struct{}{}
	get(4, true) // too old: waited for
	<-begun
	pass(mostMaxAge)
	broken.Store(true)
	goOn <- struct{}{}
	if _, _, _, err := k.get(t.Context(), &v.present, build); err == nil {
		t.Error("a failure is not told")
	}
	<-begun
	// A reader who has gone does not wait, and takes nobody's answer along.
	gone, leave := context.WithCancel(t.Context())
	leave()
	k.mu.Lock()
	k.making = make(chan struct{})
	k.mu.Unlock()
	if _, _, _, err := k.get(gone, &v.present, build); !errors.Is(err, context.Canceled) {
		t.Errorf("a reader who has gone: %v", err)
	}
}
