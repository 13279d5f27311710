package reach

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

// readPage reads what a server might send, as a prober would.
func readPage(t testing.TB, answer []byte) (*page, error) {
	asked, err := url.Parse("http://" + shop + challengePath + known.Token)
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), &http.Request{Method: http.MethodGet, URL: asked})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return &page{url: asked, status: resp.StatusCode, header: resp.Header, body: body}, err
}

// FuzzAnswer feeds what a web server might answer. A token that isn't there must never be found, whatever the answer is must
// be said in few and printable words, and where it leads must be where a CA would go.
func FuzzAnswer(f *testing.F) {
	for _, c := range seen {
		f.Add([]byte(c.answer))
	}
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\n\r\n" + known.KeyAuthorization,
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + known.KeyAuthorization,
		"HTTP/1.1 301 Moved\r\nLocation: https://shop.example.com.well-known/acme-challenge/x\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: //user:pass@[::ffff:7f00:1%25lo]:80/\x00\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: http://0177.1:443/?{name}%!s\r\n\r\n",
		"HTTP/1.1 399 \r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "HTTP/1.0 000 \r\n\r\n",
	} {
		f.Add([]byte(answer))
	}
	prober := New(Config{}, nil)
	f.Fuzz(func(t *testing.T, answer []byte) {
		got, _ := readPage(t, answer)
		if got == nil {
			return
		}
		w := walk{prober: prober, target: target("192.0.2.1"), address: netip.MustParseAddr("192.0.2.1"), visited: []string{got.url.String()}}
		asked := w.target.knowing()
		var wrong *fault
		if got.status >= 300 && got.status < 400 {
			var leads *url.URL
			if leads, wrong = w.next(got); wrong == nil {
				requireFollowable(t, leads)
				return
			}
		} else if wrong = judge(asked, got, cdnIn(got.header)); wrong == nil {
			require.True(t, strings.HasPrefix(string(got.body), known.KeyAuthorization) && got.status == 200)
			return
		}
		result := AddressResult{Address: w.address, target: asked, protocol: protocolHTTP, fault: wrong, CDN: cdnIn(got.header)}
		result.explain()
		require.Equal(t, cert.Wrong, result.Verdict)
		for _, p := range (Results{result}).Problems() {
			requireTold(t, p)
		}
	})
}

// requireFollowable checks that a URL is one that a CA would ask for.
func requireFollowable(t *testing.T, u *url.URL) {
	require.Contains(t, []string{"http", "https"}, u.Scheme)
	require.Contains(t, []string{"", "80", "443"}, u.Port())
	require.Nil(t, u.User)
	require.LessOrEqual(t, len(u.Hostname()), 254)
	_, err := netip.ParseAddr(u.Hostname())
	require.Error(t, err)
	again, err := url.Parse(u.String())
	require.NoError(t, err)
	require.Equal(t, u.Hostname(), again.Hostname())
	require.False(t, slices.ContainsFunc([]byte(u.Hostname()), func(b byte) bool { return b <= ' ' || b >= 0x7f }))
}

// requireTold checks what must hold for a problem whatever strangers put into it.
func requireTold(t *testing.T, p cert.Problem) {
	text := p.Message + p.Remediation + p.Found
	require.LessOrEqual(t, len([]rune(text)), 3000)
	require.Equal(t, text, cert.Line(text, len(text)), "all of it is printable")
	require.True(t, strings.HasPrefix(p.Remediation, "At your DNS provider, "))
	require.NotContains(t, p.Remediation, "{")
}

// FuzzProtocol feeds how the answer on a connection may begin that is no HTTP.
func FuzzProtocol(f *testing.F) {
	for _, begin := range []string{"", "H", "HTTP/", "SSH-2.0", "\x15\x03\x01\x00\x02\x02\x46", "\x00\xff\x1b[31m", "\x16\x03"} {
		f.Add(begin)
	}
	prober := New(Config{}, nil)
	f.Fuzz(func(t *testing.T, begin string) {
		begin = begin[:min(len(begin), maxBegin)]
		said := prober.exchangeFailure(io.ErrUnexpectedEOF, begin, len(begin)).unreachable(cert.HTTPUnreachable, stepPort80)
		require.NotEmpty(t, said.cause)
		require.Equal(t, said.cause, cert.Line(said.cause, maxFound))
		require.Equal(t, begin != "" && !strings.HasPrefix("HTTP/", begin[:min(len(begin), 5)]), said.code == cert.HTTPUnexpectedResponse)
	})
}
