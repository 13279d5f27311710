package terminator

import (
	"bytes"
	"net"
	"strconv"

	"github.com/evercert/evercert/stall"
)

// guardedConn is an HTTP/1 connection on which net/http accepts only requests whose end is clear. By itself net/http accepts a request with
// both Content-Length and Transfer-Encoding: it uses the second, removes the first before a handler sees it, and continues with the
// connection. RFC 9112 §6.1 demands that the connection is closed, because the bytes after it may be a request that was smuggled past a
// proxy in front of the edge.
//
//	So guardedConn parses the bytes that net/http reads. It inserts one more line into a head that has to be refused. net/http answers that
//	line with 400 and closes the connection, after it has answered the requests before.
type guardedConn struct {
	net.Conn
	framing framing
	ended   bool   // no further head is parsed on this connection; its bytes are passed on unchanged
	pending []byte // an inserted line, and what was read after it
}

// The lines to insert before the empty line at the end of a head. Both make the request the last one of its connection.
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
			return at, nil // the next read returns the error again
		}
	}
	n := copy(p, c.pending)
	if c.pending = c.pending[n:]; len(c.pending) == 0 {
		c.pending = nil
	}
	return n, nil
}

// CloseWrite lets clients read net/http's answer to a head that is too large, before the connection is reset.
func (c *guardedConn) CloseWrite() error { return stall.CloseWrite(c.Conn) }

const (
	keptOfLine     = 64 // bytes that are kept of a line; a field that matters here is shorter
	bodyLengthBits = 62
)

// part says what the current line belongs to.
type part int

const (
	requestLine part = iota
	fieldLines
	chunkLine // the length of a chunk (RFC 9112 §7.1)
	trailerLines
)

// framing finds the heads in the bytes of a connection (RFC 9112 §6, §7.1) as net/http does. Where net/http refuses a request and closes
// the connection, its result does not matter, so it does not repeat the checks of net/http.
type framing struct {
	part part
	body int64  // bytes to skip before the next line begins
	line []byte // of the current line: the end of a request line, the beginning of others
	cut  bool   // line is not the whole line

	// What the current head has declared so far.
	version11 bool
	sized     bool // it has Content-Length
	length    int64
	coded     bool // it has Transfer-Encoding
	upgrade   bool
	faulty    bool
}

// scan reads p. It returns the line to insert before p[at], or "" for none.
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

// emptyLine ends a head, or a trailer. At other places net/http accepts some empty lines, such as after the data of a chunk, and refuses
// others.
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

// chunkLength parses the line before a chunk. The end of the line after the chunk's data counts as an empty line.
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
		f.faulty = f.faulty || f.sized || f.cut || err != nil // net/http accepts a repeated Content-Length; nginx does not
		f.sized, f.length = true, int64(length)               //nolint:gosec // it has fewer bits
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		f.faulty = f.faulty || f.coded
		f.coded = true
	case bytes.EqualFold(name, []byte("Upgrade")):
		f.upgrade = true
	}
}

// verdict returns the line to insert at the end of a head. A request that may change the connection's protocol is the last one on it.
func (f *framing) verdict() string {
	switch {
	case f.faulty, f.coded && (f.sized || !f.version11): // RFC 9112 §6.1
		return refuseRequest
	case f.upgrade:
		return lastRequest
	}
	return ""
}
