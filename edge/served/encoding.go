package served

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/evercert/evercert/store"
)

// version is the version of both encodings. A program that finds another version makes the copy anew.
const version = 1

var errEncoding = errors.New("it was written by another version of the edge, or is damaged")

// header begins each part of a list. The parts of one list have equal headers except for the part's number, so that a part of another list
// is noticed.
type header struct {
	id     int64 // of this list
	number int64 // of the data file
	part   int64
	parts  int64
}

func (h header) append(b []byte) []byte {
	b = append(b, version)
	for _, v := range []int64{h.id, h.number, h.part, h.parts} {
		b = binary.AppendVarint(b, v)
	}
	return b
}

func appendName(b []byte, name string, p place) []byte {
	b = appendBytes(b, []byte(name))
	b = binary.BigEndian.AppendUint64(b, p.serial)
	b = binary.AppendVarint(b, p.at)
	b = binary.AppendUvarint(b, uint64(p.length))
	return appendBool(b, p.redirect)
}

// decodePart reads a header and adds the names after it.
func decodePart(b []byte, names map[string]place) (header, error) {
	r := reader{rest: b}
	if r.byte() != version {
		return header{}, errEncoding
	}
	h := header{id: r.varint(), number: r.varint(), part: r.varint(), parts: r.varint()}
	for len(r.rest) > 0 && !r.failed {
		name := string(r.bytes())
		//nolint:gosec // encodePart wrote a uint32
		names[name] = place{serial: r.uint64(), at: r.varint(), length: uint32(r.uvarint()), redirect: r.byte() == 1}
	}
	return h, r.end()
}

// encodeCertificate encodes what is needed to serve. The key is sealed already.
func encodeCertificate(c store.ServedCertificate) []byte {
	b := []byte{version}
	b = appendBytes(b, []byte(c.Serial))
	b = binary.AppendVarint(b, c.NotAfter.Unix())
	b = appendBytes(b, []byte(c.KeyID))
	b = appendBytes(b, c.SealedKey)
	return appendBytes(b, c.ChainPEM)
}

func decodeCertificate(b []byte) (store.ServedCertificate, error) {
	r := reader{rest: b}
	if r.byte() != version {
		return store.ServedCertificate{}, errEncoding
	}
	c := store.ServedCertificate{
		Serial: string(r.bytes()), NotAfter: time.Unix(r.varint(), 0).UTC(), KeyID: string(r.bytes()), SealedKey: r.bytes(), ChainPEM: r.bytes(),
	}
	return c, r.end()
}

func appendBytes(b, p []byte) []byte { return append(binary.AppendUvarint(b, uint64(len(p))), p...) }

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// reader decodes what was appended. After an error it returns zeros.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) take(n uint64) []byte {
	if r.failed || n > uint64(len(r.rest)) {
		r.failed = true
		return nil
	}
	p := r.rest[:n]
	r.rest = r.rest[n:]
	return p
}

func (r *reader) byte() byte {
	if p := r.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if p := r.take(8); p != nil {
		return binary.BigEndian.Uint64(p)
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	r.take(uint64(max(n, 0)))
	r.failed = r.failed || n <= 0
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	r.take(uint64(max(n, 0)))
	r.failed = r.failed || n <= 0
	return v
}

func (r *reader) bytes() []byte { return r.take(r.uvarint()) }

func (r *reader) end() error {
	if r.failed || len(r.rest) > 0 {
		return fmt.Errorf("%w: it ends too early or too late", errEncoding)
	}
	return nil
}
