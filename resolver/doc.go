// Package resolver looks at a domain's DNS as a CA would and says what is wrong with it, whose turn it is and which
// record mends it.
//
// It asks several recursive resolvers at once. What one of them shows is a view (view.go). Each check judges one view
// (ownership.go, delegation.go, address.go, caa.go), the views are put together (finding.go), and decide.go picks a
// validation method for every name and the verdict.
//
// Every judgement has three values. Ok: every view that answered shows the right thing, and one did answer. Wrong: a
// view did answer, and showed something else. Unknown: nobody answered (time-outs, SERVFAIL, REFUSED), or the
// platform's own records are at fault; that is never held against the tenant.
package resolver
