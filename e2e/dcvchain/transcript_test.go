package dcvchain

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the transcripts in testdata anew, for people to compare")

// transcript runs dig and compares what it prints with testdata/NAME.txt.
func transcript(t *testing.T, name string, normalise func(string) string, args ...string) {
	t.Helper()
	dig, err := exec.LookPath("dig")
	require.NoError(t, err, "dig is missing here: apt-get install bind9-dnsutils")
	options := []string{"-r", "+tries=1", "+time=30"} // no .digrc is read; the machine may be slow
	out, err := exec.CommandContext(t.Context(), dig, append(options, args...)...).CombinedOutput()
	require.NoError(t, err, "dig %s:\n%s", args, out)
	got := "$ dig " + strings.Join(args, " ") + "\n" + normalise(string(out))
	file := filepath.Join("testdata", name+".txt")
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "if it is meant to differ: go test ./e2e/dcvchain -update")
}

var (
	volatile = regexp.MustCompile(`(?m)^(; <<>> DiG.*|;; global options.*|;; Query time.*|;; WHEN.*)\n`)
	id       = regexp.MustCompile(`\bid: \d+`)
	cookie   = regexp.MustCompile(`(?m)^; COOKIE: .*$`)
	msgSize  = regexp.MustCompile(`(?m)^;; MSG SIZE.*\n`)
	record   = regexp.MustCompile(`(?m)^([^;\s]\S*\s+)\d+(\s+IN\s)`)
	owner    = regexp.MustCompile(`(?m)^[^;\s]\S*`)
)

// still takes out what differs from run to run.
func still(text string) string {
	text = volatile.ReplaceAllString(text, "")
	return strings.TrimSpace(id.ReplaceAllString(text, "id: N")) + "\n"
}

// resolved takes out what differs between answers from caches as well: TTLs, the order of records, their owners' spelling (BIND keeps that
// of whoever asked first), cookies, and the sizes that depend on them.
func resolved(text string) string {
	text = owner.ReplaceAllStringFunc(record.ReplaceAllString(still(text), "${1}TTL${2}"), strings.ToLower)
	text = msgSize.ReplaceAllString(cookie.ReplaceAllString(text, "; COOKIE: N"), "")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for first := 0; first < len(lines); first++ {
		last := first
		for last < len(lines) && lines[last] != "" && lines[last][0] != ';' {
			last++
		}
		slices.Sort(lines[first:last])
		first = max(first, last)
	}
	return strings.Join(lines, "\n") + "\n"
}

