package collectors

// The network interfaces, asked of the kernel once a scrape for all collectors
// that need them: see docs/design/netlink.md.

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"watchpost/internal/netlink"
)

// links hands out what rtnetlink says of the interfaces. Collectors that ask in
// the same scrape get the same answer: a scrape is known by its context.
type links struct {
	turn  chan struct{} // holds one token while the kernel is being asked
	route netlink.Route

	mu    sync.Mutex
	last  *linkTable
	spare []*linkTable // read by nobody, to be filled again
}

// linkTable is one answer. It is only read, and given back by release.
type linkTable struct {
	links  []netlink.Link
	from   *links
	scrape <-chan struct{} // the end of the scrape that it was made for
	users  int             // under from.mu
}

// linkSource are the links of the Set that the collector belongs to, its own outside one.
func (c Config) linkSource() *links {
	if c.links != nil {
		return c.links
	}
	return newLinks()
}

func newLinks() *links { return &links{turn: make(chan struct{}, 1)} }

var errLinksBusy = errors.New("list of interfaces: the kernel has not answered the question before this one")

// take is what the interfaces are in this scrape. The kernel holds a lock over
// them that a driver in trouble can keep for long: only one asks then, the others
// wait for as long as ctx allows.
func (l *links) take(ctx context.Context) (*linkTable, error) {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, errLinksBusy
	}
	defer func() { <-l.turn }()
	if t := l.again(ctx); t != nil {
		return t, nil
	}
	t := l.blank()
	var err error
	t.links, err = l.route.Links(t.links)

	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.spare = append(l.spare, t)
		return nil, fmt.Errorf("list of interfaces: %w", err)
	}
	if l.last != nil && l.last.users == 0 {
		l.spare = append(l.spare, l.last)
	}
	t.scrape, t.users, l.last = ctx.Done(), 1, t
	return t, nil
}

// again is the last answer if it was given in the same scrape.
func (l *links) again(ctx context.Context) *linkTable {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil || l.last.scrape == nil || l.last.scrape != ctx.Done() {
		return nil
	}
	l.last.users++
	return l.last
}

// blank is a table to be filled.
func (l *links) blank() *linkTable {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.spare)
	if n == 0 {
		return &linkTable{from: l}
	}
	t := l.spare[n-1]
	l.spare = l.spare[:n-1]
	return t
}

// release gives the table back.
func (t *linkTable) release() {
	l := t.from
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.users--; t.users == 0 && t != l.last {
		l.spare = append(l.spare, t)
	}
}
