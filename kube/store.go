package kube

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/fnv"
	"hash/maphash"
	"slices"
	"sync"
	"time"
	"unsafe"

	"k8s.io/apimachinery/pkg/types"

	"watchpost/internal/expo"
)

// What is kept of the objects of a resource is text, deflated: docs/design/state-store.md
// tells why, and how the numbers below were found.
const (
	// blockSlots is how many objects share a block, and so a deflated segment for
	// each family. More of them deflate a little better; fewer cost less when one
	// of them changes.
	blockSlots = 256
	// blockText is the size of text in bytes at which a block takes no more objects.
	blockText = 8 << 20
	// A block merges what has changed into its segments when that is more than
	// mostPending bytes and more than one part in pendingShare of its text.
	mostPending = 16 << 10
	// A smaller share costs less memory, and more merges between two scrapes: at 32
	// they were half of all the work while 100 pods a second changed.
	pendingShare = 8
	// settleAfter is for how many seconds a segment of pieces has not changed that is
	// deflated as a whole again, and mostSettles how many may be at a snapshot: each
	// takes half a millisecond.
	settleAfter = 600
	mostSettles = 64
	// maxText is the size in bytes that the text of an object in one family can have.
	maxText = 1<<lengthBits - 1
)

// objectKey tells objects of a source apart: their UID.
type objectKey [16]byte

// keyOf makes a key from a UID: the UUID that it is, or a hash of another text.
func keyOf(uid types.UID) (k objectKey) {
	if len(uid) == 36 && uid[8] == '-' && uid[13] == '-' && uid[18] == '-' && uid[23] == '-' {
		var digits [32]byte
		n := copy(digits[:], uid[:8])
		n += copy(digits[n:], uid[9:13])
		n += copy(digits[n:], uid[14:18])
		n += copy(digits[n:], uid[19:23])
		copy(digits[n:], uid[24:])
		if _, err := hex.Decode(k[:], digits[:]); err == nil && binary.BigEndian.Uint64(k[:]) != 0 {
			return k
		}
	}
	h := fnv.New128a()
	h.Write([]byte(uid))
	h.Sum(k[:0])
	return k
}

// textMark stands for the text of one object in one family: its length in the lowest
// lengthBits bits and a hash of it in the others. That of no text is 0. Of texts of
// one length, one in 2^40 changes is taken for none.
type textMark uint64

const lengthBits = 24

func (m textMark) length() int { return int(m & maxText) }

// codec is what the sources of a cluster share to compress and to read back, which
// holds some megabytes. It also holds the memory for texts that wait to be merged.
type codec struct {
	seed  maphash.Seed
	coder *expo.PieceCoder

	mu       sync.Mutex
	deflater expo.Deflater
	inflater expo.Inflater
	joiner   expo.Joiner
	coded    []byte
	old, new []byte
	order    []int32
	starts   []int32
	first    [blockSlots]int32 // by slot: the first change of the family at hand, plus 1
	last     [blockSlots]int32

	pool   sync.Mutex
	chunks [][]byte

	writers sync.Pool // *bufio.Writer of writeSize, for snapshots
	eof     expo.Segment
}

func newCodec() *codec {
	c := &codec{seed: maphash.MakeSeed(), coder: expo.NewPieceCoder()}
	c.eof = c.deflater.Deflate([]byte(expo.EOF))
	c.writers.New = func() any { return bufio.NewWriterSize(nil, writeSize) }
	return c
}

func (c *codec) mark(text []byte) textMark {
	if len(text) == 0 {
		return 0
	}
	return textMark(maphash.Bytes(c.seed, text)<<lengthBits | uint64(len(text)))
}

// Texts that wait are kept in chunks, of which so many are kept for the next ones.
const (
	chunkSize = 16 << 10
	maxChunks = 256
)

// chunk gives memory for at least n bytes.
func (c *codec) chunk(n int) []byte {
	if n > chunkSize {
		return make([]byte, 0, n)
	}
	c.pool.Lock()
	defer c.pool.Unlock()
	if last := len(c.chunks) - 1; last >= 0 {
		b := c.chunks[last]
		c.chunks = c.chunks[:last]
		return b
	}
	return make([]byte, 0, chunkSize)
}

func (c *codec) free(chunks [][]byte) {
	c.pool.Lock()
	defer c.pool.Unlock()
	for _, b := range chunks {
		if cap(b) == chunkSize && len(c.chunks) < maxChunks {
			c.chunks = append(c.chunks, b[:0])
		}
	}
}

