package dnstruth

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/dnslab"
)

// answersCode answers questions of these types with a code and nothing else.
func answersCode(code int, types ...uint16) dnslab.Quirk {
	return func(asked, right *dns.Msg) *dns.Msg {
		if slices.Contains(types, asked.Question[0].Qtype) {
			return new(dns.Msg).SetRcode(asked, code)
		}
		return right
	}
}

// withoutEDNS answers FORMERR to questions with EDNS, as servers from before 1999 do.
func withoutEDNS(asked, right *dns.Msg) *dns.Msg {
	if asked.IsEdns0() != nil {
		return new(dns.Msg).SetRcode(asked, dns.RcodeFormatError)
	}
	return right
}

// ignoresEDNS answers questions with EDNS as if they had none.
func ignoresEDNS(_, right *dns.Msg) *dns.Msg {
	right.Extra = slices.DeleteFunc(right.Extra, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT })
	return right
}

// withoutSOA leaves the SOA record out of answers that there is nothing.
func withoutSOA(_, right *dns.Msg) *dns.Msg {
	if len(right.Answer) == 0 {
		right.Ns = nil
	}
	return right
}

// deniesParents answers NXDOMAIN about names that exist only because something stands below them.
func deniesParents(_, right *dns.Msg) *dns.Msg {
	if right.Rcode == dns.RcodeSuccess && len(right.Answer) == 0 && strings.HasPrefix(strings.ToLower(right.Question[0].Name), "shop.") {
		right.Rcode = dns.RcodeNameError
	}
	return right
}

// offersRecursion says that the server asks others for its clients, too.
func offersRecursion(_, right *dns.Msg) *dns.Msg {
	right.RecursionAvailable = true
	return right
}

// doubles sends each record of the answer twice.
func doubles(_, right *dns.Msg) *dns.Msg {
	right.Answer = append(right.Answer, right.Answer...)
	return right
}

// remembersTarget adds to the alias an old address of the platform's name, which is not the server's to know.
func remembersTarget(_, right *dns.Msg) *dns.Msg {
	for _, rr := range right.Answer {
		if alias, ok := rr.(*dns.CNAME); ok && right.Question[0].Qtype == dns.TypeA {
			right.Answer = append(right.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: alias.Target, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.ParseIP(hostOld),
			})
			return right
		}
	}
	return right
}

// aliasAtTop answers with an alias to the platform's name about the domain itself, as some panels do.
func aliasAtTop(asked, right *dns.Msg) *dns.Msg {
	name, kind := asked.Question[0].Name, asked.Question[0].Qtype
	if dns.CountLabel(name) == 2 && kind != dns.TypeSOA && kind != dns.TypeNS {
		right.Answer, right.Ns = []dns.RR{&dns.CNAME{
			Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 60}, Target: "shops.platform.net.",
		}}, nil
	}
	return right
}

// hidesAlias answers that there is nothing to questions of these types where an alias stands.
func hidesAlias(types ...uint16) dnslab.Quirk {
	return func(asked, right *dns.Msg) *dns.Msg {
		name := strings.ToLower(asked.Question[0].Name)
		if slices.Contains(types, asked.Question[0].Qtype) && strings.HasPrefix(name, "_acme-challenge.") {
			right.Answer = nil
			soa := &dns.SOA{
				Hdr: dns.RR_Header{
					Name:   strings.TrimPrefix(asked.Question[0].Name, asked.Question[0].Name[:len("_acme-challenge.shop.")]),
					Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60,
				},
				Ns: "ns.", Mbox: "hostmaster.", Serial: 1, Minttl: 60,
			}
			right.Ns = []dns.RR{soa}
		}
		return right
	}
}

// failsFirst answers SERVFAIL to the first of equal questions.
func failsFirst() dnslab.Quirk {
	var mu sync.Mutex
	seen := map[string]bool{}
	return func(asked, right *dns.Msg) *dns.Msg {
		mu.Lock()
		defer mu.Unlock()
		key := strings.ToLower(asked.Question[0].String())
		if !seen[key] {
			seen[key] = true
			return new(dns.Msg).SetRcode(asked, dns.RcodeServerFailure)
		}
		return right
	}
}

