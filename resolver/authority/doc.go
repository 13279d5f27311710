// Package authority finds and asks the authoritative servers of a name, as a CA's resolver does: from the root servers down, with nothing
// believed from a cache. A Tree serves one diagnosis and is thrown away with it, so that every diagnosis sees DNS as it is now and none
// waits for another.
//
// To read it from below: server.go and zone.go have what is learned of servers and zones, tree.go what one Tree remembers and how it
// asks, walk.go the way from the root to a zone, servers.go the addresses of name servers, survey.go what all servers of a zone say
// (Tree.Zone). On top of that, dnssec.go validates zones and answer.go answers, by signature.go, absence.go and denial.go.
//
// Names are in the form of package dns: lower case, with a trailing dot. Messages that a Tree hands out are shared; whoever changes one
// copies it first. Faults are reported in a neutral form, without saying who acts; and what could not be found out is an error or the
// state NotAsked, never a fault.
package authority
