package kube

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	k8sjson "k8s.io/apimachinery/pkg/util/json"
)

// What the API server answers to a list or a watch is read here object by object, so
// that no more than one of them is in memory at a time.
//
// Protobuf (k8s.io/apimachinery/pkg/runtime/generated.proto and
// .../meta/v1/generated.proto): an answer is the four bytes "k8s\x00" and a message
// Unknown, whose field 2 is the list or the object. A list has its metadata as field
// 1 and an object in each field 2; an object has its metadata as field 1. A watch is
// one message WatchEvent after another, each after its length in four bytes, the
// highest first; its object is such an answer.

// maxObject bounds how long an object may be, in bytes. etcd takes 1.5 MB unless told
// otherwise.
const maxObject = 32 << 20

// watchBuffer is how much of a watch is read at a time, in bytes.
const watchBuffer = 16 << 10

// Numbers of fields in the messages that are read here.
const (
	unknownRaw        = 2
	listMeta          = 1
	listItem          = 2
	objectMeta        = 1
	metaUID           = 5
	metaVersion       = 6
	metaManagedFields = 17
	eventType         = 1
	eventObject       = 2
	rawExtensionRaw   = 1
	wireVarint        = 0
	wire64            = 1
	wireBytes         = 2
	wire32            = 5
)

var protobufMagic = []byte("k8s\x00")

// event is what a watch tells.
type event struct {
	verb    string // ADDED, MODIFIED, DELETED or BOOKMARK
	uid     types.UID
	version string    // the resource version to go on from
	object  v1.Object // nil where it is another shard's, or nothing of it is needed
	initial bool      // a bookmark that ends the objects that were there at the start
}

// Verbs of events, k8s.io/apimachinery/pkg/watch.
const (
	verbAdded    = "ADDED"
	verbModified = "MODIFIED"
	verbDeleted  = "DELETED"
	verbBookmark = "BOOKMARK"
	verbError    = "ERROR"
)

// decoder reads the answers of the API server to requests about one resource.
type decoder interface {
	// list calls each for every object and returns the list's own metadata.
	list(r io.Reader, each func(v1.Object) error) (v1.ListMeta, error)
	// watch calls each for every event. An ERROR event is the error that is returned,
	// and so is that of each; the end of the answer is none.
	watch(r io.Reader, each func(event) error) error
}

// keepFunc tells by its UID whether an object is for this process; nil keeps all.
type keepFunc func(uid []byte) bool

// protobufDecoder reads typed objects.
type protobufDecoder struct {
	new  func() protobufObject
	keep keepFunc
	cut  *cut

	object, lean []byte // used again
}

// protobufObject is what all types of the API's Go packages are.
type protobufObject interface {
	v1.Object
	Unmarshal([]byte) error
}

// newOf makes empty objects of the type of another.
func newOf(sample any) (func() protobufObject, error) {
	t := reflect.TypeOf(sample).Elem()
	if _, ok := sample.(protobufObject); !ok {
		return nil, fmt.Errorf("BUG: %s cannot be read from protobuf", t)
	}
	return func() protobufObject { return reflect.New(t).Interface().(protobufObject) }, nil
}

// wireReader reads a protobuf message of known length from a stream.
type wireReader struct {
	r    *bufio.Reader
	left int64
}

func (w *wireReader) ReadByte() (byte, error) {
	if w.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	b, err := w.r.ReadByte()
	if err == nil {
		w.left--
	}
	return b, err
}

// field reads the number of the next field and the length of its bytes; a field of
// another type than bytes is passed over and its length is -1.
func (w *wireReader) field() (number int, n int64, err error) {
	tag, err := binary.ReadUvarint(w)
	if err != nil {
		return 0, 0, err
	}
	v := uint64(8)
	switch tag & 7 {
	case wireVarint:
		_, err = binary.ReadUvarint(w)
		return int(tag >> 3), -1, unexpected(err)
	case wire32:
		v = 4
		fallthrough
	case wire64:
		return int(tag >> 3), -1, w.skip(int64(v))
	case wireBytes:
		if v, err = binary.ReadUvarint(w); err != nil {
			return 0, 0, unexpected(err)
		}
		if v > uint64(w.left) {
			return 0, 0, fmt.Errorf("a field of %d bytes where %d are left", v, w.left)
		}
		return int(tag >> 3), int64(v), nil
	}
	return 0, 0, fmt.Errorf("wire type %d", tag&7)
}

