// Package ca is one account at one ACME CA (RFC 8555), used step by step: register, order, answer challenges, finalize, download.
//
// Every step can be cut off anywhere. What was lost, and what the next run does about it:
//
//	newAccount   the answer is lost: the key is kept in memory, and asking again with it gives the same account (RFC 8555 §7.3.1).
//	             The process dies: an account is left at the CA that nobody uses.
//	newOrder     the answer is lost: FindOrder looks the order up before another is made. The process dies: the same, by the next run.
//	challenge    the next run reads the authorization; a challenge that the CA has taken is not posted twice.
//	finalize     the next run reads the order: it is processing or valid. One order has one CSR, so a repeated finalize changes nothing.
//	download     the next run downloads the same certificate.
//
// What an error means for the issuance is said by cert.Failure. An error without one is the network's or our own fault, or, with a cert.Fault,
// the CA's, and the step can be tried again at once. No answer of a CA ends the process: each is checked before lego sees it (answers.go).
//
// The package uses lego's acme/api only. lego's Obtain sleeps for seconds at each name, takes no context and can't go on
// with an order that exists.
package ca
