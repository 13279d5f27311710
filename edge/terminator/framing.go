package terminator

import (
	"bytes"
	"errors"
	"net"
	"strconv"
)

// guardedConn is an HTTP/1 connection on which net/http accepts only requests whose end is beyond doubt. By itself net/http accepts a
// request with both Content-Length and Transfer-Encoding: it follows the second, removes the first before a handler sees it, and goes on
// with the connection. RFC 9112 §6.1 demands that the connection is closed, because what follows may have been smuggled past a proxy in
// front of us.
//
// So the bytes are read along on their way to net/http. A head that is to be refused gets one more line, for which net/http answers 400 and
// closes the connection, after it has answered the requests before.
type guardedConn struct {
	net.Conn
	framing framing
	ended   bool   // no other head is parsed on this connection: what follows is passed on as it comes
	pending []byte // an inserted line, and what was read after it
}

// Lines to insert before the empty line at the end of a head. Both make the request the last one of its connection.
const (
	refuseRequest = ":\r\n" // a field without a name
	lastRequest   = "Connection: close\r\n"
)

func (c *guardedConn) Read(p []byte) (int, error) {
	if len(c.pending) == 0 {
		n, err := c.Conn.Read(p)
		if c.ended {
			return n, err
		}
		at, line := c.framing.scan(p[:n])
		if line == "" {
			return n, err
		}
		c.ended = true
		c.pending = append([]byte(line), p[at:n]...)
		if at > 0 {
			return at, nil // an error comes again at the next read
		}
	}
	n := copy(p, c.pending)
	if c.pending = c.pending[n:]; len(c.pending) == 0 {
		c.pending = nil
	}
	return n, nil
}

// CloseWrite lets clients read net/http's answer to an oversized head before the connection is reset.
func (c *guardedConn) CloseWrite() error { return closeWrite(c.Conn) }

func closeWrite(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

const (
	keptOfLine     = 64 // bytes of a line that are looked at; a field that matters here is shorter
	bodyLengthBits = 62
)

// part is what the line under way belongs to.
type part int

const (
	requestLine part = iota
	fieldLines
	chunkLine // the length of a chunk (RFC 9112 §7.1)
	trailerLines
)

// framing finds the heads in the bytes of a connection (RFC 9112 §6, §7.1) as net/http does. Where net/http refuses a request and closes
// the connection, it does not matter what is found here, so that nothing is checked here that is checked there.
type framing struct {
	part part
	body int64  // bytes to skip before the next line begins
	line []byte // of the line under way: of a request line the end, of others the beginning
	cut  bool   // that is not the whole line

	// What the head under way has said so far.
	version11 bool
	sized     bool // there is a Content-Length
	length    int64
	coded     bool // there is a Transfer-Encoding
	upgrade   bool
	faulty    bool
}

// scan reads on. It returns the line to insert before p[at], or "" for none.
func (f *framing) scan(p []byte) (at int, insert string) {
	for i := 0; i < len(p); {
		switch {
		case f.body > 0:
			skipped := min(f.body, int64(len(p)-i))
			f.body -= skipped
			i += int(skipped)
		case len(f.line) == 0 && (p[i] == '\r' || p[i] == '\n'):
			if f.part == fieldLines {
				if insert = f.verdict(); insert != "" {
					return i, insert
				}
			}
			f.emptyLine(p[i])
			i++
		default:
			rest, _, whole := bytes.Cut(p[i:], []byte{'\n'})
			f.keep(rest)
			i += len(rest)
			if whole {
				f.endLine()
				i++
			}
		}
	}
	return 0, ""
}

// emptyLine ends a head, or a trailer. Elsewhere net/http takes some, such as after the data of a chunk, and refuses others.
func (f *framing) emptyLine(first byte) {
	switch {
	case f.part == fieldLines && f.coded:
		*f = framing{part: chunkLine, line: f.line}
	case f.part == fieldLines:
		*f = framing{body: f.length, line: f.line}
	case f.part == trailerLines:
		*f = framing{line: f.line}
	default:
		return
	}
	if first == '\r' {
		f.body++ // its line feed, which is skipped with the body
	}
}

func (f *framing) keep(piece []byte) {
	if f.part != requestLine {
		fits := min(len(piece), keptOfLine-len(f.line))
		f.cut = f.cut || fits < len(piece)
		f.line = append(f.line, piece[:fits]...)
		return
	}
	piece = piece[max(0, len(piece)-keptOfLine):]
	excess := max(0, len(f.line)+len(piece)-keptOfLine)
	f.line = append(append(f.line[:0], f.line[excess:]...), piece...)
}

func (f *framing) endLine() {
	line := bytes.TrimSuffix(f.line, []byte{'\r'})
	switch f.part {
	case requestLine:
		f.version11 = bytes.HasSuffix(line, []byte(" HTTP/1.1"))
		f.part = fieldLines
	case fieldLines:
		f.field(line)
	case chunkLine:
		if f.body = chunkLength(line); f.body == 0 {
			f.part = trailerLines
		}
	case trailerLines:
	}
	f.line, f.cut = f.line[:0], false
}

// chunkLength reads the line before a chunk. The end of the line after its data is taken for an empty line.
func chunkLength(line []byte) int64 {
	digits := len(line) - len(bytes.TrimLeft(line, "0123456789abcdefABCDEF"))
	length, err := strconv.ParseUint(string(line[:digits]), 16, bodyLengthBits)
	if err != nil {
		return 0
	}
	return int64(length) //nolint:gosec // it has fewer bits
}

func (f *framing) field(line []byte) {
	name, value, _ := bytes.Cut(line, []byte{':'})
	switch {
	case line[0] == ' ' || line[0] == '\t': // continues the field before: "MUST reject" (RFC 9112 §5.2)
		f.faulty = true
	case bytes.EqualFold(name, []byte("Content-Length")):
		length, err := strconv.ParseUint(string(bytes.Trim(value, " \t")), 10, bodyLengthBits)
		f.faulty = f.faulty || f.sized || f.cut || err != nil // net/http takes one that is repeated; nginx doesn't
		f.sized, f.length = true, int64(length)               //nolint:gosec // it has fewer bits
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		f.faulty = f.faulty || f.coded
		f.coded = true
	case bytes.EqualFold(name, []byte("Upgrade")):
		f.upgrade = true
	}
}

// verdict is the line to insert at the end of a head. A request that may turn the connection into something else is the last one on it.
func (f *framing) verdict() string {
	switch {
	case f.faulty, f.coded && (f.sized || !f.version11): // RFC 9112 §6.1
		return refuseRequest
	case f.upgrade:
		return lastRequest
	}
	return ""
}