// release gives back the memory that only a start needs.
func (c *codec) release() {
	c.pool.Lock()
	c.chunks = nil
	c.pool.Unlock()
	c.mu.Lock()
	c.old, c.new, c.order = nil, nil, nil
	c.mu.Unlock()
}

// block holds some of a source's objects. Each has a slot; the text of a family
// is that of the slots one after another.
type block struct {
	slots    []slot
	live     int
	marks    []textMark      // of slot s and family f at s*families+f; of the latest text
	text     int             // bytes, of the latest texts
	segments []*expo.Segment // by family; nil where there is no text
	pieces   []*pieces       // by family; nil where the segment was deflated as a whole

	changes []textChange // since the segments were made
	chunks  [][]byte
	pending int // bytes in them
}

// slot is the place of an object in a block.
type slot struct {
	key     objectKey
	list    uint32 // number of the list that had it last, or was the last when it came; 0: the slot is free
	expires uint32 // when it is to be removed, in seconds since the epoch; 0: never
}

// textChange is a text that is not yet in its segment.
type textChange struct {
	slot, family uint16
	before       uint32 // bytes of the text that it takes the place of
	text         []byte // where the segment is of pieces the bits of its piece
	piece        expo.Piece
}

// pieces tell of a segment that was joined from pieces where they are.
type pieces struct {
	unfit   bool   // the segment is none, since the family's texts are not alike
	changed uint32 // when they did last, in seconds since the epoch
	prefix  []byte // that all texts have
	of      [blockSlots]piece
}

// piece is what a slot has in a segment; of one without text nothing is true.
type piece struct {
	expo.Piece
	at uint32 // bit where it begins
}

// spot tells where an object is.
type spot struct {
	block uint32
	slot  uint16
}

// source holds what one list and watch says: the objects of a resource, or those of
// them in one namespace. It is safe for concurrent use.
//
// A list is begin, a put for each object, and commit, which removes the objects
// that the list did not have. From begin to commit what is served stays as it was,
// for a first list nothing.
type source struct {
	codec    *codec
	families int
	now      func() time.Time

	mu      sync.Mutex
	blocks  []*block // nil where there was one: places name blocks by their index
	index   map[objectKey]spot
	most    int // objects that index had to hold since it was made
	room    int // no block before this one has a free slot
	list    uint32
	listing bool
	served  *view // nil: to be made
	expires uint32
	coded   []byte // used again
}

// view is what a source serves. It is never changed.
type view struct {
	objects  int
	segments [][]*expo.Segment // by family
	bytes    int64             // of their deflated text
}

func newSource(c *codec, families int, now func() time.Time) *source {
	return &source{codec: c, families: families, now: now, index: map[objectKey]spot{}, list: 1, listing: true, served: &view{}}
}

// begin begins a list; one that was under way is given up, and what it had said of
// objects is kept but not served.
func (s *source) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.listing {
		s.current()
		s.listing = true
	}
	s.list++
}

// commit ends a list: objects that it did not have are removed, and what is served
// is the list.
func (s *source) commit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, b := range s.blocks {
		if b == nil {
			continue
		}
		for j := range b.slots {
			if n := b.slots[j].list; n != 0 && n != s.list {
				s.removeAt(spot{uint32(i), uint16(j)})
			}
		}
	}
	s.listing, s.served = false, nil
	s.current()
}

// put sets the text of an object until a time, in seconds since the epoch, or for
// good where that is 0. It tells whether the object was not there before.
func (s *source) put(uid types.UID, r *rendering, expires int64) (added bool) {
	k := keyOf(uid)
	s.mu.Lock()
	defer s.mu.Unlock()
	p, known := s.index[k]
	if expires != 0 && expires <= s.now().Unix() {
		if known {
			s.removeAt(p)
		}
		return false
	}
	if !known {
		p = s.newPlace()
		s.index[k] = p
		s.most = max(s.most, len(s.index))
		s.changed()
	}
	b := s.blocks[p.block]
	b.slots[p.slot] = slot{key: k, list: s.list, expires: uint32(expires)}
	if expires != 0 && (s.expires == 0 || uint32(expires) < s.expires) {
		s.expires = uint32(expires)
	}
	marks := b.marks[int(p.slot)*s.families:][:s.families]
	for f := range marks {
		text := r.of(f)
		if m := s.codec.mark(text); m != marks[f] {
			s.changed()
			s.change(b, p.slot, f, marks[f], text)
			b.text += m.length() - marks[f].length()
			marks[f] = m
		}
	}
	s.bound(b)
	return !known
}

// bound merges a block's changes when there are many. A block that was never merged
// is filled first.
func (s *source) bound(b *block) {
	switch {
	case b.segments == nil && (b.live == blockSlots || b.text >= blockText),
		b.segments != nil && b.pending > max(mostPending, b.text/pendingShare):
		s.codec.merge(b, s.families, s.seconds())
	}
}

