// Package terminator is the TLS edge: it ends TLS for every connected name with the certificate that is installed for it,
// answers the CA's http-01 and tls-alpn-01 questions, redirects to HTTPS where that is switched on, and passes requests on to the platform.
//
// Certificates are loaded when a client first asks for a name and are kept in a bounded cache. A handshake never waits for a
// CA, and for the database two seconds at most. A certificate that is in the cache is served whatever the database does; one
// that has expired only if there is no newer one, or nobody can tell.
package terminator

import (
	"context"
	"crypto"
	"errors"
)

// ErrNotServed is what a Source returns for a name that no certificate is installed for.
var ErrNotServed = errors.New("no certificate is installed for this name")

// ErrNotAsked is what a Source returns when it could not tell, and did not try, because the database has just failed or has enough to do.
var ErrNotAsked = errors.New("the database was not asked")

// Material is what a name is served with.
type Material struct {
	Serial        string // of the leaf, as in cert.Certificate
	ChainPEM      []byte // leaf first
	Key           crypto.Signer
	HTTPSRedirect bool // plain HTTP requests for the name are redirected
}

// Source is where certificates come from. It is asked at a name's first handshake and when a name has changed.
type Source interface {
	// NotServed reports, from memory, that no certificate is installed for a name (A-labels, lower case). False: there is one, or Load can tell.
	NotServed(name string) bool
	// Load returns what a name (A-labels, lower case) is served with: its own certificate, or the wildcard one level up.
	Load(ctx context.Context, name string) (Material, error)
	// Listen calls changed for each name, or wildcard *.name, that is served differently from now on, and changed("") when it
	// may have missed some. It may call it from several goroutines. It returns when ctx ends.
	Listen(ctx context.Context, changed func(name string)) error
}
