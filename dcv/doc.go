// Package dcv shows a CA what it asks for before it issues (domain control validation, RFC 8555 §8): a TXT record under the
// validation zone for dns-01, a text under /.well-known/acme-challenge/ for http-01, a certificate for tls-alpn-01.
//
// The Solver puts values into the store and takes them away again. The Server is the authoritative DNS server of the validation
// zone, HTTP01 and TLSALPN01 are what edges answer with; all read the store at each question, so that any number of them may
// run, anywhere, and a value is there for all from the moment it is stored. Before a CA is told to look, the Solver asks each
// Server whether it is.
package dcv