// remove removes an object, where it is there.
func (s *source) remove(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, known := s.index[keyOf(uid)]; known {
		s.removeAt(p)
	}
}

func (s *source) removeAt(p spot) {
	b := s.blocks[p.block]
	marks := b.marks[int(p.slot)*s.families:][:s.families]
	for f, m := range marks {
		if m != 0 {
			s.change(b, p.slot, f, m, nil)
			b.text -= m.length()
			marks[f] = 0
		}
	}
	delete(s.index, b.slots[p.slot].key)
	b.slots[p.slot] = slot{}
	b.live--
	s.room = min(s.room, int(p.block))
	s.changed()
}

// changed says that what is served is to be made anew.
func (s *source) changed() {
	if !s.listing {
		s.served = nil
	}
}

// newPlace takes a slot: the first free one, so that blocks stay full.
func (s *source) newPlace() spot {
	for ; s.room < len(s.blocks); s.room++ {
		b := s.blocks[s.room]
		if b == nil {
			b = &block{}
			s.blocks[s.room] = b
		}
		if b.live < blockSlots && b.text < blockText {
			break
		}
	}
	if s.room == len(s.blocks) {
		s.blocks = append(s.blocks, &block{})
	}
	b := s.blocks[s.room]
	b.live++
	if b.live <= len(b.slots) {
		for i := range b.slots {
			if b.slots[i].list == 0 {
				return spot{uint32(s.room), uint16(i)}
			}
		}
	}
	if len(b.slots) == cap(b.slots) {
		to := min(max(2*len(b.slots), 4), blockSlots)
		b.slots = append(make([]slot, 0, to), b.slots...)
		b.marks = append(make([]textMark, 0, to*s.families), b.marks...)
	}
	b.slots = b.slots[:len(b.slots)+1]
	b.marks = b.marks[:len(b.marks)+s.families]
	return spot{uint32(s.room), uint16(len(b.slots) - 1)}
}

// view is what is served.
func (s *source) view() *view {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current()
}

// current makes what is served, unless a list is under way or nothing has changed.
func (s *source) current() *view {
	if s.listing {
		return s.served
	}
	s.expire()
	if s.served != nil {
		return s.served
	}
	s.tidy()
	v := &view{objects: len(s.index), segments: make([][]*expo.Segment, s.families)}
	for _, b := range s.blocks {
		if b == nil {
			continue
		}
		for f, g := range b.segments {
			if g != nil {
				v.segments[f] = append(v.segments[f], g)
				v.bytes += int64(len(g.Deflated))
			}
		}
	}
	s.served = v
	return v
}

// stored is the size of all segments, in bytes.
func (s *source) stored() (n int64) {
	for _, b := range s.blocks {
		if b == nil {
			continue
		}
		for _, g := range b.segments {
			if g != nil {
				n += int64(len(g.Deflated))
			}
		}
	}
	return n
}

// seconds is the time since the epoch.
func (s *source) seconds() uint32 { return uint32(s.now().Unix()) }

// expire removes the objects whose time has come.
func (s *source) expire() {
	now := s.seconds()
	if s.expires == 0 || now < s.expires {
		return
	}
	s.expires = 0
	for i, b := range s.blocks {
		if b == nil {
			continue
		}
		for j := range b.slots {
			switch t := b.slots[j].expires; {
			case t == 0:
			case t <= now:
				s.removeAt(spot{uint32(i), uint16(j)})
			case s.expires == 0 || t < s.expires:
				s.expires = t
			}
		}
	}
}

// tidy merges all changes, drops blocks that are empty and joins those that have
// become sparse, so that a cluster that was large once leaves nothing behind.
func (s *source) tidy() {
	var sparse *block
	var at int
	settles := mostSettles
	for i, b := range s.blocks {
		if b == nil {
			continue
		}
		if b.live == 0 {
			s.codec.free(b.chunks)
			s.blocks[i] = nil
			s.room = min(s.room, i)
			continue
		}
		s.codec.merge(b, s.families, s.seconds())
		settles -= s.codec.settle(b, settles, s.seconds())
		if b.live > blockSlots/4 || b.text > blockText/4 {
			continue
		}
		if sparse == nil {
			sparse, at = b, i
			continue
		}
		s.join(sparse, at, b)
		s.blocks[i] = nil
		s.room = min(s.room, at)
		if sparse.live > blockSlots/4 || sparse.text > blockText/4 {
			sparse = nil
		}
	}
	for len(s.blocks) > 0 && s.blocks[len(s.blocks)-1] == nil {
		s.blocks = s.blocks[:len(s.blocks)-1]
	}
	s.room = min(s.room, len(s.blocks))
	if s.most > 4*blockSlots && len(s.index) < s.most/4 { // a map does not shrink
		index := make(map[objectKey]spot, len(s.index))
		for k, p := range s.index {
			index[k] = p
		}
		s.index, s.most = index, len(index)
	}
	if len(s.blocks) < cap(s.blocks)/4 {
		s.blocks = slices.Clip(slices.Clone(s.blocks))
	}
}

