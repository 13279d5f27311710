package dnslab

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// The name servers that a tree's zones may use. Each stands at <name>.dnshost.net.
const (
	BIND   = "ns-a"
	Knot   = "ns-b"
	NSD    = "ns-c"
	Dead   = "ns-dead" // takes questions and never answers
	Lame   = "ns-lame" // runs, has no zones and refuses
	Odd    = "ns-odd"  // answers as the zone's Quirk says
	suffix = ".dnshost.net."
)

// lastOctets are the addresses of a tree's servers in its network.
var lastOctets = map[string]string{
	"root": ".1", "tld": ".2", "resolver": ".3", BIND: ".11", Knot: ".12", NSD: ".13", Dead: ".14", Lame: ".15", Odd: ".16", behindOdd: ".17",
}

// behindOdd is where a BIND gives the right answers that Odd changes.
const behindOdd = "behind " + Odd

// Signing says how a zone is signed and what its parent zone says of it.
type Signing string

// The states of a zone's DNSSEC.
const (
	Unsigned   Signing = ""           // no signatures, no DS record
	Signed     Signing = "signed"     // all is right
	Expired    Signing = "expired"    // the signatures ended in 2020
	ForeignDS  Signing = "foreign-ds" // signed, and the DS record is of a key that the zone doesn't have
	DSOnly     Signing = "ds-only"    // the zone is not signed, and its parent zone has a DS record
	Island     Signing = "island"     // signed, and the parent zone has no DS record: resolvers treat it as unsigned
	SignedHash Signing = "nsec3"      // all is right, with hashed denial of existence (RFC 5155)
)

// Zone is a zone of a tree.
type Zone struct {
	Name string // without a trailing dot

	// Delegation is what the parent zone says of this one: NS records and glue, in zone file form, names relative to Name.
	// Empty: nothing, so that the name does not exist.
	Delegation string

	// On is the zone file for each server that has the zone (BIND, Knot, NSD, Odd), see Zones. All signed copies have one key.
	On    Zones
	Quirk Quirk // of Odd for this zone

	Signing   Signing
	SigningOn map[string]Signing           // for servers whose copy is signed otherwise
	Tamper    func(zoneFile string) string // changes the zone file after it was signed; one record per line
}

// at is the zone as one server has it.
func (z Zone) at(server string) Zone {
	if other, ok := z.SigningOn[server]; ok {
		z.Signing = other
	}
	return z
}

// NS are NS records for the zone's own name, which lead to servers of the tree.
func NS(servers ...string) string { return lines("@ NS %s"+suffix, servers...) }

// OnEach has the same zone file on several servers.
func OnEach(text string, servers ...string) Zones {
	zones := Zones{}
	for _, server := range servers {
		zones[server] = text
	}
	return zones
}

// Tree is a DNS tree to start. Root and top-level domains are signed and made from the zones' names; dnshost.net, where the
// name servers' addresses stand, is added.
type Tree struct {
	Network string // of its servers: the first three numbers of an address, such as "127.0.53"
	Zones   []Zone
	Unbound []string // further options of the resolver
}

// Lab is a tree that runs.
type Lab struct {
	Roots       []string // host:port of the root servers
	Resolver    string   // host:port of Unbound, which validates
	TrustAnchor string   // DS record of the root zone

	tree    Tree
	keys    map[string]signingKey
	servers map[string]*Authoritative
	unbound *Server
}

// Start makes the zone files, then starts the servers; they end with the test.
func (tree Tree) Start(t testing.TB) *Lab {
	t.Helper()
	l := &Lab{tree: tree, keys: map[string]signingKey{}, servers: map[string]*Authoritative{}}
	l.Roots = []string{tree.address("root") + ":53"}
	l.tree.Zones = append(slices.Clone(tree.Zones), tree.hosts())
	files := l.zoneFiles(t)
	for server, startServer := range map[string]func(testing.TB, string, Zones) *Authoritative{
		"root": StartNSD, "tld": StartNSD, BIND: StartBIND, Knot: StartKnot, NSD: StartNSD, Lame: StartNSD, Odd: StartBIND,
	} {
		at := server
		if server == Odd {
			at = behindOdd
		}
		l.servers[server] = startServer(t, tree.address(at), files[server])
	}
	quirks := map[string]Quirk{}
	for _, z := range tree.Zones {
		quirks[z.Name] = z.Quirk
	}
	StartOdd(t, tree.address(Odd), l.servers[Odd].Address, byZone(quirks))
	StartSilent(t, tree.address(Dead))
	l.StartResolver(t)
	return l
}

// Address is where a server of the tree listens, without port.
func (l *Lab) Address(server string) string { return l.tree.address(server) }

// Server is the process of BIND, Knot or NSD.
func (l *Lab) Server(name string) *Authoritative { return l.servers[name] }

// Recursion is how a further resolver finds its way through the tree.
func (l *Lab) Recursion() Recursion {
	return Recursion{Roots: []string{l.tree.address("root")}, TrustAnchor: l.TrustAnchor}
}

