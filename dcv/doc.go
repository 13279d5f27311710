// Package dcv shows a CA the proofs that it asks for before it issues a certificate (domain control validation, RFC 8555 §8): a TXT record
// in the validation zone for dns-01, a text under /.well-known/acme-challenge/ for http-01, a certificate for tls-alpn-01.
//
//	The Solver stores values and deletes them. The Server is the authoritative DNS server of the validation zone. Edges answer with HTTP01
//	and TLSALPN01. All of them read the store at each question, so any number may run anywhere, and all show a value as soon as it is
//	stored. The Solver checks that each Server shows the value before the CA is asked to validate.
package dcv
