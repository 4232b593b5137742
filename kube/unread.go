package kube

import (
	"encoding/binary"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// Much of an object is of no use here: what a container is started with, the fields
// that a manager has set. Such fields are cut out of the bytes of an object before
// it is decoded, which is what most of the cost of an event is.

// unread are fields of a resource's objects that no family reads.
type unread struct {
	fields string // paths separated by blanks, as `spec.{containers,initContainers}.{env,args}`; names are those of protobuf
	unless string // and there is no family whose name has this in it; empty: in any case
}

// everywhere is what is not read of any object.
const everywhere = "metadata.managedFields"

// cut says what to leave out of a message, by the numbers of its fields, which are
// below 64 in all messages of Kubernetes' API that are cut.
type cut struct {
	drop   uint64
	within []cutField
}

type cutField struct {
	number int
	cut    *cut
}

// newCut resolves paths in the type of an object.
func newCut(object reflect.Type, fields []string) (*cut, error) {
	c := &cut{}
	for _, group := range fields {
		for _, path := range strings.Fields(group) {
			for _, one := range alternatives(path) {
				if err := c.add(object, strings.Split(one, ".")); err != nil {
					return nil, fmt.Errorf("BUG: kube: unread field %s: %w", one, err)
				}
			}
		}
	}
	return c, nil
}

// alternatives are the paths that one with braces stands for.
func alternatives(path string) (all []string) {
	begin, end := strings.IndexByte(path, '{'), strings.IndexByte(path, '}')
	if begin < 0 || end < begin {
		return []string{path}
	}
	for _, word := range strings.Split(path[begin+1:end], ",") {
		all = append(all, alternatives(path[:begin]+word+path[end+1:])...)
	}
	return all
}

func (c *cut) add(t reflect.Type, path []string) error {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return fmt.Errorf("%s has no fields", t)
	}
	for i := range t.NumField() {
		f := t.Field(i)
		number, ok := wireNumber(f.Tag.Get("protobuf"), path[0])
		if !ok {
			continue
		}
		if number >= 64 {
			return fmt.Errorf("field %d of %s: numbers up to 63 can be cut", number, t)
		}
		if len(path) == 1 {
			c.drop |= 1 << number
			return nil
		}
		at := slices.IndexFunc(c.within, func(w cutField) bool { return w.number == number })
		if at < 0 {
			at = len(c.within)
			c.within = append(c.within, cutField{number, &cut{}})
		}
		return c.within[at].cut.add(f.Type, path[1:])
	}
	return fmt.Errorf("%s has no field %q", t, path[0])
}

// wireNumber is the number of a field of a name by its tag, such as
// `bytes,3,rep,name=command`.
func wireNumber(tag, name string) (number int, ok bool) {
	parts := strings.Split(tag, ",")
	if len(parts) < 4 || parts[3] != "name="+name {
		return 0, false
	}
	_, err := fmt.Sscan(parts[1], &number)
	return number, err == nil
}

// append appends a message without the fields that are cut.
func (c *cut) append(dst, message []byte) ([]byte, error) {
	kept := 0 // of message: what comes before was dealt with
	for at := 0; at < len(message); {
		tag, value, n, err := nextField(message[at:])
		if err != nil {
			return dst, err
		}
		number := tag >> 3
		switch within := c.of(number); {
		case number < 64 && c.drop>>number&1 == 1:
			dst = append(dst, message[kept:at]...)
			kept = at + n
		case within != nil && value != nil:
			dst = append(dst, message[kept:at]...)
			kept = at + n
			dst = binary.AppendUvarint(dst, tag)
			begin := len(dst)
			dst = append(dst, 0x80, 0x80, 0x80, 0) // the length, in as many bytes as it may need
			if dst, err = within.append(dst, value); err != nil {
				return dst, err
			}
			for i, n := 0, len(dst)-begin-4; i < 4; i, n = i+1, n>>7 {
				dst[begin+i] |= byte(n & 0x7f)
			}
		}
		at += n
	}
	return append(dst, message[kept:]...), nil
}

func (c *cut) of(number uint64) *cut {
	for i := range c.within {
		if uint64(c.within[i].number) == number {
			return c.within[i].cut
		}
	}
	return nil
}

// nextField is the tag of the first field of a message, its bytes where it has such,
// and the length of it all.
func nextField(b []byte) (tag uint64, value []byte, n int, err error) {
	tag, n = binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, 0, io.ErrUnexpectedEOF
	}
	switch tag & 7 {
	case wireVarint:
		_, m := binary.Uvarint(b[n:])
		if m <= 0 {
			return 0, nil, 0, io.ErrUnexpectedEOF
		}
		n += m
	case wire64:
		n += 8
	case wire32:
		n += 4
	case wireBytes:
		size, m := binary.Uvarint(b[n:])
		if m <= 0 || size > uint64(len(b)-n-m) {
			return 0, nil, 0, io.ErrUnexpectedEOF
		}
		n += m + int(size)
		value = b[n-int(size) : n]
	default:
		return 0, nil, 0, fmt.Errorf("wire type %d", tag&7)
	}
	if n > len(b) {
		return 0, nil, 0, io.ErrUnexpectedEOF
	}
	return tag, value, n, nil
}
