package cadvisor

import (
	"io"
	"slices"

	"watchpost/internal/expo"
)

// page is the text of one answer. It is made as it is read, one family at a time, so
// that the whole is never held.
type page struct {
	host  *Host
	views []shown
	w     expo.Writer
	s     samples
	next  int // row
	off   int // of what is written
}

// maxPage is the largest buffer that is kept for the next answer.
const maxPage = 1 << 20

func (p *page) begin(h *Host, views []shown, facts *machine, failed bool) {
	p.host, p.views, p.next, p.off = h, views, 0, 0
	p.w.Reset(expo.Text)
	p.s.w, p.s.facts, p.s.failed, p.s.now = &p.w, facts, failed, h.now()
}

// Read implements io.Reader.
func (p *page) Read(b []byte) (int, error) {
	if p.host == nil {
		return 0, io.EOF
	}
	for p.off == len(p.w.Bytes()) {
		if p.next == len(p.host.rows) {
			return 0, io.EOF
		}
		p.w.Reset(expo.Text)
		p.off = 0
		p.row(p.host.rows[p.next])
		p.next++
	}
	n := copy(b, p.w.Bytes()[p.off:])
	p.off += n
	return n, nil
}

func (p *page) row(r *row) {
	s := &p.s
	s.row = r
	if r.once != nil {
		s.base = s.base[:0]
		r.once(s)
		return
	}
	for i := range p.views {
		v := &p.views[i]
		s.base = v.base[:]
		r.each(s, v)
	}
	s.base = nil // it is the view's
}

// Close implements io.Closer.
func (p *page) Close() error {
	h := p.host
	if h == nil {
		return nil
	}
	p.host, p.views, p.s.facts = nil, nil, nil
	clear(p.s.values[:])
	if cap(p.w.Bytes()) > maxPage {
		p.w = expo.Writer{}
	}
	p.s.devices = slices.Clip(p.s.devices[:0])
	select {
	case h.pages <- p:
	default:
	}
	return nil
}
