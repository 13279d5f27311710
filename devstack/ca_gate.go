package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/letsencrypt/pebble/v2/acme"
	"github.com/letsencrypt/pebble/v2/db"
)

// gate lets one request at a time into Pebble v2.10.1. Its handlers take the
// locks of the store and of authorizations in different orders, and with some
// 30 clients at once it locks up for good. Bodies are read and answers written
// outside of the gate, so that a slow client delays no other.
type gate struct {
	pebble http.Handler
	store  *db.MemoryStore
	mu     sync.Mutex
}

// answer is what Pebble said, complete.
type answer struct {
	code   int
	header http.Header
	body   bytes.Buffer
	// certificate is the id of the one that a finalize request led to, if any.
	certificate string
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(code int) {
	if a.code == 0 {
		a.code = code
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// serve passes a request whose body was read before.
func (g *gate) serve(r *http.Request) *answer {
	a := &answer{header: http.Header{}}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.secondChallenge(r) {
		writeProblem(a, http.StatusBadRequest, "malformed", "another challenge of this authorization is being validated")
		return a
	}
	g.pebble.ServeHTTP(a, r)
	a.WriteHeader(http.StatusOK)
	if id, ok := strings.CutPrefix(r.URL.Path, finalizePath); ok && a.code == http.StatusOK {
		a.certificate = g.awaitCertificate(id)
	}
	return a
}

// guard puts another of Pebble's handlers behind the gate.
func (g *gate) guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		h.ServeHTTP(w, r)
	})
}

// awaitCertificate waits until Pebble has written the order it issues for in
// the background, and indexed it: a write lock of the store that waits while a
// handler reads is half of the deadlock. Signing takes a fraction of a
// millisecond. If it fails Pebble says nothing: then the wait ends by itself.
func (g *gate) awaitCertificate(orderID string) string {
	var issued string
	poll(200*time.Millisecond, 50*time.Microsecond, func() bool {
		order := g.store.GetOrderByID(orderID)
		if order == nil {
			return true
		}
		order.RLock()
		certificate := order.CertificateObject
		order.RUnlock()
		if certificate == nil {
			return false
		}
		if _, err := g.store.GetOrderByIssuedSerial(certificate.ID); err != nil {
			return false
		}
		issued = certificate.ID
		return true
	})
	return issued
}

// secondChallenge reports whether the request would start a second challenge of an
// authorization. Pebble forgets to release the lock of the unused challenges of
// a decided authorization when it shows it, and deciding the second challenge
// afterwards waits for that lock for ever.
func (g *gate) secondChallenge(r *http.Request) bool {
	id, ok := strings.CutPrefix(r.URL.Path, challengePath)
	if !ok || len(jwsPayload(r)) == 0 { // an empty payload only reads (RFC 8555 section 6.3)
		return false
	}
	challenge := g.store.GetChallengeByID(id)
	if challenge == nil {
		return false
	}
	for _, other := range challenge.Authz.Challenges {
		if other == challenge {
			continue
		}
		// TryRLock: a lock that can't be had belongs to a validation going on.
		if !other.TryRLock() {
			return true
		}
		started := other.Status != acme.StatusPending
		other.RUnlock()
		if started {
			return true
		}
	}
	return false
}

// names are the hosts that a request is about: those of the order, or that of the authorization.
func (g *gate) names(r *http.Request) []string {
	if r.URL.Path == newOrderPath {
		return orderNames(r)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for prefix, find := range map[string]func(id string) []acme.Identifier{
		orderPath:     g.orderIdentifiers,
		finalizePath:  g.orderIdentifiers,
		authzPath:     g.authzIdentifiers,
		challengePath: g.challengeIdentifiers,
		certPath:      g.certificateIdentifiers,
	} {
		if id, ok := strings.CutPrefix(r.URL.Path, prefix); ok {
			var names []string
			for _, identifier := range find(id) {
				names = append(names, strings.ToLower(identifier.Value))
			}
			return names
		}
	}
	return nil
}

func (g *gate) orderIdentifiers(id string) []acme.Identifier {
	if order := g.store.GetOrderByID(id); order != nil {
		return order.Identifiers
	}
	return nil
}

func (g *gate) authzIdentifiers(id string) []acme.Identifier {
	if authz := g.store.GetAuthorizationByID(id); authz != nil {
		return []acme.Identifier{authz.Identifier}
	}
	return nil
}

func (g *gate) challengeIdentifiers(id string) []acme.Identifier {
	if challenge := g.store.GetChallengeByID(id); challenge != nil {
		return []acme.Identifier{challenge.Authz.Identifier}
	}
	return nil
}

func (g *gate) certificateIdentifiers(id string) []acme.Identifier {
	if order, err := g.store.GetOrderByIssuedSerial(id); err == nil {
		return order.Identifiers
	}
	return nil
}

// jwsPayload is the payload of a signed request, unchecked.
func jwsPayload(r *http.Request) []byte {
	body, ok := r.Body.(*readBefore)
	if !ok {
		return nil
	}
	var jws struct{ Payload string }
	if json.Unmarshal(body.all, &jws) != nil {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(jws.Payload)
	if err != nil {
		return nil
	}
	return payload
}

// readBefore is a request's body that was read completely, to be read again.
type readBefore struct {
	*bytes.Reader
	all []byte
}

func newReadBefore(all []byte) *readBefore { return &readBefore{bytes.NewReader(all), all} }

func (*readBefore) Close() error { return nil }