// join moves the objects of b, which has no changes waiting, to a, the block at
// index i, which has none either, and room for them.
func (s *source) join(a *block, i int, b *block) {
	joined := &block{text: a.text + b.text, segments: make([]*expo.Segment, s.families), pieces: make([]*pieces, s.families)}
	n := a.live + b.live
	joined.slots, joined.marks = make([]slot, 0, n), make([]textMark, 0, n*s.families)
	for _, from := range []*block{a, b} {
		for j, o := range from.slots {
			if o.list == 0 {
				continue
			}
			s.index[o.key] = spot{uint32(i), uint16(len(joined.slots))}
			joined.slots = append(joined.slots, o)
			joined.marks = append(joined.marks, from.marks[j*s.families:][:s.families]...)
		}
	}
	joined.live = len(joined.slots)
	s.codec.join(joined, a, b) // free slots have no text
	*a = *joined
}

// change notes the text that takes the place of another, which has the mark before.
func (s *source) change(b *block, slot uint16, family int, before textMark, text []byte) {
	n := textChange{slot: slot, family: uint16(family), before: uint32(before.length())}
	if len(text) > 0 && b.pieces != nil {
		if p := b.pieces[family]; p != nil && !p.unfit && !bytes.HasPrefix(text, p.prefix) {
			s.codec.merge(b, s.families, s.seconds())
			b.pieces[family] = &pieces{unfit: true}
		} else if p != nil && !p.unfit {
			s.coded, n.piece = s.codec.coder.Append(s.coded[:0], len(p.prefix), text)
			text = s.coded
		}
	}
	if len(text) > 0 {
		n.text = b.hold(s.codec, text)
	}
	b.changes = append(b.changes, n)
	b.pending += len(text) + changeSize
}

// changeSize is how many bytes a change takes beside its text.
const changeSize = int(unsafe.Sizeof(textChange{}))

// hold keeps a text until the next merge.
func (b *block) hold(c *codec, text []byte) []byte {
	last := len(b.chunks) - 1
	if last < 0 || cap(b.chunks[last])-len(b.chunks[last]) < len(text) {
		b.chunks = append(b.chunks, c.chunk(len(text)))
		last++
	}
	held := append(b.chunks[last], text...)
	b.chunks[last] = held
	return held[len(held)-len(text):]
}

// merge brings a block's segments up to date, at the time now.
func (c *codec) merge(b *block, families int, now uint32) {
	if len(b.changes) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	first := b.segments == nil
	if first {
		b.segments, b.pieces = make([]*expo.Segment, families), make([]*pieces, families)
	}

	// By family, in the order in which they came.
	c.starts = append(c.starts[:0], make([]int32, families+1)...)
	for i := range b.changes {
		c.starts[b.changes[i].family+1]++
	}
	for f := range families {
		c.starts[f+1] += c.starts[f]
	}
	c.order = slices.Grow(c.order[:0], len(b.changes))[:len(b.changes)]
	for i := range b.changes {
		at := &c.starts[b.changes[i].family]
		c.order[*at] = int32(i)
		*at++
	}
	begin := int32(0)
	for f := range families {
		end := c.starts[f] // which the loop above has moved to the end
		if begin < end {
			c.update(b, f, families, c.order[begin:end], first)
			if p := b.pieces[f]; p != nil {
				p.changed = now
			}
		}
		begin = end
	}

	c.free(b.chunks)
	b.chunks, b.pending = nil, 0
	clear(b.changes)
	b.changes = b.changes[:0]
	if cap(b.changes) > 64 {
		b.changes = nil
	}
}

// update makes the segment of a family anew, with its changes in the order in which
// they came: of the changes of a slot the first tells how long its text in the
// segment is, the last what it is to be.
//
// What a block is filled with is deflated as a whole. What has changed since may
// change again, and is joined from pieces.
func (c *codec) update(b *block, f, families int, changes []int32, first bool) {
	for _, i := range changes {
		slot := b.changes[i].slot
		if c.first[slot] == 0 {
			c.first[slot] = i + 1
		}
		c.last[slot] = i
	}
	p := b.pieces[f]
	if p != nil && !p.unfit {
		b.segments[f] = c.rejoin(b, f, families)
		return
	}
	c.splice(b, f, families)
	if first || p != nil {
		b.segments[f] = c.deflate(c.new)
		return
	}
	b.segments[f], b.pieces[f] = c.cut(b, f, families)
}

