// Package ca is one account at one ACME CA (RFC 8555), used step by step: register, order, answer challenges, finalize, download.
//
//	 Every step can be interrupted anywhere. What is lost then, and what the next run does:
//
//		newAccount   the answer is lost: the key is kept in memory, and sending it again returns the same account (RFC 8555 §7.3.1).
//		             The process dies: an unused account stays at the CA.
//		newOrder     the answer is lost, or the process dies: FindOrder searches for the order before another is placed.
//		challenge    the next run reads the authorization; a challenge that the CA has accepted is not posted twice.
//		finalize     the next run reads the order: it is processing or valid. One order has one CSR, so a repeated finalize changes nothing.
//		download     the next run downloads the same certificate.
//
//	 A cert.Failure says what an error means for the issuance. Any other error is a network error or a fault of evercert, or, as a
//
// cert.Fault,
//
//	one of the CA, and the step can be tried again at once. No answer of a CA can end the process: each is checked before lego reads it
//	(answers.go).
//
//	The package uses only lego's acme/api. lego's Obtain sleeps for seconds at each name, takes no context and can't continue an existing
//	order.
package ca
