// Package catest is a small ACME server for tests of what Pebble can't do: it returns a pending order again as Let's Encrypt does, has no
// list of orders, and gives any answer that a test wants to any request.
//
//	It does not simulate: signatures and nonces (it checks neither, except the MAC of an external account binding), validation (every
//	challenge that is posted succeeds, unless the test says otherwise), the time that orders and authorizations take or live, rate limits,
//	renewal information, revocation. It issues whatever the CSR asks for.
package catest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-acme/lego/v4/acme"
)

// Server is a running CA.
type Server struct {
	DirectoryURL string
	RootPEM      string // file of the certificate that its HTTPS is signed by

	http   *httptest.Server
	issuer *x509.Certificate
	key    *ecdsa.PrivateKey

	mu             sync.Mutex
	binding        map[string][]byte // MAC keys by identifier; if any, accounts must be bound
	accounts       map[string]string // by key: URL
	orders         map[string]*order
	authorizations map[string]*acme.Authorization
	certificates   map[string][]byte // chains
	answers        []*answer
	losses         []string // paths
	hooks          map[string]func()
	rejections     map[string]acme.ProblemDetails // by name
	clings         bool                           // it gives failed authorizations to new orders
	requests       map[string]int
	serial         int64
}

type order struct {
	acme.Order
	account string
}

type answer struct {
	path   string
	left   int
	status int
	header http.Header
	body   string
}

// New starts a CA that stops with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{
		rejections: map[string]acme.ProblemDetails{},
		requests:   map[string]int{},
		binding:    map[string][]byte{},
		hooks:      map[string]func(){},
	}
	s.Forget()
	s.makeIssuer(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /directory", s.directory)
	mux.HandleFunc("HEAD /new-nonce", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /new-account", s.newAccount)
	mux.HandleFunc("POST /account/{id}", s.forAccount(s.account))
	mux.HandleFunc("POST /new-order", s.forAccount(s.newOrder))
	mux.HandleFunc("POST /order/{id}", s.forAccount(s.order))
	mux.HandleFunc("POST /authorization/{id}", s.forAccount(s.authorization))
	mux.HandleFunc("POST /challenge/{id}", s.forAccount(s.challenge))
	mux.HandleFunc("POST /finalize/{id}", s.forAccount(s.finalize))
	mux.HandleFunc("POST /certificate/{id}", s.forAccount(s.certificate))
	s.http = httptest.NewUnstartedServer(s.front(mux))
	s.http.EnableHTTP2 = true
	s.http.StartTLS()
	t.Cleanup(s.http.Close)
	s.DirectoryURL = s.http.URL + "/directory"
	s.RootPEM = filepath.Join(t.TempDir(), "root.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw}
	if err := os.WriteFile(s.RootPEM, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// Answer makes the next requests for a path, such as "/new-order" or "/order/", get this answer instead of the CA's.
func (s *Server) Answer(path string, times, status int, header http.Header, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = append(s.answers, &answer{path, times, status, header, body})
}

// Lose makes the CA act on the next request for a path, and close the connection instead of answering.
func (s *Server) Lose(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.losses = append(s.losses, path)
}

// Before makes the next request for a path wait for do before the CA acts on it.
func (s *Server) Before(path string, do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks[path] = do
}

// Accounts returns the number of accounts.
func (s *Server) Accounts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.accounts)
}

// Orders returns the number of orders.
func (s *Server) Orders() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.orders)
}

// Problem returns a problem document for the body of an Answer.
func Problem(kind, detail string) string {
	body, err := json.Marshal(acme.ProblemDetails{Type: "urn:ietf:params:acme:error:" + kind, Detail: detail})
	if err != nil {
		panic(err) // strings always encode
	}
	return string(body)
}

// Reject makes the validation of a name fail with this problem.
func (s *Server) Reject(name, kind, detail string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rejections[name] = acme.ProblemDetails{Type: "urn:ietf:params:acme:error:" + kind, Detail: detail}
}

// Accept undoes Reject for a name.
func (s *Server) Accept(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rejections, name)
}

// Cling makes the CA give a failed authorization of a name to each new order, until it is deactivated.
func (s *Server) Cling() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clings = true
}

// Change applies do to each order of the CA.
func (s *Server) Change(do func(*acme.Order)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.orders {
		do(&o.Order)
	}
}

// Authorizations returns the number of authorizations with a status.
func (s *Server) Authorizations(status string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.authorizations {
		if a.Status == status {
			n++
		}
	}
	return n
}

// DemandBinding makes the CA register only accounts that are bound by this key (RFC 8555 §7.3.4).
func (s *Server) DemandBinding(keyID string, key []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.binding[keyID] = key
}

// Forget makes the CA lose its accounts and orders, as Pebble does at a restart.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts, s.orders = map[string]string{}, map[string]*order{}
	s.authorizations, s.certificates = map[string]*acme.Authorization{}, map[string][]byte{}
}

// Requests returns how many requests for a path, such as "/new-order" or "/order/", have arrived, including those with an Answer.
func (s *Server) Requests(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := 0
	for p, n := range s.requests {
		if strings.HasPrefix(p, path) {
			total += n
		}
	}
	return total
}

// front counts requests, gives the answers that the test wants, and adds a nonce to all.
func (s *Server) front(ca http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.runHook(r.URL.Path)
		wanted, lose := s.received(r.URL.Path)
		if lose {
			ca.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		if wanted != nil {
			maps.Copy(w.Header(), wanted.header)
			w.WriteHeader(wanted.status)
			io.WriteString(w, wanted.body) //nolint:errcheck // the client may go away
			return
		}
		w.Header().Set("Replay-Nonce", rand.Text())
		ca.ServeHTTP(w, r)
	})
}

func (s *Server) runHook(path string) {
	s.mu.Lock()
	var hook func()
	for prefix, do := range s.hooks {
		if strings.HasPrefix(path, prefix) {
			hook = do
			delete(s.hooks, prefix)
		}
	}
	s.mu.Unlock()
	if hook != nil {
		hook()
	}
}

// received counts a request and returns what the test wants to happen to it.
func (s *Server) received(path string) (wanted *answer, lose bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[path]++
	isIt := func(prefix string) bool { return strings.HasPrefix(path, prefix) }
	if i := slices.IndexFunc(s.losses, isIt); i >= 0 {
		s.losses = slices.Delete(s.losses, i, i+1)
		return nil, true
	}
	for _, a := range s.answers {
		if a.left > 0 && isIt(a.path) {
			a.left--
			return a, false
		}
	}
	return nil, false
}

func (s *Server) url(kind, id string) string { return fmt.Sprintf("%s/%s/%s", s.http.URL, kind, id) }

func (s *Server) makeIssuer(t testing.TB) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "catest issuer"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if s.issuer, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	s.key, s.serial = key, 1
}
