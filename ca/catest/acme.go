package catest

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-acme/lego/v4/acme"
)

// message is a signed request (RFC 8555 §6.2).
type message struct {
	Protected string `json:"protected"`
	Payload   string `json:"payload"`
	Signature string `json:"signature"`
	header    struct {
		KeyID string          `json:"kid"`
		JWK   json.RawMessage `json:"jwk"`
	}
	payload []byte
}

func readMessage(raw []byte) (m message, err error) {
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, err
	}
	protected, err := base64.RawURLEncoding.DecodeString(m.Protected)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(protected, &m.header); err != nil {
		return m, err
	}
	m.payload, err = base64.RawURLEncoding.DecodeString(m.Payload)
	return m, err
}

func (s *Server) directory(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	writeJSON(w, http.StatusOK, acme.Directory{
		NewNonceURL: s.http.URL + "/new-nonce", NewAccountURL: s.http.URL + "/new-account", NewOrderURL: s.http.URL + "/new-order",
		RenewalInfo: s.http.URL + "/renewal-info",
		Meta:        acme.Meta{CaaIdentities: []string{"ca.test"}, ExternalAccountRequired: len(s.binding) > 0},
	})
}

func (s *Server) newAccount(w http.ResponseWriter, r *http.Request) {
	m, ok := receive(w, r)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var request acme.Account
	if err := json.Unmarshal(m.payload, &request); err != nil {
		refuse(w, http.StatusBadRequest, "malformed", err.Error())
		return
	}
	if len(s.binding) > 0 && !s.bound(request.ExternalAccountBinding, m.header.JWK) {
		refuse(w, http.StatusForbidden, "unauthorized", "the external account binding is missing or wrong")
		return
	}
	status := http.StatusOK
	key := string(m.header.JWK)
	if s.accounts[key] == "" {
		status, s.accounts[key] = http.StatusCreated, s.url("account", rand.Text())
	}
	w.Header().Set("Location", s.accounts[key])
	writeJSON(w, status, acme.Account{Status: acme.StatusValid, Contact: request.Contact})
}

