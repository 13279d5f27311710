package cert_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

var rules = cert.NameRules{
	PlatformSuffix: "shops.example.net",
	PlatformNames:  []string{"edge.example.net", "dcv.example.net"},
	ReservedLabels: []string{"m", "skin"},
	TestSuffixes:   []string{"test"},
}

// long is a name of so many characters, with labels as long as they may be.
func long(characters int) string {
	const tail = ".com"
	name := strings.Repeat(strings.Repeat("a", 63)+".", 5)[:characters-len(tail)]
	return strings.ReplaceAll(name+tail, "..", "b.") // where a label ended just before the tail
}

func TestParseKeepsNamesInOneForm(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{
		"www.example.com":                "www.example.com",
		"example.com":                    "example.com",
		"WWW.Example.COM":                "www.example.com",
		"example.com.":                   "example.com",
		"  example.com\n":                "example.com",
		"bücher.example.com":             "xn--bcher-kva.example.com",
		"BÜCHER.example.com":             "xn--bcher-kva.example.com",
		"XN--BCHER-KVA.de":               "xn--bcher-kva.de",
		"faß.de":                         "xn--fa-hia.de", // not fass.de: that is another owner's (IDNA 2008, not 2003)
		"例え.jp":                          "xn--r8jz45g.jp",
		"example。com":                    "example.com", // the full stop of Japanese and Chinese keyboards
		"ｅｘａｍｐｌｅ.com":                    "example.com",
		"אב.com":                         "xn--4dbc.com",
		"i❤.ws":                          "xn--i-7iq.ws", // .ws registers emoji, and CAs issue for them
		"foo.github.io":                  "foo.github.io",
		"shop.example.co.uk":             "shop.example.co.uk",
		"shop.ready.test":                "shop.ready.test", // a test suffix
		"shops.example.net.org":          "shops.example.net.org",
		"myshops.example.net":            "myshops.example.net", // ends like the platform suffix, but isn't below it
		"m.example.com":                  "m.example.com",       // reserved on platform domains only
		long(237):                        long(237),
		long(238):                        long(238), // too long for _acme-challenge, not for http-01
		long(253):                        long(253),
		"STRAẞE.de":                      "xn--strae-oqa.de", // not strasse.de: the capital of ß is no ss
		"github.io":                      "github.io",        // somebody's own suffix, who can show it
		"shop.in-addr.example.com":       "shop.in-addr.example.com",
		strings.Repeat("a", 63) + ".com": strings.Repeat("a", 63) + ".com",
	} {
		name, err := rules.Parse(input)
		require.NoError(t, err, "%q", input)
		require.Equal(t, want, name, "%q", input)
	}
}

