package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// maxMessage is the length of the longest message that PostgreSQL itself takes (its PQ_LARGE_MESSAGE_LIMIT).
const maxMessage = 1<<30 - 1

// request is one message of a client. For those that carry out a statement, statement is its text and values what is bound to
// it, as on the wire.
type request struct {
	raw       []byte
	statement string
	values    []byte
}

// requestReader reads the messages of one connection, as of PostgreSQL's protocol 3.0 (its manual, "Message Formats").
type requestReader struct {
	from     *bufio.Reader
	started  bool
	prepared map[string]string // text by the name of the prepared statement
}

func newRequestReader(from io.Reader) *requestReader {
	return &requestReader{from: bufio.NewReaderSize(from, 64<<10), prepared: map[string]string{}}
}

func (r *requestReader) next() (request, error) {
	if !r.started {
		return r.first()
	}
	header, err := r.from.Peek(5)
	if err != nil {
		return request{}, err
	}
	raw, err := r.read(1 + int64(binary.BigEndian.Uint32(header[1:])))
	if err != nil {
		return request{}, err
	}
	return r.interpret(raw), nil
}

// first reads a start-up message. One that asks for encryption is followed by another, since this server knows none.
func (r *requestReader) first() (request, error) {
	header, err := r.from.Peek(8)
	if err != nil {
		return request{}, err
	}
	const major = 3
	r.started = binary.BigEndian.Uint16(header[4:]) == major
	raw, err := r.read(int64(binary.BigEndian.Uint32(header)))
	return request{raw: raw}, err
}

func (r *requestReader) read(length int64) ([]byte, error) {
	if length < 5 || length > maxMessage {
		return nil, fmt.Errorf("a message of %d bytes: this is not PostgreSQL's protocol", length)
	}
	raw := make([]byte, length)
	_, err := io.ReadFull(r.from, raw)
	return raw, err
}

func (r *requestReader) interpret(raw []byte) request {
	m, body := request{raw: raw}, raw[5:]
	switch raw[0] {
	case 'Q': // a simple query
		text, _ := cutString(body)
		m.statement = oneLine(text)
	case 'P': // Parse
		name, rest := cutString(body)
		text, _ := cutString(rest)
		r.prepared[name] = oneLine(text)
	case 'B': // Bind
		_, rest := cutString(body)
		name, values := cutString(rest)
		m.statement, m.values = r.prepared[name], values
	}
	return m
}

func cutString(body []byte) (text string, rest []byte) {
	before, after, _ := bytes.Cut(body, []byte{0})
	return string(before), after
}

// oneLine makes every run of white space one space, so that a part of an SQL text is found whatever its line breaks.
func oneLine(statement string) string { return strings.Join(strings.Fields(statement), " ") }

// readyForQuery reports whether an answer of the server ends with the message ReadyForQuery: a statement outside of a
// transaction is committed then.
func readyForQuery(answer []byte) bool {
	const length = 6
	return len(answer) >= length && bytes.HasPrefix(answer[len(answer)-length:], []byte{'Z', 0, 0, 0, 5})
}