// StartResolver starts Unbound, in place of the one that ran, whose cache is lost.
func (l *Lab) StartResolver(t testing.TB) {
	t.Helper()
	if l.unbound != nil {
		l.unbound.Stop()
	}
	r := l.Recursion()
	r.Options = l.tree.Unbound
	l.unbound = StartUnbound(t, l.tree.address("resolver"), r)
	l.Resolver = l.unbound.Address
}

// Put changes a zone's text on one server, and waits until that server answers with it.
func (l *Lab) Put(t testing.TB, server, zone, text string) {
	t.Helper()
	at := l.servers[server]
	i := slices.IndexFunc(l.tree.Zones, func(z Zone) bool { return z.Name == zone })
	if i < 0 {
		t.Fatalf("the tree has no zone %s", zone)
	}
	at.Load(t, Zones{zone: l.sign(t, l.tree.Zones[i].at(server), text, at.serial+1)})
}

func (tree Tree) address(server string) string { return tree.Network + lastOctets[server] }

// hosts is the zone with the name servers' addresses.
func (tree Tree) hosts() Zone {
	at := func(servers ...string) string {
		var text strings.Builder
		for _, server := range servers {
			fmt.Fprintf(&text, "%s A %s\n", server, tree.address(server))
		}
		return text.String()
	}
	ns := NS(BIND, Knot)
	zone := ns + at(BIND, Knot, NSD, Dead, Lame, Odd)
	return Zone{Name: strings.Trim(suffix, "."), Delegation: ns + at(BIND, Knot), On: OnEach(zone, BIND, Knot)}
}

// zoneFiles makes the zones' texts by server: leaves first, because a parent zone holds what its children's keys make.
func (l *Lab) zoneFiles(t testing.TB) map[string]Zones {
	t.Helper()
	delegations := l.delegations(t)
	files := map[string]Zones{"root": {}, "tld": {}, BIND: {}, Knot: {}, NSD: {}, Lame: {}, Odd: {}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, 4)
	for _, z := range l.tree.Zones {
		for server, text := range z.On {
			wg.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				signed := l.sign(t, z.at(server), text+delegations[z.Name], 1)
				mu.Lock()
				defer mu.Unlock()
				files[server][z.Name] = signed
			})
		}
	}
	wg.Wait()
	var root strings.Builder
	fmt.Fprintf(&root, "@ NS ns.\nns. A %s\n", l.tree.address("root"))
	for tld := range delegations {
		if strings.Contains(tld, ".") {
			continue
		}
		nic := fmt.Sprintf("@ NS ns.nic\nns.nic A %s\n", l.tree.address("tld"))
		z := Zone{Name: tld, Delegation: nic, Signing: Signed}
		l.keys[tld] = newSigningKey(t, tld)
		files["tld"][tld] = l.sign(t, z, nic+delegations[tld], 1)
		root.WriteString(l.delegation(t, z))
	}
	key := newSigningKey(t, ".")
	l.TrustAnchor = key.ds()
	files["root"]["."] = key.sign(t, complete(".", root.String(), 1))
	return files
}

// delegations are what goes into the parent zones, by parent. It makes the zones' keys.
func (l *Lab) delegations(t testing.TB) map[string]string {
	t.Helper()
	known := map[string]bool{}
	for _, z := range l.tree.Zones {
		known[z.Name] = true
	}
	of := map[string]string{}
	for _, z := range l.tree.Zones {
		if z.Signing != Unsigned {
			l.keys[z.Name] = newSigningKey(t, z.Name)
		}
		parent := z.Name
		for first := true; first || !known[parent] && strings.Contains(parent, "."); first = false {
			_, parent, _ = strings.Cut(parent, ".")
		}
		of[parent] += l.delegation(t, z)
	}
	return of
}

// delegation is what the parent zone says of a zone.
func (l *Lab) delegation(t testing.TB, z Zone) string {
	t.Helper()
	text := fmt.Sprintf("$ORIGIN %s\n%s\n", dns.Fqdn(z.Name), z.Delegation)
	switch z.Signing {
	case Signed, SignedHash, Expired, DSOnly:
		text += l.keys[z.Name].ds() + "\n"
	case ForeignDS:
		text += newSigningKey(t, z.Name).ds() + "\n"
	case Unsigned, Island:
	}
	return text
}

// sign completes a zone's text and signs it as the zone is to be.
func (l *Lab) sign(t testing.TB, z Zone, text string, serial uint32) string {
	t.Helper()
	if text == NotLoaded {
		return text
	}
	text = complete(z.Name, text, serial)
	var options []string
	switch z.Signing {
	case Unsigned, DSOnly:
		return text
	case Expired:
		options = []string{"-s", "20200101000000", "-e", "20200201000000"}
	case SignedHash:
		options = []string{"-3", "-"}
	case Signed, ForeignDS, Island:
	}
	signed := l.keys[z.Name].sign(t, text, options...)
	if z.Tamper != nil {
		signed = z.Tamper(signed)
	}
	return signed
}