// TestServer_AnswersDig: what people and their tools see at a server of the zone.
func TestServer_AnswersDig(t *testing.T) {
	t.Parallel()
	const zone, network = "dcv.evercert.test", "127.0.66"
	v := &values{shown: map[string][]string{}}
	for _, value := range []string{"lCM7cZyQXcVHK2nnW3jjAhNT3Fvm18UN-kWZZknKoYM", "s4Qws40yK4HZFkXV46YsG65Q5ZI6eFRxYcRF_Flt91Y"} {
		require.NoError(t, v.PutTXT(t.Context(), label(0)+"."+zone, value, time.Hour))
	}
	for n := range 40 {
		require.NoError(t, v.PutTXT(t.Context(), label(1)+"."+zone, fmt.Sprintf("%043d", n), time.Hour))
	}
	serve(t, v, zone, network+".31", network)
	two, many, none := label(0)+"."+zone, label(1)+"."+zone, label(2)+"."+zone
	mixed := strings.ToUpper(label(0)[:13]) + label(0)[13:] + ".dCv.eVeRcErT.tEsT"
	for name, args := range map[string][]string{
		"soa": {zone, "SOA"}, "ns": {zone, "NS"}, "address": {"ns1." + zone, "A"}, "no-ipv6-address": {"ns1." + zone, "AAAA"},
		"caa": {zone, "CAA"}, "caa-of-a-label": {two, "CAA"}, "ds": {zone, "DS"}, "dnskey": {zone, "DNSKEY", "+dnssec"},
		"values": {two, "TXT"}, "values-dnssec": {two, "TXT", "+dnssec"}, "values-tcp": {two, "TXT", "+tcp"},
		"values-noedns":      {two, "TXT", "+noedns"},
		"values-bufsize-512": {two, "TXT", "+bufsize=512"}, "values-cdflag-adflag": {two, "TXT", "+cdflag", "+adflag"},
		"values-0x20": {mixed, "TXT"},
		"values-nsid": {two, "TXT", "+nsid"}, "values-client-subnet": {two, "TXT", "+subnet=192.0.2.0/24"},
		"values-cookie":         {two, "TXT", "+cookie=0123456789abcdef"},
		"values-unknown-option": {two, "TXT", "+ednsopt=65001:00ff"}, "values-unknown-flags": {two, "TXT", "+ednsflags=0x40"},
		"values-edns-version-1": {two, "TXT", "+edns=1", "+noednsnegotiation"},
		"big":                   {many, "TXT"}, "big-ignoring-truncation": {many, "TXT", "+ignore"},
		"big-bufsize-512":  {many, "TXT", "+bufsize=512", "+ignore"},
		"big-bufsize-4096": {many, "TXT", "+bufsize=4096", "+ignore"}, "big-noedns": {many, "TXT", "+noedns", "+ignore"},
		"big-tcp": {many, "TXT", "+tcp"},
		"any":     {two, "ANY", "+notcp"}, "any-apex-tcp": {zone, "ANY", "+tcp"},
		"no-value": {none, "TXT"}, "no-such-name": {"www." + zone, "TXT"}, "no-such-name-dnssec": {"www." + zone, "TXT", "+dnssec"},
		"another-zone": {"example.com", "TXT"}, "root": {".", "NS"}, "axfr": {zone, "AXFR"}, "ixfr": {zone, "IXFR=1"},
		"chaos": {"version.bind", "TXT", "CH"}, "chaos-id": {"id.server", "TXT", "CH"},
		"notify": {zone, "SOA", "+opcode=notify"}, "update": {zone, "SOA", "+opcode=update"}, "header-only": {"+header-only", "+qid=1"},
		"recursion": {two, "TXT", "+recurse"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transcript(t, "server/"+name, still, append([]string{"@" + network + ".31", "+norecurse"}, args...)...)
		})
	}
}

// testTranscripts: what dig sees through each kind of resolver.
func (c *chains) testTranscripts(t *testing.T) {
	p := parents[0]
	name := "_acme-challenge." + tenant(transcribed, p, "plain.example")
	require.NoError(t, c.solvers[p.zone].Present(t.Context(), challenge(tenant(transcribed, p, "plain.example"), "of a transcript")))
	c.fill(t, p)
	big := "_acme-challenge." + tenant(hundred, p, "plain.example")
	for _, program := range resolvers {
		for file, args := range map[string][]string{
			"value": {name, "TXT"}, "value-dnssec": {name, "TXT", "+dnssec"}, "value-tcp": {name, "TXT", "+tcp"},
			"value-bufsize-512": {name, "TXT", "+bufsize=512"},
			"value-noedns":      {name, "TXT", "+noedns"}, "big": {big, "TXT"}, "big-bufsize-512": {big, "TXT", "+bufsize=512", "+ignore"},
			"no-such-name": {"www.dcv." + p.zone, "TXT"}, "caa": {"dcv." + p.zone, "CAA"}, "value-0x20": {strings.ToUpper(name), "TXT"},
		} {
			t.Run(program+" "+file, func(t *testing.T) {
				t.Parallel()
				transcript(t, program+"/"+file, resolved, append([]string{"@" + strings.TrimSuffix(c.at[program], ":53")}, args...)...)
			})
		}
	}
}