func (w *wireReader) skip(n int64) error {
	if n > w.left {
		return io.ErrUnexpectedEOF
	}
	w.left -= n
	_, err := io.CopyN(io.Discard, w.r, n)
	return unexpected(err)
}

// bytes reads n bytes into dst.
func (w *wireReader) bytes(dst []byte, n int64) ([]byte, error) {
	if n > maxObject {
		return dst, fmt.Errorf("an object of %d bytes; at most %d are read", n, maxObject)
	}
	if int64(cap(dst)) < n {
		dst = make([]byte, n, n+n/4)
	}
	dst = dst[:n]
	w.left -= n
	_, err := io.ReadFull(w.r, dst)
	return dst, unexpected(err)
}

// unexpected makes the end of the input in the middle of something an error.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (d *protobufDecoder) list(r io.Reader, each func(v1.Object) error) (meta v1.ListMeta, err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	magic, err := in.Peek(len(protobufMagic))
	if err != nil || !bytes.Equal(magic, protobufMagic) {
		if err == nil {
			err = fmt.Errorf("not protobuf: begins with %q", magic)
		}
		return meta, unexpected(err)
	}
	in.Discard(len(magic))
	w := &wireReader{in, 1 << 62}
	for {
		number, n, err := w.field()
		switch {
		case errors.Is(err, io.EOF):
			return meta, nil
		case err != nil:
			return meta, err
		case number == unknownRaw && n >= 0:
			w.left -= n
			err = d.items(&wireReader{in, n}, &meta, each)
		case n >= 0:
			err = w.skip(n)
		}
		if err != nil {
			return meta, err
		}
	}
}