func TestParseRefusesWithTheReasonAndTheWayOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what, input string
		code        cert.Code
		says        string // part of the message
	}{
		{"nothing", "", cert.NameInvalid, "empty"},
		{"spaces only", " \t", cert.NameInvalid, "empty"},
		{"a dot only", ".", cert.NameInvalid, "empty"},
		{"a space inside", "exam ple.com", cert.NameInvalid, "not a domain name"},
		{"a URL", "https://www.example.com/path", cert.NameInvalid, "address of a page"},
		{"a port", "example.com:443", cert.NameInvalid, "address of a page"},
		{"an e-mail address", "admin@example.com", cert.NameInvalid, "mailbox"},
		{"IPv4", "192.0.2.1", cert.NameInvalid, "IP address"},
		{"IPv6", "2001:db8::1", cert.NameInvalid, "IP address"},
		{"IPv6 in brackets", "[2001:db8::1]", cert.NameInvalid, "IP address"},
		{"IPv6 with a port", "[2001:db8::1]:443", cert.NameInvalid, "not a domain name"},
		{"a public suffix", "co.uk", cert.DomainNotAllowed, "co.uk is a public suffix"},
		{"a name of Tor", "x.onion", cert.NameSpecialUse, "x.onion can't be connected: it is an address of the Tor network, which DNS does " +
			"not know (RFC 7686)"},
		{
			"an address backwards", "1.2.3.4.in-addr.arpa", cert.NameSpecialUse,
			"a name that DNS makes of an IP address (RFC 1035 §3.5, RFC 6761 §6.1)",
		},
		{"an IPv6 address backwards", "8.b.d.0.1.0.0.2.ip6.arpa", cert.NameSpecialUse, "RFC 3596"},
		{"the infrastructure", "shop.uri.arpa", cert.NameSpecialUse, "RFC 3172"},
		{"a name of the local network", "shop.local", cert.NameSpecialUse, "RFC 6762"},
		{"reserved hyphens below", "ab--cd.example.com", cert.NameInvalid, `the part "ab--cd" has hyphens in places 3 and 4, which are reserved`},
		{"too long for DNS by one", long(254), cert.NameInvalid, "it is 254 characters long"},
		{"a public suffix in Unicode", "香川.jp", cert.DomainNotAllowed, ""},
		{"an unlisted TLD", "shop.internal", cert.DomainNotAllowed, `ends in "internal"`},
		{"something like a test suffix", "shop.mytest", cert.DomainNotAllowed, `ends in "mytest"`},
		{"a label of 64", strings.Repeat("a", 64) + ".com", cert.NameInvalid, "is 64 characters long"},
		{"too long for DNS", strings.Repeat(strings.Repeat("a", 63)+".", 4) + "com", cert.NameInvalid, ""},
		{"two dots", "www..example.com", cert.NameInvalid, "two dots in a row"},
		{"a leading dot", ".example.com", cert.NameInvalid, "two dots in a row"},
		{"an underscore", "my_shop.example.com", cert.NameInvalid, `"my_shop" has an underscore`},
		{"a leading hyphen", "-shop.example.com", cert.NameInvalid, `"-shop" begins or ends with a hyphen`},
		{"a trailing hyphen", "shop-.example.com", cert.NameInvalid, `"shop-" begins or ends with a hyphen`},
		{"hyphens in the third and fourth place", "ab--cd.com", cert.NameInvalid, "ab--cd"},
		{"a wildcard", "*.example.com", cert.NameInvalid, "wildcards"},
		{"a label that mixes directions", "אa.com", cert.NameInvalid, "אa.com"},
		{"no A-label", "xn--zzzzzzzz99999.com", cert.NameInvalid, ""},
		{"an empty A-label", "xn--.com", cert.NameInvalid, "xn--"},
		{"an A-label of ASCII", "xn--example-.com", cert.NameInvalid, ""},
		{"a joiner out of place", "a\u200db.com", cert.NameInvalid, ""},
		{"a control character", "a\x00b.com", cert.NameInvalid, ""},
		{"a single label", "localhost", cert.NameInvalid, "no dot"},
		{"a TLD", "com", cert.NameInvalid, "no dot"},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			p := refused(t, c.input)
			require.Equal(t, c.code, p.Code)
			require.Contains(t, p.Message, c.says)
		})
	}
}

func TestA7_ReservedAndTooDeepPlatformNamesAreRefusedSayingWhy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		input string
		code  cert.Code
		says  string
	}{
		{"shops.example.net", cert.NameReserved, "the platform's own suffix"},
		{"store.shops.example.net", cert.NameReserved, "wildcard certificate covers"},
		{"STORE.shops.example.net.", cert.NameReserved, "wildcard certificate covers"},
		{"m.shops.example.net", cert.NameReserved, "wildcard certificate covers"},
		{"m.store.shops.example.net", cert.NameReserved, `starts with "m"`},
		{"skin.store.shops.example.net", cert.NameReserved, `starts with "skin"`},
		{"www.store.shops.example.net", cert.NameTooDeep, "2 labels below shops.example.net"},
		{"a.b.c.shops.example.net", cert.NameTooDeep, "no"},
		{"edge.example.net", cert.NameReserved, "belongs to the platform"},
		{"xyz.dcv.example.net", cert.NameReserved, "belongs to the platform"},
	} {
		p := refused(t, c.input)
		require.Equal(t, c.code, p.Code, c.input)
		require.Contains(t, p.Message, c.says, c.input)
	}
}