// splice puts the changes of a family into its text, c.new.
func (c *codec) splice(b *block, f, families int) {
	c.old = c.inflate(c.old[:0], b.segments[f])
	c.new = c.new[:0]
	done, at := 0, 0 // of the old text: what was dealt with, where the slot's begins
	for slot := range b.slots {
		n := c.first[slot] - 1
		if n < 0 {
			at += b.marks[slot*families+f].length()
			continue
		}
		c.first[slot] = 0
		c.new = append(c.new, c.old[done:at]...)
		at += int(b.changes[n].before)
		done = at
		c.new = append(c.new, b.changes[c.last[slot]].text...)
	}
	c.new = append(c.new, c.old[done:at]...)
	if at != len(c.old) {
		panic("BUG: kube: the marks of a block do not fit its text")
	}
}

// maxPrefix bounds the prefix of the texts of a segment, in bytes.
const maxPrefix = 256

// cut makes a segment of pieces of the text of a family, c.new.
func (c *codec) cut(b *block, f, families int) (*expo.Segment, *pieces) {
	if len(c.new) == 0 {
		return nil, nil
	}
	prefix := c.new[:min(len(c.new), maxPrefix)]
	prefix = prefix[:bytes.IndexByte(prefix, '"')+1] // kube_pod_info{namespace="
	p, alike := &pieces{prefix: bytes.Clone(prefix)}, len(prefix) > 0
	c.joiner.Begin(c.coder, p.prefix)
	rest := c.new
	for slot := range b.slots {
		n := b.marks[slot*families+f].length()
		if n == 0 {
			continue
		}
		text := rest[:n]
		rest = rest[n:]
		if alike = alike && bytes.HasPrefix(text, prefix); !alike {
			return c.deflate(c.new), &pieces{unfit: true}
		}
		o := &p.of[slot]
		c.coded, o.Piece = c.coder.Append(c.coded[:0], len(prefix), text)
		o.at = uint32(c.joiner.Add(c.coded, 0, o.Piece, n))
	}
	s := c.joiner.End()
	return &s, p
}

// rejoin makes the segment of a family anew that is of pieces.
func (c *codec) rejoin(b *block, f, families int) *expo.Segment {
	p := b.pieces[f]
	var old []byte
	if b.segments[f] != nil {
		old = b.segments[f].Deflated
	}
	c.joiner.Begin(c.coder, p.prefix)
	for slot := range b.slots {
		from, o := old, &p.of[slot]
		if c.first[slot] != 0 {
			c.first[slot] = 0
			n := &b.changes[c.last[slot]]
			from, *o = n.text, piece{Piece: n.piece}
		}
		if n := b.marks[slot*families+f].length(); n > 0 {
			o.at = uint32(c.joiner.Add(from, int(o.at), o.Piece, n))
		}
	}
	s := c.joiner.End()
	if s.Len == 0 {
		return nil
	}
	return &s
}

// settle deflates segments of pieces as a whole that did not change for a time, which
// makes them half as long; at most so many, and it returns how many.
func (c *codec) settle(b *block, most int, now uint32) (done int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for f, p := range b.pieces {
		if done == most {
			break
		}
		if p == nil || p.unfit || now < p.changed+settleAfter {
			continue
		}
		c.new = c.inflate(c.new[:0], b.segments[f])
		b.segments[f], b.pieces[f] = c.deflate(c.new), nil
		done++
	}
	return done
}

// join makes the segments of a block from those of two.
func (c *codec) join(to, a, b *block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for f := range to.segments {
		c.new = c.new[:0]
		for _, from := range []*block{a, b} {
			if from.segments != nil {
				c.new = c.inflate(c.new, from.segments[f])
			}
		}
		to.segments[f] = c.deflate(c.new)
	}
}

func (c *codec) deflate(text []byte) *expo.Segment {
	if len(text) == 0 {
		return nil
	}
	s := c.deflater.Deflate(text)
	return &s
}

func (c *codec) inflate(dst []byte, s *expo.Segment) []byte {
	if s == nil {
		return dst
	}
	dst, err := c.inflater.Append(dst, *s)
	if err != nil { // it was made here, and memory does not rot
		panic("BUG: kube: " + err.Error())
	}
	return dst
}
