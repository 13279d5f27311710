// Package caa decides whether CAA records let a CA issue a certificate for a name (RFC 8659, RFC 8657), and says which record would.
//
// Find looks for the records that govern a name, by a look-up that the caller gives. Verdict, Problem and Warning judge what several
// look-ups found for one Request, as the CA of the request reads CAA. The files in the order of reading: find.go, profile.go,
// property.go, judge.go, remedy.go, problem.go, warning.go.
package caa
