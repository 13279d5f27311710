package terminator

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/net/http/httpguts"
)

// wire is a connection that bytes come in on.
type wire struct {
	net.Conn
	io.Reader
}

func (w wire) Read(p []byte) (int, error) { return w.Reader.Read(p) }

// guard is what net/http reads when these bytes come in.
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
		whole = "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"
		body  = "POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 40\r\n\r\nGET / HTTP/1.1\r\nContent-Length: 9\r\n 9\r\n\r\n"
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
		"one after a POST's end":     {body + "\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", refuseRequest, "\r\n"},
		"a body in a body":           {body, "", ""},
		"whole requests":             {whole + body + whole + whole, "", ""},
		"chunks are the last":        {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", lastRequest, "\r\n0\r\n\r\nGET / HTTP/1.1\r\n" + ended},
		"an upgrade is the last":     {whole + "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n", lastRequest, "\r\nframes\r\n" + ended},
		"a long path":                {"GET /" + strings.Repeat("x", 5000) + " HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", lastRequest, "\r\n"},
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

// FuzzFraming holds what is found in the bytes of a connection against what net/http finds: the same requests at the same places, until one of them
// ends the connection.
func FuzzFraming(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\r\nGET / HTTP/1.0\n\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\r\n c\r\nContent-Length : 0003\r\n\r\n\r\n\n", "\r\n\r\nGET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\n\rGET / HTTP/1.1\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		guarded := guard(t, bytes.NewReader(sent))
		if slowly := guard(t, iotest.OneByteReader(bytes.NewReader(sent))); slowly != guarded {
			t.Fatalf("at once %q, byte by byte %q", guarded, slowly)
		}
		were := heads(string(sent))
		for i, head := range heads(guarded) {
			head = strings.Replace(head, lastRequest, "", 1)
			if i >= len(were) || head != strings.Replace(were[i], lastRequest, "", 1) {
				t.Fatalf("request %d was not sent: %q", i, head)
			}
			if fault := doubtful(head); fault != "" {
				t.Fatalf("net/http accepts a request with %s: %q", fault, head)
			}
		}
	})
}

// heads are those of the requests that net/http accepts on one connection; its server's loop is repeated here, as far as it decides on that.
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
			if !httpguts.ValidHeaderFieldName(name) || slices.ContainsFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) }) {
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

// doubtful reads a head's lines one by one.
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