func TestWithoutAPlatformSuffixNothingIsReserved(t *testing.T) {
	t.Parallel()
	name, err := cert.NameRules{ReservedLabels: []string{"m"}, PlatformNames: []string{""}}.Parse("m.store.shops.example.net")
	require.NoError(t, err)
	require.Equal(t, "m.store.shops.example.net", name)
}

func TestAFinalFullStopOfAnyKeyboardIsDropped(t *testing.T) {
	t.Parallel()
	name, err := rules.Parse("例え.jp。")
	require.NoError(t, err)
	require.Equal(t, "xn--r8jz45g.jp", name)
	require.Contains(t, refused(t, "example.com..").Message, "two dots")
}

func TestAnAddressInWideDigitsIsAnAddress(t *testing.T) {
	t.Parallel()
	require.Contains(t, refused(t, "１９２.０.２.１").Message, "IP address")
}

func TestWhatIsNoTextIsNoName(t *testing.T) {
	t.Parallel()
	require.Equal(
		t,
		cert.NameInvalid,
		refused(t, "\xff.com").Code,
		"each such byte would become the same replacement character, and so the same name",
	)
}

func TestAHostileInputDoesNotFillLogs(t *testing.T) {
	t.Parallel()
	for _, input := range []string{
		strings.Repeat("a", 5000) + ".com", strings.Repeat("ä", 5000) + ".com", strings.Repeat("a.", 5000) + "com",
		"xn--" + strings.Repeat("z", 5000) + ".com", strings.Repeat("*", 5000), strings.Repeat("/", 5000), "www." + strings.Repeat("_", 5000),
	} {
		require.Less(t, utf8.RuneCountInString(refused(t, input).Message), 2000, "%.20q", input)
	}
}

func refused(t *testing.T, input string) cert.Problem {
	t.Helper()
	name, err := rules.Parse(input)
	require.Empty(t, name, "%.80q", input)
	var p cert.Problem
	require.ErrorAs(t, err, &p, "%.80q", input)
	require.NotEmpty(t, p.Message)
	require.NotEmpty(t, p.Remediation)
	require.Equal(t, cert.TenantActs, p.WhoActs)
	return p
}

func TestApexIsTheNameThatWasRegistered(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		registered string
		apex       bool
	}{
		"example.com":          {"example.com", true},
		"www.example.com":      {"example.com", false},
		"example.co.uk":        {"example.co.uk", true},
		"a.b.example.co.uk":    {"example.co.uk", false},
		"foo.github.io":        {"foo.github.io", true},
		"*.shop.example.com":   {"example.com", false},
		"xn--bcher-kva.de":     {"xn--bcher-kva.de", true},
		"www.xn--bcher-kva.de": {"xn--bcher-kva.de", false},
		"github.io":            {"github.io", true},
		"s3.amazonaws.com":     {"s3.amazonaws.com", false}, // amazonaws.com was registered
		"test":                 {"test", false},
		"co.uk":                {"co.uk", false}, // nobody registers it; it counts as itself
	} {
		require.Equal(t, want.registered, cert.RegisteredDomain(name), name)
		require.Equal(t, want.apex, cert.IsApex(name), name)
	}
}

func TestNamesAreShownAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	require.Equal(t, "bücher.example.com", cert.Unicode("xn--bcher-kva.example.com"))
	require.Equal(t, "www.example.com", cert.Unicode("www.example.com"))
	require.Equal(t, "xn--zzzzzzzz99999.com", cert.Unicode("xn--zzzzzzzz99999.com"), "what does not convert is shown as it is")
}
