// Package resolver checks a domain's DNS as a CA would, and reports what is wrong, who acts, and which record fixes it.
//
// The way of a check, from the question to the diagnosis (Resolver.Diagnose):
//
//   - gather.go asks DNS. It walks from the root servers to the zones that the names are in (zone.go, with package authority) and asks
//     each of their authoritative servers, and recursive resolvers beside them. One server or resolver is a View of package lookup. What
//     one View shows for the whole question is an observation (observe.go), made of one finding for each check: ownership.go,
//     delegation.go, address.go, caa.go with package caa; and unconnected.go for domains that nobody connected. wildcard.go decides
//     whether a wildcard record answered, destination.go where a name must lead, rivals.go who else uses _acme-challenge.
//   - weigh.go puts the observations together to evidence (evidence.go): one entry for each expected record and each name, with the
//     finding of all servers together (finding.go). memory.go counts what servers showed before that are silent now.
//   - registry.go and web.go ask those whose answer matters only then: registries about zones that are broken (package registration),
//     and web servers where dns-01 won't do (package reach).
//   - decide.go chooses the CA, a validation method for every name, and the verdict.
//   - report.go puts that into the diagnosis, problems.go and zone_problems.go into problems that people can act on. The sentences about
//     a check stand beside it; advice.go has what they share.
//
// Beside it, early.go asks one server for one record (Resolver.AskServer), and https.go visits names as a browser does (Resolver.HTTPS).
//
// Every finding has one of three verdicts. Ok: every authoritative server that answered shows the right thing, and one did answer.
// Wrong: one did answer, and showed something else. Unknown: none answered (time-outs, SERVFAIL), or the platform's own records
// are at fault; that is never the tenant's fault.
//
// The files stand in layers: each uses definitions of lower layers only (TestA9_FilesStandInLayers prints them).
package resolver
