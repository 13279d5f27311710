// Package cert is the language that the rest of evercert speaks: tenants, domains and their names,
// the three status axes and the headline derived from them, problems, DNS records, and the rules for
// waiting, retrying and renewing. Everything here is a value or a pure function; it does no I/O and
// imports only the standard library and golang.org/x.
package cert