// silent never answers.
func silent(_, _ *dns.Msg) *dns.Msg { return nil }

// about is a quirk for names that begin so, and for these types; all types where none is given.
func about(begins string, quirk dnslab.Quirk, types ...uint16) dnslab.Quirk {
	return func(asked, right *dns.Msg) *dns.Msg {
		q := asked.Question[0]
		if strings.HasPrefix(strings.ToLower(q.Name), begins) && (len(types) == 0 || slices.Contains(types, q.Qtype)) {
			return quirk(asked, right)
		}
		return right
	}
}

// otherID answers with another number than the question has.
func otherID(_, right *dns.Msg) *dns.Msg {
	right.Id++
	return right
}

// inventedServers are servers that depart from the standards, and servers that differ.
func inventedServers() []invention {
	const (
		caa    = "letsencrypt.org/docs/caa: NOTIMP, SERVFAIL and no answer to CAA are errors; Boulder bdns/dns.go LookupCAA"
		either = "Boulder bdns/dns.go LookupHost: an error only where neither A nor AAAA is found"
		nosoa  = "RFC 2308 §3; community.letsencrypt.org 210417: Unbound 1.18 answers SERVFAIL where the SOA record is missing"
		asks   = "RFC 8555 §8.4: the CA asks for TXT records"
	)
	ready1 := owned + delegated + pointed
	odd := func(name, text string, quirk dnslab.Quirk) row {
		return row{name: name, servers: []string{dnslab.Odd}, text: text, quirk: quirk}
	}
	oddly := func(source, name string, quirk dnslab.Quirk) invention {
		return ready(source, odd(name, ready1, quirk))
	}
	by := func(name, text string, of []cert.Method, quirk dnslab.Quirk) row {
		r := odd(name, text, quirk)
		r.methods, r.chosen = of, of
		return r
	}
	split := func(name, first, second string) row { return row{name: name, text: first, on: onKnot(second)} }
	return append(inventedSilence(), []invention{
		oddly("RFC 6891 §7: a server without EDNS is asked without it", "server from before EDNS", withoutEDNS),
		oddly("RFC 6891 §6.1.1", "server that passes over EDNS", ignoresEDNS),
		oddly(
			"RFC 1034 §4.3.1: RA says that recursion is available, nothing about the zone", "server that offers recursion",
			offersRecursion,
		),
		oddly("RFC 2181 §5.5: equal records are one", "server that sends each record twice", doubles),
		oddly(
			"Unbound util/config_file.c qname-minimisation without strict: NXDOMAIN of unsigned zones is not "+
				"believed for names below",
			"server that denies names with something below only", deniesParents,
		),
		oddly(
			"RFC 2308 §2.2: REFUSED to one type says nothing about others; the CA asks for neither",
			"server that refuses ANY and MX", dnslab.RefusesTypes(dns.TypeANY, dns.TypeMX, dns.TypeHINFO),
		),
		oddly(
			"RFC 1034 §5.3.3: one second is slow, not silent; Unbound waits", "server that takes a second and drops capitals",
			dnslab.Quirks(dnslab.Takes(900*time.Millisecond), dnslab.LowersCase),
		),
		oddly(asks, "server that refuses CNAME questions", dnslab.RefusesTypes(dns.TypeCNAME)),
		ready("RFC 2181 §10.1 forbids it, and resolvers follow it: the address, and CAA, are those of the target", row{
			name: "server with an alias at the domain itself", hosts: []string{"@"}, methods: http01, chosen: http01,
			servers: []string{dnslab.Odd}, text: "_evercert TXT \"$OWNERSHIP\"\n", quirk: aliasAtTop,
		}),
		ready(
			"RFC 2181 §5.4.1: what a server says of other zones does not count",
			by("server that remembers an old address of the target", owned+pointed, http01, remembersTarget),
		),
		ready(
			either,
			by("server that fails AAAA", owned+"shop A $EDGE4\n", http01, answersCode(dns.RcodeServerFailure, dns.TypeAAAA)),
		).may(cert.DNSLookupFailed, cert.NameserverLame),
		ready(
			either+"; RFC 4074 §4.2",
			by(
				"server that denies the name for AAAA", owned+"shop A $EDGE4\n", http01,
				answersCode(dns.RcodeNameError, dns.TypeAAAA),
			),
		).may(cert.DNSLookupFailed, cert.NameserverLame),
		ready(
			either+"; RFC 4074 §4.1",
			by("server that is silent to AAAA", owned+"shop A $EDGE4\n", http01, dnslab.SilentTo(dns.TypeAAAA)),
		).may(cert.DNSLookupFailed, cert.NameserverUnreachable, cert.NameserverLame),
		ready(
			asks,
			by(
				"server that fails addresses, though delegated", owned+delegated+"shop A $EDGE4\n", dns01,
				answersCode(dns.RcodeServerFailure, dns.TypeA, dns.TypeAAAA),
			),
		).may(cert.DNSLookupFailed, cert.NameserverLame, cert.DNSNoRecords),
		doomed(caa, func() row {
			r := by("server that does not implement CAA", ready1, dns01, answersCode(dns.RcodeNotImplemented, dns.TypeCAA))
			r.says = []string{"CAA", "ns-odd.dnshost.net"}
			return r
		}()).oneOf(cert.CAALookupFailed, cert.NameserverLame).unsure(),
		doomed(caa, func() row {
			r := by("server that refuses CAA", ready1, dns01, dnslab.RefusesTypes(dns.TypeCAA))
			r.says = []string{"CAA", "ns-odd.dnshost.net"}
			return r
		}()).oneOf(cert.CAALookupFailed, cert.NameserverLame).unsure(),
		unsure(caa, func() row {
			r := by("server that fails CAA", ready1, dns01, answersCode(dns.RcodeServerFailure, dns.TypeCAA))
			r.says = []string{"CAA"}
			return r
		}()).oneOf(cert.CAALookupFailed, cert.DNSLookupFailed).may(cert.NameserverLame),
		unsure(caa, func() row {
			r := by("server that is silent to CAA", ready1, dns01, dnslab.SilentTo(dns.TypeCAA))
			r.says = []string{"CAA"}
			return r
		}()).oneOf(cert.CAALookupFailed, cert.DNSLookupFailed).may(cert.NameserverUnreachable, cert.NameserverLame),
		unsure(
			"RFC 8555 §8.4: the CA asks for TXT records, and a silent server says nothing about them",
			by("server that is silent about the challenge name", ready1, dns01, about("_acme-challenge.", silent)),
		).
			oneOf(cert.DNSLookupFailed, cert.NameserverUnreachable).may(cert.CAALookupFailed),
		unsure(
			"RFC 1035 §4.1.1: SERVFAIL is the server's trouble, not an answer about the name",
			by(
				"server that fails everything", ready1, nil,
				answersCode(
					dns.RcodeServerFailure, dns.TypeTXT, dns.TypeCNAME, dns.TypeA, dns.TypeAAAA, dns.TypeCAA, dns.TypeNS,
					dns.TypeSOA,
				),
			),
		).
			oneOf(cert.DNSLookupFailed, cert.NameserverLame).may(cert.CAALookupFailed),
		unsure(
			"RFC 1035 §7.3: an answer with another number is for another question",
			by("server that answers with other numbers", ready1, nil, otherID),
		).oneOf(cert.NameserverUnreachable, cert.DNSLookupFailed, cert.NameserverLame).may(cert.CAALookupFailed),
		doomed(nosoa, func() row {
			r := by("server that leaves the SOA record out", ready1, dns01, withoutSOA)
			r.says = []string{"SOA"}
			return r
		}()).oneOf(cert.CAALookupFailed, cert.DNSLookupFailed, cert.NameserverLame).unsure(),
		ready(
			asks,
			by(
				"server that shows the challenge alias to TXT questions only", owned+delegated+flat, dns01,
				hidesAlias(dns.TypeCNAME),
			),
		),
		doomed(asks, func() row {
			r := by("server that hides the challenge alias from TXT questions", owned+delegated+flat, dns01, hidesAlias(dns.TypeTXT))
			r.says = []string{"_acme-challenge.shop"}
			return r
		}()).oneOf(cert.DelegationMissing, cert.DelegationWrongTarget),
		ready(
			"RFC 2308 §7.1: a resolver asks again after SERVFAIL",
			by("server that fails the first of equal questions", ready1, dns01, failsFirst()),
		).may(cert.NameserverLame),
		ready("RFC 2182; CAs ask the servers that answer", row{
			name: "odd server beside a good one, silent to everything", servers: []string{a, dnslab.Odd}, text: ready1,
			quirk: silent, warns: codes(cert.NameserverUnreachable), says: []string{"ns-odd"},
		}),
		ready(
			"RFC 2181 §5.2 (TTLs don't matter), RFC 1035 §7.3 (nor does the order)",
			split("servers with the same records in another order", ready1+moreTexts(0, 1, 2), ready1+moreTexts(2, 0, 1)),
		),
		ready(
			"RFC 1034 §4.3.5: serials differ while secondaries catch up; what is asked for is the same",
			split("servers with different serials and other names", ready1, ready1+"new A "+hostOld+"\n"),
		),
		ready("both answers lead to the platform; Boulder va/dns.go getAddrs takes the addresses", func() row {
			r := split("servers of which one flattens the alias", owned+pointed, owned+flat)
			r.chosen = http01
			return r
		}()).may(cert.AnswersDiffer),
		ready("both answers lead to the platform", func() row {
			r := split("servers of which one has no IPv6 address", owned+"shop A $EDGE4\n", owned+flat)
			r.chosen = http01
			return r
		}()).may(cert.AnswersDiffer),
		doomed("RFC 8555 §8.4; a CA may ask either server", func() row {
			r := split(
				"servers of which one completes the challenge target", owned+delegated+pointed,
				owned+pointed+"_acme-challenge.shop CNAME $DELEGATION(shop)\n",
			)
			r.methods, r.codes, r.says = dns01, codes(cert.DelegationWrongTarget), []string{"ns-b", "$DELEGATION(shop)"}
			return r
		}()).may(cert.AnswersDiffer),
		doomed("RFC 8659 §3; a CA may ask either server", func() row {
			r := split(
				"servers of which one lets another CA only issue", owned+delegated+flat+"@ CAA 0 issue \"letsencrypt.org\"\n",
				owned+delegated+flat+"@ CAA 0 issue \"pki.goog\"\n",
			)
			r.codes, r.says = codes(cert.CAAForbids), []string{"pki.goog"}
			return r
		}()).may(cert.AnswersDiffer),
		doomed("docs/ownership.md: all of the domain's name servers must show it", func() row {
			r := split("servers of which one lacks the ownership record", owned+delegated+pointed, delegated+pointed)
			r.says = []string{"ns-b", "_evercert.shop"}
			return r
		}()).oneOf(cert.OwnershipMissing, cert.AnswersDiffer).may(cert.OwnershipMissing, cert.AnswersDiffer),
		unsure(
			"RFC 2182; docs/failure.md: silence and SERVFAIL say nothing",
			row{
				name: "one server is dead and the other fails", servers: []string{b, dead}, text: ready1,
				on: onKnot(dnslab.NotLoaded),
			},
		).oneOf(cert.DNSLookupFailed, cert.NameserverUnreachable, cert.NameserverLame).may(cert.CAALookupFailed),
		unsure("docs/failure.md", row{
			name: "the ownership name is a zone on dead servers",
			text: delegated + pointed + "_evercert.shop NS ns-dead.dnshost.net.\n", says: []string{"_evercert.shop"},
		}).oneOf(cert.DNSLookupFailed, cert.NameserverUnreachable, cert.OwnershipMissing),
		unsure("docs/failure.md", row{
			name: "the second of two domains stands on dead servers", hosts: []string{"shop", "shop.z-$SECOND"},
			text: owned + delegated + pointed, extra: []dnslab.Zone{{Name: "z-$SECOND", Delegation: dnslab.NS(dead)}},
			says: []string{"z-$SECOND"},
		}).
			oneOf(cert.DNSLookupFailed, cert.NameserverUnreachable).may(cert.CAALookupFailed),
		unsure("RFC 8555 §8.4: where the alias's domain does not answer, nobody knows where it leads", row{
			name: "challenge through an alias in a domain on dead servers", methods: dns01,
			text:  owned + pointed + "_acme-challenge.shop CNAME shop.z-$SECOND.\n",
			extra: []dnslab.Zone{{Name: "z-$SECOND", Delegation: dnslab.NS(dead)}}, says: []string{"z-$SECOND"},
		}).
			oneOf(cert.DNSLookupFailed, cert.NameserverUnreachable),
		unsure("RFC 8659 §3: CAA of the host is looked up through its alias", row{
			name: "challenge fine and the host an alias into a domain that fails",
			text: owned + delegated + "shop CNAME shop.outage.org.\n", says: []string{"outage.org"},
		}).oneOf(cert.CAALookupFailed, cert.DNSLookupFailed).may(cert.DNSLookupFailed),
		doomed("docs/failure.md: wrong beats unknown, because it stays wrong whatever the rest turns out to be", row{
			name: "one host is surely wrong and the other can't be known", hosts: []string{"shop", "www"}, methods: dns01,
			text: "_evercert TXT $OWNERSHIP(@)\nshop CNAME $TARGET.\nwww CNAME $TARGET.\n" +
				"_acme-challenge.www CNAME www.outage.org.\n",
			codes: codes(cert.DelegationMissing), says: []string{"_acme-challenge.shop"},
		}).may(cert.DNSLookupFailed),
	}...)
}

