// Package caa decides whether CAA records let a CA issue a certificate for a name (RFC 8659, RFC 8657), and says which record would.
//
// Find looks for the records that govern a name, by a look-up that the caller gives. Verdict and Problem judge what several
// look-ups found for one Request. The files in the order of reading: find.go, property.go, judge.go, problem.go, remedy.go.
package caa
