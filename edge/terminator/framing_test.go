package terminator

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/net/http/httpguts"
)

// wire is a connection from which the given bytes are read.
type wire struct {
	net.Conn
	io.Reader
}

func (w wire) Read(p []byte) (int, error) { return w.Reader.Read(p) }

// guard returns what net/http reads when these bytes arrive.
func guard(t testing.TB, in io.Reader) string {
	t.Helper()
	out, err := io.ReadAll(&guardedConn{Conn: wire{Reader: in}})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestA9_HeadsWithADoubtfulEndAreRefused(t *testing.T) {
	t.Parallel()
	const (
		whole  = "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"
		body   = "POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 40\r\n\r\nGET / HTTP/1.1\r\nContent-Length: 9\r\n 9\r\n\r\n"
		chunks = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1E;a=b\r\nContent-Length: 9\r\n 9\r\n\r\n01234\r\n000a\r\n" +
			"0123456789\r\n0\r\n\r\n"
		trailer = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n00;" + "a long extension of the last chunk that has no end in sight, " +
			"or nearly so" + "\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
		ended = "Transfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n" // would be refused in a head
	)
	for name, c := range map[string]struct{ head, line, rest string }{
		"both lengths":               {"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", refuseRequest, "\r\n0\r\n\r\n"},
		"both, the other way round":  {"POST / HTTP/1.1\r\ntransfer-ENCODING:chunked\r\ncontent-length:5\r\n", refuseRequest, "\r\n0\r\n\r\n"},
		"both, line feeds alone":     {"POST / HTTP/1.1\nContent-Length: 5\nTransfer-Encoding: chunked\n", refuseRequest, "\n0\r\n\r\n"},
		"chunks in HTTP/1.0":         {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", refuseRequest, "\r\n"},
		"chunked twice":              {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", refuseRequest, "\r\n"},
		"two lengths":                {"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n", refuseRequest, "\r\n"},
		"a negative length":          {"POST / HTTP/1.1\r\nContent-Length: -5\r\n", refuseRequest, "\r\n"},
		"a list of lengths":          {"POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n", refuseRequest, "\r\n"},
		"a length beyond all bounds": {"POST / HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n", refuseRequest, "\r\n"},
		"a length out of sight":      {"POST / HTTP/1.1\r\nContent-Length: " + strings.Repeat("0", 100) + "5\r\n", refuseRequest, "\r\n"},
		"a folded field":             {"GET / HTTP/1.1\r\nX-A: b\r\n c\r\n", refuseRequest, "\r\n"},
		"a folded length":            {"GET / HTTP/1.1\r\nContent-Length:\r\n\t5\r\n", refuseRequest, "\r\n"},
		"the second of two requests": {whole + "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", refuseRequest, "\r\n"},
		"one after a body":           {body + "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", refuseRequest, "\r\n"},
		"one after a POST's end": {
			body + "\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", refuseRequest, "\r\n",
		},
		"a body in a body":    {body, "", ""},
		"whole requests":      {whole + body + whole + whole, "", ""},
		"one after chunks":    {chunks + "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", refuseRequest, "\r\n"},
		"one after a trailer": {trailer + "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", refuseRequest, "\r\n"},
		"chunks":              {chunks + trailer + chunks + whole, "", ""},
		"an upgrade is the last": {
			whole + "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n", lastRequest, "\r\nframes\r\n" + ended,
		},
		"a long path": {
			"GET /" + strings.Repeat("x", 5000) + " HTTP/1.1\r\nTransfer-Encoding: chunked\r\nUpgrade: x\r\n", lastRequest, "\r\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for reader, in := range map[string]io.Reader{
				"at once": strings.NewReader(c.head + c.rest), "byte by byte": iotest.OneByteReader(strings.NewReader(c.head + c.rest)),
				"with its end": iotest.DataErrReader(strings.NewReader(c.head + c.rest)),
			} {
				if got, want := guard(t, in), c.head+c.line+c.rest; got != want {
					t.Errorf("read %s, net/http sees\n%q, want\n%q", reader, got, want)
				}
			}
		})
	}
}

// FuzzFraming compares what framing finds in the bytes of a connection with what net/http finds: the same requests at the same places,
// until one of them ends the connection.
func FuzzFraming(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\r\nGET / HTTP/1.0\n\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\r\n c\r\nContent-Length : 0003\r\n\r\n\r\n\n", "\r\n\r\nGET / HTTP/1.1\r\n\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nabcde\r\n0\r\nA: b\n\nPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" +
			"Content-Length: 3\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\nPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n" +
			"\r\n0\r\n\r\n",
		"GET / HTTP/1.1\n\rGET / HTTP/1.1\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) { checkFraming(t, string(sent)) })
}

// TestA9_NoOrderOfLinesHidesADoubtfulHead checks connections composed of lines, and parts of lines, in any order.
func TestA9_NoOrderOfLinesHidesADoubtfulHead(t *testing.T) {
	t.Parallel()
	pieces := []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde",
		"POST / HTTP/1.1\nContent-Length: 5\n\nabcde\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\n",
		"POST / HTTP/1.1\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST / HTTP/1.0\r\n",
		"Host: a\r\n",
		"A: b\r\n",
		"A: b\n",
		"Upgrade: x\r\n",
		"Transfer-Encoding: chunked\r\n",
		"Transfer-Encoding: chunked\n",
		"Content-Length: 5\r\n",
		"Content-Length: 17\r\n",
		"Content-Length: 0\r\n",
		"\r\n",
		"\r\n",
		"\n",
		"\r",
		" ",
		"\t",
		":",
		";x",
		"0",
		"5",
		"11",
		"a",
		"abcde",
		"0\r\n",
		"5\r\n",
		"0\r\n\r\n",
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	accepted := 0
	for range 10_000 {
		var sent strings.Builder
		for range 2 + random.IntN(14) {
			sent.WriteString(pieces[random.IntN(len(pieces))])
		}
		accepted += checkFraming(t, sent.String())
	}
	if accepted < 1000 {
		t.Errorf("%d requests were accepted, too few to show anything", accepted)
	}
}

// checkFraming returns how many of the sent requests net/http accepts behind the guard. Each of them was sent, and the end of each is
// clear.
func checkFraming(t *testing.T, sent string) int {
	t.Helper()
	guarded := guard(t, strings.NewReader(sent))
	if slowly := guard(t, iotest.OneByteReader(strings.NewReader(sent))); slowly != guarded {
		t.Fatalf("at once %q, byte by byte %q", guarded, slowly)
	}
	were, are := heads(sent), heads(guarded)
	for i, head := range are {
		head = strings.Replace(head, lastRequest, "", 1)
		if i >= len(were) || head != strings.Replace(were[i], lastRequest, "", 1) {
			t.Fatalf("request %d was not sent: %q in %q", i, head, sent)
		}
		if fault := doubtful(head); fault != "" {
			t.Fatalf("net/http accepts a request with %s: %q in %q", fault, head, sent)
		}
	}
	return len(are)
}

// heads returns the heads of the requests that net/http accepts on one connection. It repeats the loop of net/http's server as far as that
// decides.
func heads(sent string) []string {
	var accepted []string
	left := strings.NewReader(sent)
	in := bufio.NewReader(left)
	at := func() int { return len(sent) - left.Len() - in.Buffered() }
	for method := ""; ; {
		if method == http.MethodPost {
			empty, _ := in.Peek(4)
			in.Discard(len(empty) - len(bytes.TrimLeft(empty, "\r\n"))) //nolint:errcheck // they are there
		}
		begin := at()
		request, err := http.ReadRequest(in)
		if err != nil || request.ProtoMajor != 1 {
			return accepted
		}
		for name, values := range request.Header {
			if !httpguts.ValidHeaderFieldName(name) ||
				slices.ContainsFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) }) {
				return accepted
			}
		}
		accepted = append(accepted, sent[begin:at()])
		if _, err := io.Copy(io.Discard, request.Body); err != nil || request.Close {
			return accepted
		}
		method = request.Method
	}
}

// doubtful checks the lines of a head one by one.
func doubtful(head string) string {
	var lengths, codings int
	request, fields, _ := strings.Cut(head, "\n")
	for line := range strings.Lines(fields) {
		name, _, _ := strings.Cut(strings.ToLower(line), ":")
		switch {
		case line[0] == ' ' || line[0] == '\t':
			return "a folded field"
		case name == "content-length":
			lengths++
		case name == "transfer-encoding":
			codings++
		}
	}
	switch {
	case lengths > 1:
		return "two lengths"
	case lengths+codings > 1:
		return "both lengths"
	case codings > 0 && !strings.HasSuffix(strings.TrimSuffix(request, "\r"), "HTTP/1.1"):
		return "chunks in another version"
	}
	return ""
}