// inventedSilence are set-ups of which a part can't be known, and such as need no answer from that part.
func inventedSilence() []invention {
	const (
		climb   = "Boulder va/caa.go selectCAA: an error counts until a set is found, not after it"
		unknown = "docs/failure.md: silence and SERVFAIL say nothing"
		path    = "RFC 4035 §5: where a DS record exists, the keys are needed; Unbound answers SERVFAIL"
	)
	quietly := func(source string, r row) invention {
		return unsure(source, r).oneOf(
			cert.DNSLookupFailed, cert.NameserverUnreachable, cert.CAALookupFailed, cert.NameserverLame,
		).may(cert.DNSLookupFailed, cert.CAALookupFailed)
	}
	deep := "_evercert TXT $OWNERSHIP(@)\n_acme-challenge.shop.eu CNAME $DELEGATION(shop.eu).\nshop.eu A $EDGE4\nshop.eu AAAA $EDGE6\n"
	odd := func(name, text string, quirk dnslab.Quirk, hosts ...string) row {
		return row{name: name, hosts: hosts, servers: []string{dnslab.Odd}, text: text, quirk: quirk}
	}
	onDead := []dnslab.Zone{{Name: "z-$SECOND", Delegation: dnslab.NS(dead)}}
	said := func(r row, parts ...string) row {
		r.says = parts
		return r
	}
	only := func(r row, of []cert.Method) row {
		r.methods = of
		return r
	}
	return []invention{
		quietly(climb, said(odd("silent to CAA of the name above", deep, about("eu.", silent, dns.TypeCAA), "shop.eu"), "CAA")),
		ready(
			climb,
			odd(
				"silent to CAA of the name above a set that lets us in", deep+"shop.eu CAA 0 issue \"letsencrypt.org\"\n",
				about("eu.", silent, dns.TypeCAA), "shop.eu",
			),
		).may(cert.NameserverUnreachable),
		doomed(climb, row{
			name: "silent to CAA of the name above a set that keeps us out", hosts: []string{"shop.eu"},
			servers: []string{dnslab.Odd}, text: deep + "shop.eu CAA 0 issue \";\"\n", quirk: about("eu.", silent, dns.TypeCAA),
			codes: codes(cert.CAAForbids),
		}).may(cert.CAALookupFailed, cert.NameserverUnreachable),
		quietly(
			path,
			odd(
				"signed, and the server fails for its keys", owned+delegated+pointed,
				answersCode(dns.RcodeServerFailure, dns.TypeDNSKEY),
			),
		).signedAs(dnslab.Signed).oneOf(cert.DNSSECBogus, cert.DNSLookupFailed, cert.NameserverLame).orNo(),
		ready(
			"RFC 4035 §5.2: without a DS record no keys are needed",
			odd(
				"unsigned, and the server fails for keys", owned+delegated+pointed,
				answersCode(dns.RcodeServerFailure, dns.TypeDNSKEY),
			),
		),
		quietly(
			unknown,
			said(
				only(
					row{
						name:   "challenge through two aliases into a domain that fails",
						text:   owned + pointed + "_acme-challenge.shop CNAME shop.$SECOND.\n",
						second: "shop CNAME shop.outage.org.\n",
					},
					dns01,
				),
				"outage.org",
			),
		),
		quietly(
			unknown,
			said(
				row{
					name: "whole sub-domain led into a domain that fails", hosts: []string{"shop.eu"},
					text: "_evercert TXT $OWNERSHIP(@)\neu DNAME eu.outage.org.\n",
				},
				"outage.org",
			),
		),
		quietly(
			unknown,
			said(
				only(
					row{
						name: "wildcard led into a domain that fails", hosts: []string{"blog"},
						text: "_evercert TXT $OWNERSHIP(@)\n* CNAME www.outage.org.\n",
					},
					http01,
				),
				"outage.org",
			),
		),
		quietly(
			unknown,
			said(
				only(
					row{
						name: "address through an alias in a domain on dead servers", text: owned + "shop CNAME www.z-$SECOND.\n",
						extra: onDead,
					},
					http01,
				),
				"z-$SECOND",
			),
		),
		quietly(
			unknown,
			said(
				row{
					name: "wildcard of a sub-domain on dead servers", hosts: []string{"*.eu"},
					text: "_evercert TXT $OWNERSHIP(@)\neu NS ns-dead.dnshost.net.\n",
				},
				"ns-dead.dnshost.net",
			),
		),
		quietly(unknown, only(odd("silent to addresses of both kinds", owned+flat, dnslab.SilentTo(dns.TypeA, dns.TypeAAAA)), http01)),
		quietly(
			unknown,
			said(
				row{
					name: "host in a zone of its own that failed to load", text: "@ TXT \"the domain itself is fine\"\n",
					extra: []dnslab.Zone{{Name: "shop.$DOMAIN", Delegation: dnslab.NS(c), On: dnslab.Zones{c: dnslab.NotLoaded}}},
				},
				"shop.$DOMAIN",
			),
		),
		quietly(
			unknown,
			said(
				row{
					name: "three servers, each with its own trouble", servers: []string{b, dnslab.Odd, dead},
					text: owned + delegated + pointed, on: onKnot(dnslab.NotLoaded), quirk: silent,
				},
				"ns-dead",
			),
		),
		ready("RFC 2182", row{
			name: "four servers, three with their own trouble", servers: []string{a, b, dnslab.Odd, dead},
			text: owned + delegated + pointed, on: onKnot(dnslab.NotLoaded), quirk: silent,
			warns: codes(cert.NameserverUnreachable, cert.NameserverLame),
		}),
	}
}

