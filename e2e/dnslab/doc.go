// Package dnslab starts a DNS tree of real name servers for tests: root, top-level domains, zones with several servers each,
// signed where asked for, and resolvers that find their way from the root hints down. BIND, Knot, NSD, Unbound and the
// PowerDNS Recursor run as processes of the test, on port 53 of loopback addresses in a network namespace of their own
// (InNamespace), so that delegation works as it does on the internet and nothing leaves the machine.
//
// What it does not simulate: distance (every answer comes at once), loss of single packets, anycast, and networks with
// firewalls. Servers that don't answer are sockets that nobody reads (StartSilent); servers that fail for a while stand
// behind a Switch. Servers that depart from the standards are one server, whose answers a Quirk changes (Odd).
package dnslab
