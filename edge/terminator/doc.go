// Package terminator is the TLS edge: it terminates TLS for every connected name with the installed certificate, answers the CA's http-01
// and tls-alpn-01 requests, redirects to HTTPS where that is switched on, and forwards requests to the platform.
//
//	Certificates are loaded when a client first asks for a name, and kept in a cache of limited size. A handshake never waits for a CA, and
//	at most two seconds for the database. A cached certificate is served whatever the state of the database. An expired one is served only
//	when there is no newer one, or when the database does not answer.
package terminator

import (
	"context"
	"crypto"
	"errors"
)

// ErrNotServed is what a Source returns for a name without an installed certificate.
var ErrNotServed = errors.New("no certificate is installed for this name")

// ErrNotAsked is what a Source returns when it did not ask the database, because that has just failed or is busy.
var ErrNotAsked = errors.New("the database was not asked")

// Material is what a name is served with.
type Material struct {
	Serial        string // of the leaf, as in cert.Certificate
	ChainPEM      []byte // the leaf is first
	Key           crypto.Signer
	HTTPSRedirect bool // plain HTTP requests for the name are redirected
}

// Source provides certificates. It is asked at the first handshake for a name, and after the name has changed.
type Source interface {
	// NotServed reports, from memory, that no certificate is installed for a name (A-labels, lower case). When it returns false, Load decides.
	NotServed(name string) bool
	// Load returns what a name (A-labels, lower case) is served with: its own certificate, or the wildcard one level above. Its error is
	// ErrNotServed, ErrNotAsked, or says why the database did not answer.
	Load(ctx context.Context, name string) (Material, error)
	// Listen calls changed for each name, or wildcard *.name, that is served differently from now on, and changed("") when it may have missed
	// changes. It may call it from several goroutines. It returns when ctx ends.
	Listen(ctx context.Context, changed func(name string)) error
}
