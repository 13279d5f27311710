// Package resolver looks at a domain as a CA would and says what is wrong with it, whose turn it is and which record
// mends it.
//
// It walks from the root servers to the domain's zones and asks each of their authoritative servers (package authority), and
// beside them recursive resolvers. What one server shows is a view (view.go; source.go and authoritative.go say whom it asks).
// Each check judges one view (ownership.go, delegation.go, address.go, caa.go with package caa; unexpected.go for domains that nobody
// connected), and the views are put together (finding.go, evidence.go). zones.go judges the zones themselves: registration, name servers,
// DNSSEC. reachability.go asks web servers where dns-01 won't do (package reach), and package registration asks registries.
// decide.go picks a validation method for every name and the verdict; problems.go lists what people are told.
//
// Every judgement has three values. Ok: every authoritative server that answered shows the right thing, and one did answer.
// Wrong: one did answer, and showed something else. Unknown: nobody answered (time-outs, SERVFAIL), or the platform's own records
// are at fault; that is never held against the tenant.
package resolver