// bound checks an external account binding: a MAC over the account's key (RFC 8555 §7.3.4).
func (s *Server) bound(binding, jwk []byte) bool {
	m, err := readMessage(binding)
	if err != nil || !bytes.Equal(m.payload, jwk) {
		return false
	}
	mac := hmac.New(sha256.New, s.binding[m.header.KeyID])
	mac.Write([]byte(m.Protected + "." + m.Payload))
	return s.binding[m.header.KeyID] != nil && m.Signature == base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// forAccount refuses requests of accounts that the CA does not know.
func (s *Server) forAccount(serve func(w http.ResponseWriter, r *http.Request, m message)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		m, ok := receive(w, r)
		if !ok {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, url := range s.accounts {
			if url == m.header.KeyID {
				serve(w, r, m)
				return
			}
		}
		refuse(w, http.StatusBadRequest, "accountDoesNotExist", "no such account")
	}
}

func (s *Server) account(w http.ResponseWriter, _ *http.Request, _ message) {
	writeJSON(w, http.StatusOK, acme.Account{Status: acme.StatusValid})
}

func (s *Server) newOrder(w http.ResponseWriter, _ *http.Request, m message) {
	var request acme.Order
	if err := json.Unmarshal(m.payload, &request); err != nil {
		refuse(w, http.StatusBadRequest, "malformed", err.Error())
		return
	}
	for id, o := range s.orders { // as Boulder does: the same order again while it is open
		s.settle(o)
		open := o.Status == acme.StatusPending || o.Status == acme.StatusReady
		if open && o.account == m.header.KeyID && slices.Equal(o.Identifiers, request.Identifiers) && o.Profile == request.Profile {
			w.Header().Set("Location", s.url("order", id))
			writeJSON(w, http.StatusCreated, o.Order)
			return
		}
	}
	id := rand.Text()
	o := &order{account: m.header.KeyID, Order: acme.Order{
		Status:      acme.StatusPending,
		Identifiers: request.Identifiers,
		Profile:     request.Profile,
		Replaces:    request.Replaces,
		Finalize:    s.url("finalize", id),
	}}
	for _, identifier := range request.Identifiers {
		o.Authorizations = append(o.Authorizations, s.newAuthorization(identifier))
	}
	s.orders[id] = o
	w.Header().Set("Location", s.url("order", id))
	writeJSON(w, http.StatusCreated, o.Order)
}

func (s *Server) newAuthorization(identifier acme.Identifier) (url string) {
	base, wildcard := strings.CutPrefix(identifier.Value, "*.")
	identifier.Value = base
	for id, a := range s.authorizations {
		if s.clings && a.Status == acme.StatusInvalid && a.Identifier == identifier && a.Wildcard == wildcard {
			return s.url("authorization", id)
		}
	}
	id := rand.Text()
	s.authorizations[id] = &acme.Authorization{
		Status: acme.StatusPending, Identifier: identifier, Wildcard: wildcard,
		Challenges: []acme.Challenge{{Type: "dns-01", Status: acme.StatusPending, Token: rand.Text(), URL: s.url("challenge", id)}},
	}
	return s.url("authorization", id)
}

func (s *Server) order(w http.ResponseWriter, r *http.Request, m message) {
	o := s.orders[r.PathValue("id")]
	if o == nil || o.account != m.header.KeyID {
		refuse(w, http.StatusNotFound, "malformed", "no such order")
		return
	}
	s.settle(o)
	writeJSON(w, http.StatusOK, o.Order)
}

// settle sets the status of a pending order from its authorizations.
func (s *Server) settle(o *order) {
	if o.Status != acme.StatusPending {
		return
	}
	valid := 0
	for _, url := range o.Authorizations {
		switch s.authorizations[url[strings.LastIndexByte(url, '/')+1:]].Status {
		case acme.StatusValid:
			valid++
		case acme.StatusInvalid, acme.StatusDeactivated:
			o.Status = acme.StatusInvalid
			return
		}
	}
	if valid == len(o.Authorizations) {
		o.Status = acme.StatusReady
	}
}

func (s *Server) authorization(w http.ResponseWriter, r *http.Request, m message) {
	a := s.authorizations[r.PathValue("id")]
	if a == nil {
		refuse(w, http.StatusNotFound, "malformed", "no such authorization")
		return
	}
	var update acme.Authorization
	if json.Unmarshal(m.payload, &update) == nil && update.Status == acme.StatusDeactivated { // RFC 8555 §7.5.2
		a.Status = acme.StatusDeactivated
	}
	writeJSON(w, http.StatusOK, a)
}

func (s *Server) challenge(w http.ResponseWriter, r *http.Request, _ message) {
	a := s.authorizations[r.PathValue("id")]
	if a == nil || a.Status != acme.StatusPending {
		refuse(w, http.StatusBadRequest, "malformed", "the challenge is not pending")
		return
	}
	challenge := &a.Challenges[0]
	a.Status, challenge.Status = acme.StatusValid, acme.StatusValid
	if problem, rejected := s.rejections[a.Identifier.Value]; rejected {
		a.Status, challenge.Status, challenge.Error = acme.StatusInvalid, acme.StatusInvalid, &problem
	}
	writeJSON(w, http.StatusOK, challenge)
}

func (s *Server) finalize(w http.ResponseWriter, r *http.Request, m message) {
	id := r.PathValue("id")
	o := s.orders[id]
	if o == nil || o.Status != acme.StatusReady {
		refuse(w, http.StatusForbidden, "orderNotReady", "the order is not ready")
		return
	}
	chain, err := s.issue(m.payload)
	if err != nil {
		refuse(w, http.StatusBadRequest, "badCSR", err.Error())
		return
	}
	s.certificates[id] = chain
	o.Status, o.Certificate = acme.StatusValid, s.url("certificate", id)
	writeJSON(w, http.StatusOK, o.Order)
}

func (s *Server) issue(payload []byte) (chain []byte, err error) {
	var request acme.CSRMessage
	if err := json.Unmarshal(payload, &request); err != nil {
		return nil, err
	}
	der, err := base64.RawURLEncoding.DecodeString(request.Csr)
	if err != nil {
		return nil, err
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, err
	}
	s.serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(s.serial), DNSNames: csr.DNSNames,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
	}
	leaf, err := x509.CreateCertificate(rand.Reader, template, s.issuer, csr.PublicKey, s.key)
	if err != nil {
		return nil, err
	}
	for _, der := range [][]byte{leaf, s.issuer.Raw} {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return chain, nil
}

func (s *Server) certificate(w http.ResponseWriter, r *http.Request, _ message) {
	w.Header().Set("Content-Type", "application/pem-certificate-chain")
	w.Write(s.certificates[r.PathValue("id")]) //nolint:errcheck // the client may go away
}

func receive(w http.ResponseWriter, r *http.Request) (message, bool) {
	var body bytes.Buffer
	_, err := body.ReadFrom(r.Body)
	var m message
	if err == nil {
		m, err = readMessage(body.Bytes())
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "malformed", fmt.Sprintf("read the request: %v", err))
		return message{}, false
	}
	return m, true
}

func refuse(w http.ResponseWriter, status int, kind, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	fmt.Fprint(w, Problem(kind, detail))
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) //nolint:errcheck // the client may go away
}
