package dnslab

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/miekg/dns"
)

// Zones are what an authoritative server has: the text of a zone file by zone name, without a trailing dot (the root is
// "."). Names in the text are relative to the zone. A text without a SOA record gets one, and a TTL of 60 seconds.
type Zones map[string]string

// NotLoaded stands in place of a zone's text for a zone whose file is missing: the server answers SERVFAIL for it.
const NotLoaded = "not loaded"

// Authoritative is a server that has zones of its own.
type Authoritative struct {
	*Server
	zones  Zones
	serial uint32            // of the zones written last
	files  map[string]string // by zone
}

// StartBIND runs named with the zones on port 53 of the address, and waits until it answers for each.
func StartBIND(t testing.TB, address string, zones Zones) *Authoritative {
	t.Helper()
	folder := newFolder(t)
	a := newAuthoritative(t, folder, zones)
	var config strings.Builder
	fmt.Fprintf(&config, `options {
	directory %q; pid-file none; lock-file none; session-keyfile none;
	listen-on port 53 { %s; }; listen-on-v6 { none; };
	recursion no; dnssec-validation no; notify no; empty-zones-enable no;
	check-names primary ignore; check-integrity no; // tenants' zones are as they are
};
controls { };
`, folder, address)
	for _, name := range a.names() {
		fmt.Fprintf(&config, "zone %q { type primary; file %q; };\n", name, a.files[name])
	}
	writeFile(t, folder, "named.conf", config.String())
	a.Server = start(t, program{
		name: "BIND", binary: "named", pkg: "bind9", folder: folder, address: address, args: []string{"-g", "-n", "1", "-c", "named.conf"},
	})
	a.awaitZones(t, a.names())
	return a
}

// StartKnot runs knotd with the zones on port 53 of the address, and waits until it answers for each.
func StartKnot(t testing.TB, address string, zones Zones) *Authoritative {
	t.Helper()
	folder := newFolder(t)
	a := newAuthoritative(t, folder, zones)
	var config strings.Builder
	fmt.Fprintf(&config, `server:
    rundir: %[1]q
    listen: %[2]s@53
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: %[1]q
template:
  - id: default
    storage: %[1]q
    journal-content: none
    zonefile-load: whole
    zonefile-sync: -1
zone:
`, folder, address)
	for _, name := range a.names() {
		fmt.Fprintf(&config, "  - domain: %q\n    file: %q\n", dns.Fqdn(name), a.files[name])
	}
	writeFile(t, folder, "knot.conf", config.String())
	a.Server = start(t, program{
		name: "Knot", binary: "knotd", pkg: "knot", folder: folder, address: address, args: []string{"-c", "knot.conf"},
	})
	a.awaitZones(t, a.names())
	return a
}

// StartNSD runs nsd with the zones on port 53 of the address, and waits until it answers for each.
func StartNSD(t testing.TB, address string, zones Zones) *Authoritative {
	t.Helper()
	folder := newFolder(t)
	a := newAuthoritative(t, folder, zones)
	var config strings.Builder
	fmt.Fprintf(&config, `server:
    ip-address: %[2]s@53
    username: ""
    chroot: ""
    zonesdir: %[1]q
    database: ""
    pidfile: ""
    xfrdfile: "%[1]s/xfrd.state"
    zonelistfile: "%[1]s/zone.list"
    xfrdir: %[1]q
    server-count: 1
    rrl-ratelimit: 0
    verbosity: 1
remote-control:
    control-enable: no
`, folder, address)
	for _, name := range a.names() {
		fmt.Fprintf(&config, "zone:\n    name: %q\n    zonefile: %q\n", name, a.files[name])
	}
	writeFile(t, folder, "nsd.conf", config.String())
	a.Server = start(t, program{
		name: "NSD", binary: "nsd", pkg: "nsd", folder: folder, address: address, args: []string{"-d", "-c", folder + "/nsd.conf"},
	})
	a.awaitZones(t, a.names())
	return a
}

// Load changes the text of some zones, which the server must have had at its start, and waits until it answers with it.
func (a *Authoritative) Load(t testing.TB, zones Zones) {
	t.Helper()
	a.write(t, zones)
	if err := a.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatalf("reload %s: %v", a.Name, err)
	}
	a.awaitZones(t, slices.Sorted(maps.Keys(zones)))
}

func newAuthoritative(t testing.TB, folder string, zones Zones) *Authoritative {
	t.Helper()
	a := &Authoritative{Server: &Server{folder: folder}, zones: Zones{}, files: map[string]string{}}
	for name := range zones {
		a.files[name] = "zone." + strings.TrimSuffix(name, ".")
	}
	a.write(t, zones)
	return a
}

// names are those of all zones, sorted.
func (a *Authoritative) names() []string { return slices.Sorted(maps.Keys(a.zones)) }

// write writes zone files. Each writing has a serial of its own, by which it is known when a server answers with it.
func (a *Authoritative) write(t testing.TB, zones Zones) {
	t.Helper()
	a.serial++
	for name, text := range zones {
		file, ok := a.files[name]
		if !ok {
			t.Fatalf("%s was started without the zone %s", a.Name, name)
		}
		if a.zones[name] = text; text == NotLoaded {
			if err := os.RemoveAll(filepath.Join(a.folder, file)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		a.zones[name] = complete(name, text, a.serial)
		writeFile(t, a.folder, file, a.zones[name])
	}
}

// complete puts in front of a zone's text what every zone file has.
func complete(zone, text string, serial uint32) string {
	if strings.Contains(text, "\tSOA\t") || strings.Contains(text, " SOA ") {
		return text
	}
	return fmt.Sprintf("$ORIGIN %s\n$TTL 60\n@ SOA ns.%s hostmaster.%[2]s %d 3600 600 86400 60\n%s\n",
		dns.Fqdn(zone), strings.TrimPrefix(dns.Fqdn(zone), "."), serial, text)
}

// serialOf is the serial of a zone file's text, which begins with the SOA record.
func serialOf(t testing.TB, zone, text string) uint32 {
	t.Helper()
	parser := dns.NewZoneParser(strings.NewReader(text), dns.Fqdn(zone), "")
	if first, ok := parser.Next(); ok {
		if soa, ok := first.(*dns.SOA); ok {
			return soa.Serial
		}
	}
	t.Fatalf("the zone file of %s doesn't begin with its SOA record (%v):\n%s", zone, parser.Err(), text)
	return 0
}

// awaitZones waits until the server answers for the zones as they were written.
func (a *Authoritative) awaitZones(t testing.TB, names []string) {
	t.Helper()
	a.awaitLife(t)
	for _, name := range names {
		if a.zones[name] == NotLoaded {
			continue
		}
		serial := serialOf(t, name, a.zones[name])
		a.awaitAnswer(t, new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeSOA), func(m *dns.Msg) bool {
			return m.Authoritative && slices.ContainsFunc(m.Answer, func(rr dns.RR) bool {
				soa, ok := rr.(*dns.SOA)
				return ok && soa.Serial == serial
			})
		})
	}
}