// signedAs is the same set-up with the domain signed.
func (i invention) signedAs(signing dnslab.Signing) invention {
	i.signing = signing
	return i
}

// unsure is the same set-up where "can't be known" is as good an answer as "no": no order is placed either way, and the CA's resolvers only
// answer SERVFAIL.
func (i invention) unsure() invention {
	i.orUnknown, i.acts = true, ""
	return i
}

// moreTexts are values beside the ownership record, in an order.
func moreTexts(order ...int) string {
	var text strings.Builder
	for _, n := range order {
		fmt.Fprintf(&text, "_evercert.shop TXT \"value %d of another tool\"\n", n)
	}
	return text.String()
}

// inventedAddresses are addresses that a CA does not ask, and such as look like them.
func inventedAddresses() []invention {
	const (
		reserved = "Boulder iana/ip.go IsReservedAddr, from IANA's special-purpose address registries"
		open     = "IANA's special-purpose address registries: the address beside the block is an ordinary one"
		others   = "Boulder bdns/dns.go LookupHost leaves reserved addresses out and takes the others"
	)
	closed := func(name, kind, address string) invention {
		return doomed(reserved, row{
			name: name, methods: http01, text: owned + "shop " + kind + " " + address + "\n", codes: codes(cert.ReservedAddress),
			says: []string{address},
		}).may(cert.DNSWrongTarget, cert.DNSNoRecords, cert.HTTPUnreachable)
	}
	ordinary := func(name, kind, address string) invention {
		return doomed(open, row{
			name: name, methods: http01, text: owned + "shop " + kind + " " + address + "\n",
			codes: codes(cert.DNSWrongTarget), says: []string{address}, never: []string{"reserved"},
		}).may(cert.HTTPUnreachable) // the tests' namespace has no way there
	}
	beside := func(name, record string) invention {
		return ready(others, row{
			name: name, methods: http01, chosen: http01, text: owned + flat + "shop " + record + "\n",
			warns: codes(cert.ReservedAddress),
		}).may(cert.DNSConflictingRecords, cert.IPv6Unreachable)
	}
	return []invention{
		closed("address of the old relay anycast", "A", "192.88.99.1"), ordinary(
			"address beside the old relay anycast", "A", "192.88.98.1",
		),
		closed("address in the last private block", "A", "172.31.255.1"), ordinary(
			"address after the last private block", "A", "172.32.0.1",
		),
		closed("address for benchmarks", "A", "198.19.0.1"), ordinary("address after those for benchmarks", "A", "198.20.0.1"),
		closed("address of zeros", "A", "0.0.0.0"), closed("address reserved for later", "A", "240.0.0.1"), closed(
			"address of protocol assignments", "A", "192.0.0.9",
		),
		closed("address of multicast", "A", "233.252.0.1"), ordinary("address of a root server", "AAAA", "2001:500:2::c"),
		closed("IPv6 address of zeros", "AAAA", "::"), closed("IPv6 address of protocol assignments", "AAAA", "2001:1::1"), closed(
			"IPv6 address of the new documentation block", "AAAA", "3fff:f::1",
		),
		ordinary(
			"IPv6 address beside the new documentation block", "AAAA", "3fee::1",
		), closed("IPv6 address of segment routing", "AAAA", "5f00::1"), closed("IPv6 address to discard", "AAAA", "100::1"),
		closed("IPv6 address of multicast", "AAAA", "ff0e::1"), closed(
			"IPv6 address of local translation", "AAAA", "64:ff9b:1::a00:1",
		), closed("IPv6 address of AS112", "AAAA", "2620:4f:8000::1"),
		beside("reserved IPv6 address beside the right ones", "AAAA 3fff::1"), beside(
			"address for benchmarks beside the right ones", "A 198.18.0.1",
		),
		ready(
			"RFC 6724; Boulder va/http.go asks IPv6 where there is nothing else",
			row{name: "IPv6 address only", methods: http01, chosen: http01, text: owned + "shop AAAA $EDGE6\n"},
		),
		ready("Boulder bdns/dns.go LookupHost", row{
			name: "domain with an IPv6 address only", hosts: []string{"@"}, methods: http01, chosen: http01,
			text: "_evercert TXT \"$OWNERSHIP\"\n@ AAAA $EDGE6\n",
		}),
	}
}
