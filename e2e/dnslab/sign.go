package dnslab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// signingKey is a zone's only key: it signs the zone and is what the parent's DS record names (RFC 6781 §3.1).
type signingKey struct {
	zone   string
	folder string
	public *dns.DNSKEY
}

// newSigningKey makes an ECDSA P-256 key, the algorithm that the root zone's tools and most providers use (RFC 8624).
func newSigningKey(t testing.TB, zone string) signingKey {
	t.Helper()
	k := signingKey{zone: zone, folder: newFolder(t)}
	name := strings.TrimSpace(run(t, k.folder, "dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", dns.Fqdn(zone)))
	raw, err := os.ReadFile(filepath.Join(k.folder, name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	parser := dns.NewZoneParser(bytes.NewReader(raw), "", "")
	record, _ := parser.Next()
	public, ok := record.(*dns.DNSKEY)
	if !ok {
		t.Fatalf("the key file of %s holds no DNSKEY record: %v", zone, parser.Err())
	}
	k.public = public
	return k
}

// ds is the DS record for the parent zone (RFC 4034 §5), as in a zone file.
func (k signingKey) ds() string {
	ds := k.public.ToDS(dns.SHA256)
	return fmt.Sprintf("%s 60 IN DS %d %d %d %s", dns.Fqdn(k.zone), ds.KeyTag, ds.Algorithm, ds.DigestType, strings.ToUpper(ds.Digest))
}

// sign returns the signed zone file of a complete one. Options are further ones of dnssec-signzone.
func (k signingKey) sign(t testing.TB, text string, options ...string) string {
	t.Helper()
	folder := newFolder(t)
	writeFile(t, folder, "unsigned", text)
	// -S takes the key from its folder, -z lets the one key sign everything, -P leaves checking to those who resolve.
	args := append([]string{"-q", "-S", "-z", "-P", "-K", k.folder, "-O", "full", "-o", dns.Fqdn(k.zone), "-f", "signed"}, options...)
	run(t, folder, "dnssec-signzone", append(args, "unsigned")...)
	signed, err := os.ReadFile(filepath.Join(folder, "signed"))
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}

// run runs one of BIND's tools to its end and returns what it printed.
func run(t testing.TB, folder, tool string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), find(t, tool, "bind9-utils"), args...)
	cmd.Dir = folder
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", tool, strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// parseDS reads a DS record of a zone file.
func parseDS(t testing.TB, record string) *dns.DS {
	t.Helper()
	rr, err := dns.NewRR(record)
	if ds, ok := rr.(*dns.DS); ok {
		return ds
	}
	t.Fatalf("%q is no DS record: %v", record, err)
	return nil
}

// dataOf is a DS record without its owner.
func dataOf(t testing.TB, record string) string {
	ds := parseDS(t, record)
	return fmt.Sprintf("%d %d %d %s", ds.KeyTag, ds.Algorithm, ds.DigestType, ds.Digest)
}

// trustAnchorOfBIND is a DS record as named.conf takes it.
func trustAnchorOfBIND(t testing.TB, record string) string {
	ds := parseDS(t, record)
	return fmt.Sprintf("trust-anchors { %q static-ds %d %d %d %q; };", ds.Hdr.Name, ds.KeyTag, ds.Algorithm, ds.DigestType, ds.Digest)
}