func (d *protobufDecoder) items(w *wireReader, meta *v1.ListMeta, each func(v1.Object) error) error {
	for w.left > 0 {
		number, n, err := w.field()
		if err == nil && n >= 0 {
			d.object, err = w.bytes(d.object, n)
		}
		if err != nil {
			return unexpected(err)
		}
		switch {
		case n < 0:
		case number == listMeta:
			err = meta.Unmarshal(d.object)
		case number == listItem:
			var e event
			if e, err = d.decode(d.object, false); err == nil && e.object != nil {
				err = each(e.object)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *protobufDecoder) watch(r io.Reader, each func(event) error) error {
	// An event of a pod in one piece: each read of 4 kB or more makes HTTP/2 send the
	// server a frame that there is room for more.
	in := bufio.NewReaderSize(r, watchBuffer)
	var frame [4]byte
	for {
		if _, err := io.ReadFull(in, frame[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		n := int64(binary.BigEndian.Uint32(frame[:]))
		w := &wireReader{in, n}
		var err error
		if d.object, err = w.bytes(d.object, n); err != nil {
			return err
		}
		e, err := d.event(d.object)
		if err != nil {
			return err
		}
		if err := each(e); err != nil {
			return err
		}
		if cap(d.object) > 256<<10 { // not to be kept by each of a hundred watches
			d.object, d.lean = nil, nil
		}
	}
}

func (d *protobufDecoder) event(b []byte) (event, error) {
	var verb, answer []byte
	err := eachField(b, func(number int, value []byte) error {
		switch number {
		case eventType:
			verb = value
		case eventObject:
			return eachField(value, func(number int, value []byte) error {
				if number == rawExtensionRaw {
					answer = value
				}
				return nil
			})
		}
		return nil
	})
	if err != nil {
		return event{}, err
	}
	raw, err := unwrap(answer)
	if err != nil {
		return event{}, err
	}
	if string(verb) == verbError {
		var status v1.Status
		if err := status.Unmarshal(raw); err != nil {
			return event{}, fmt.Errorf("an error that cannot be read: %w", err)
		}
		return event{}, &apierrors.StatusError{ErrStatus: status}
	}
	e, err := d.decode(raw, string(verb) != verbAdded && string(verb) != verbModified)
	e.verb = string(verb)
	if err == nil && e.verb == verbBookmark {
		e.initial = e.object.GetAnnotations()[v1.InitialEventsAnnotationKey] == "true"
	}
	return e, err
}

// unwrap is the object in an answer.
func unwrap(answer []byte) (raw []byte, err error) {
	rest, ok := bytes.CutPrefix(answer, protobufMagic)
	if !ok {
		return nil, fmt.Errorf("not protobuf: begins with %.16q", answer)
	}
	err = eachField(rest, func(number int, value []byte) error {
		if number == unknownRaw {
			raw = value
		}
		return nil
	})
	return raw, err
}

// decode reads an object, or only its metadata: what is not cut of it, and of another
// shard's object nothing but what the event itself has.
func (d *protobufDecoder) decode(raw []byte, metaOnly bool) (e event, err error) {
	var meta, uid, version []byte
	err = eachField(raw, func(number int, value []byte) error {
		if number == objectMeta {
			meta = value
		}
		return nil
	})
	if err != nil {
		return e, err
	}
	err = eachField(meta, func(number int, value []byte) error {
		switch number {
		case metaUID:
			uid = value
		case metaVersion:
			version = value
		}
		return nil
	})
	if err != nil {
		return e, err
	}
	e.uid, e.version = types.UID(uid), string(version)
	if d.keep != nil && len(uid) > 0 && !d.keep(uid) {
		return e, nil
	}
	if metaOnly {
		if d.lean, err = cutMeta.append(d.lean[:0], meta); err != nil {
			return e, err
		}
		o := &v1.PartialObjectMetadata{}
		e.object = o
		return e, o.ObjectMeta.Unmarshal(d.lean)
	}
	if d.lean, err = d.cut.append(d.lean[:0], raw); err != nil {
		return e, fmt.Errorf("object %s: %w", uid, err)
	}
	o := d.new()
	e.object = o
	if err := o.Unmarshal(d.lean); err != nil {
		return e, fmt.Errorf("object %s: %w", uid, err)
	}
	return e, nil
}

// cutMeta cuts metadata of which all the rest is to be known.
var cutMeta = cut{drop: 1 << metaManagedFields}

// eachField calls each with the fields of a message: the number, and the bytes of a
// field that has such.
func eachField(b []byte, each func(number int, value []byte) error) error {
	for len(b) > 0 {
		tag, value, n, err := nextField(b)
		if err != nil {
			return err
		}
		if err := each(int(tag>>3), value); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// convertingDecoder makes other objects of those of a decoder.
type convertingDecoder struct {
	decoder
	convert func(v1.Object) v1.Object
}

func (d convertingDecoder) list(r io.Reader, each func(v1.Object) error) (v1.ListMeta, error) {
	return d.decoder.list(r, func(o v1.Object) error { return each(d.convert(o)) })
}

func (d convertingDecoder) watch(r io.Reader, each func(event) error) error {
	return d.decoder.watch(r, func(e event) error {
		if e.object != nil && (e.verb == verbAdded || e.verb == verbModified) {
			e.object = d.convert(e.object)
		}
		return each(e)
	})
}

// jsonEvent is an event of a watch in JSON.
type jsonEvent struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

// watchJSON reads a watch in JSON, whose objects read makes events of.
func watchJSON(r io.Reader, read func(verb string, object []byte, each func(event) error) error, each func(event) error) error {
	in := json.NewDecoder(r)
	for {
		var e jsonEvent
		if err := in.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if e.Type == verbError {
			var status v1.Status
			if err := json.Unmarshal(e.Object, &status); err != nil {
				return fmt.Errorf("an error that cannot be read: %.200q: %w", e.Object, err)
			}
			return &apierrors.StatusError{ErrStatus: status}
		}
		if err := read(e.Type, e.Object, each); err != nil {
			return err
		}
	}
}

// eventOf is an event about an object, which is left out where another shard has it.
func eventOf(verb string, o v1.Object, keep keepFunc) event {
	e := event{verb: verb, uid: o.GetUID(), version: o.GetResourceVersion(), object: o}
	e.initial = verb == verbBookmark && o.GetAnnotations()[v1.InitialEventsAnnotationKey] == "true"
	if keep != nil && e.uid != "" && !keep([]byte(e.uid)) {
		e.object = nil
	}
	return e
}

// tableDecoder reads tables, the form in which kubectl asks for what it prints
// (https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables).
type tableDecoder struct {
	keep    keepFunc
	columns []string // of the table before: a watch may tell them only once
}

type table struct {
	v1.TypeMeta       `json:",inline"`
	Metadata          v1.ListMeta `json:"metadata"`
	ColumnDefinitions []struct {
		Name string `json:"name"`
	} `json:"columnDefinitions"`
	Rows []struct {
		Cells  []any `json:"cells"`
		Object struct {
			Metadata v1.ObjectMeta `json:"metadata"`
		} `json:"object"`
	} `json:"rows"`
}

// rows calls each for every row of a table.
func (d *tableDecoder) rows(t *table, each func(*row) error) error {
	if t.Kind != "Table" {
		return fmt.Errorf("a %s where a Table was asked for", t.Kind)
	}
	if len(t.ColumnDefinitions) > 0 {
		d.columns = d.columns[:0]
		for _, c := range t.ColumnDefinitions {
			d.columns = append(d.columns, c.Name)
		}
	}
	for i := range t.Rows {
		r := &row{ObjectMeta: t.Rows[i].Object.Metadata, columns: map[string]string{}}
		r.ManagedFields = nil
		for j, cell := range t.Rows[i].Cells {
			if text, ok := cell.(string); ok && j < len(d.columns) {
				r.columns[d.columns[j]] = text
			}
		}
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

func (d *tableDecoder) list(r io.Reader, each func(v1.Object) error) (v1.ListMeta, error) {
	var t table
	if err := json.NewDecoder(r).Decode(&t); err != nil {
		return t.Metadata, unexpected(err)
	}
	return t.Metadata, d.rows(&t, func(o *row) error {
		if d.keep != nil && !d.keep([]byte(o.UID)) {
			return nil
		}
		return each(o)
	})
}

func (d *tableDecoder) watch(r io.Reader, each func(event) error) error {
	return watchJSON(r, func(verb string, object []byte, each func(event) error) error {
		var t table
		if err := json.Unmarshal(object, &t); err != nil {
			return err
		}
		if verb == verbBookmark && t.Kind != "Table" {
			var o v1.PartialObjectMetadata
			if err := json.Unmarshal(object, &o); err != nil {
				return err
			}
			return each(eventOf(verb, &o, nil))
		}
		return d.rows(&t, func(o *row) error { return each(eventOf(verb, o, d.keep)) })
	}, each)
}

// anyDecoder reads objects of unknown types.
type anyDecoder struct {
	resource *resource
	keep     keepFunc
}

// object reads an object: numbers as int64 where they are whole, else as float64. One
// of a list may not say what it is.
func (d anyDecoder) object(b []byte) (*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{}
	if err := k8sjson.Unmarshal(b, &o.Object); err != nil {
		return nil, err
	}
	if o.Object == nil {
		return nil, fmt.Errorf("not an object: %.100q", b)
	}
	o.SetManagedFields(nil)
	o.SetGroupVersionKind(d.resource.version.WithKind(d.resource.kind))
	return o, nil
}

func (d anyDecoder) list(r io.Reader, each func(v1.Object) error) (meta v1.ListMeta, err error) {
	in := json.NewDecoder(r)
	if t, err := in.Token(); err != nil || t != json.Delim('{') {
		return meta, fmt.Errorf("not a list in JSON: %v %w", t, unexpected(err))
	}
	for in.More() {
		name, err := in.Token()
		if err == nil {
			switch name {
			case "metadata":
				err = in.Decode(&meta)
			case "items":
				err = d.items(in, each)
			default:
				err = in.Decode(new(json.RawMessage))
			}
		}
		if err != nil {
			return meta, unexpected(err)
		}
	}
	_, err = in.Token()
	return meta, unexpected(err)
}

func (d anyDecoder) items(in *json.Decoder, each func(v1.Object) error) error {
	if t, err := in.Token(); err != nil || t != json.Delim('[') { // null where there are none
		return err
	}
	var raw json.RawMessage
	for in.More() {
		if err := in.Decode(&raw); err != nil {
			return err
		}
		o, err := d.object(raw)
		if err != nil {
			return err
		}
		if d.keep != nil && !d.keep([]byte(o.GetUID())) {
			continue
		}
		if err := each(o); err != nil {
			return err
		}
	}
	_, err := in.Token()
	return err
}

func (d anyDecoder) watch(r io.Reader, each func(event) error) error {
	return watchJSON(r, func(verb string, object []byte, each func(event) error) error {
		o, err := d.object(object)
		if err != nil {
			return err
		}
		return each(eventOf(verb, o, d.keep))
	}, each)
}

// readStatus makes the error that a refused request is.
func readStatus(body []byte, contentType string) *apierrors.StatusError {
	var status v1.Status
	var err error
	if strings.HasPrefix(contentType, mediaProtobuf) {
		var raw []byte
		if raw, err = unwrap(body); err == nil {
			err = status.Unmarshal(raw)
		}
	} else {
		err = json.Unmarshal(body, &status)
	}
	if err != nil || status.Kind != "" && status.Kind != "Status" || status.Message == "" && status.Reason == "" {
		return nil
	}
	return &apierrors.StatusError{ErrStatus: status}
}
