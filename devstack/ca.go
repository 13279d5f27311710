package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// caProfiles are what an order may ask for, by validity in seconds: 90, 45 and
// 6 days as Let's Encrypt has them. The profile "minutes" is added by --minutes.
var caProfiles = map[string]ca.Profile{
	"default":    {Description: "90 days", ValidityPeriod: 7776000},
	"tlsserver":  {Description: "45 days", ValidityPeriod: 3888000},
	"shortlived": {Description: "6 days", ValidityPeriod: 518400},
}

type caOptions struct {
	listen, control, dir, dns string
	httpPort, tlsPort         int
	ordersPerPage, retryAfter int
	minutes                   time.Duration
	caaIdentity               string
	eabKeyID, eabKey          string
}

// testCA is Pebble behind a gate that keeps it from locking up, behind faults
// and counts.
type testCA struct {
	front      *caFront
	management http.Handler
	rootPEM    []byte // of the certificates it issues
}

// runCA is the part ca. Pebble keeps nothing over a restart: accounts, orders
// and its root are new each time, as when a real CA's test environment is reset.
func runCA(ctx context.Context, args []string) error {
	var o caOptions
	flags := flag.NewFlagSet("ca", flag.ContinueOnError)
	flags.StringVar(&o.listen, "listen", "127.0.0.1:14000", "`address` of the ACME directory")
	flags.StringVar(&o.control, "control", "127.0.0.1:0", "`address` of the control endpoint")
	flags.StringVar(&o.dir, "dir", "ca", "`folder` for the HTTPS authority and the roots")
	flags.StringVar(&o.dns, "dns", "", "`address` of the resolver used for validation")
	flags.IntVar(&o.httpPort, "http-port", 80, "`port` for http-01")
	flags.IntVar(&o.tlsPort, "tls-port", 443, "`port` for tls-alpn-01")
	flags.IntVar(&o.ordersPerPage, "orders-per-page", 3, "length of a page of an account's orders")
	flags.IntVar(&o.retryAfter, "retry-after", 1, "Retry-After in `seconds` on pending objects; 0: none")
	flags.DurationVar(&o.minutes, "minutes", 4*time.Minute, "lifetime of certificates of the profile minutes, to watch renewals")
	flags.StringVar(&o.caaIdentity, "caa-identity", "pebble.test", "issuer domain `name` that CAA records may name")
	flags.StringVar(&o.eabKeyID, "eab-kid", "", "`identifier` of the key without which no account is registered; empty: anybody may register")
	flags.StringVar(&o.eabKey, "eab-hmac", "", "that `key`, base64url")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return fmt.Errorf("make the CA's folder: %w", err)
	}
	authority, err := openHTTPSAuthority(o.dir)
	if err != nil {
		return err
	}
	certificate, err := authority.issueLoopback()
	if err != nil {
		return err
	}
	pebble, err := newTestCA(o)
	if err != nil {
		return err
	}
	if err := appendRoot(o.dir, authority.certPEM, pebble.rootPEM); err != nil {
		return err
	}
	srv := &http.Server{
		Addr: o.listen, Handler: pebble.front, ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		ErrorLog:  log.New(os.Stderr, "", log.LstdFlags),
	}
	failed := make(chan error, 2)
	go func() { failed <- fmt.Errorf("serve ACME on %s: %w", o.listen, srv.ListenAndServeTLS("", "")) }()
	go func() { failed <- serveControl(ctx, o.control, caControl(pebble)) }()
	fmt.Printf("ACME directory https://%s%s\n", o.listen, wfe.DirectoryPath)
	select {
	case <-ctx.Done():
		return srv.Close()
	case err := <-failed:
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	}
}

// newTestCA builds Pebble. Parts of it are configured only by environment
// variables, which it reads while it is built.
func newTestCA(o caOptions) (*testCA, error) {
	for name, value := range map[string]string{
		"PEBBLE_VA_NOSLEEP":          "1", // validate at once, not after 0 to 5 s
		"PEBBLE_WFE_NONCEREJECT":     "0",
		"PEBBLE_AUTHZREUSE":          "0",
		"PEBBLE_WFE_ORDERS_PER_PAGE": strconv.Itoa(o.ordersPerPage),
	} {
		if err := os.Setenv(name, value); err != nil {
			return nil, fmt.Errorf("configure Pebble: %w", err)
		}
	}
	quiet := log.New(io.Discard, "", 0) // several lines for each request: more work than the request
	store := db.NewMemoryStore()
	if o.eabKeyID != "" {
		if err := store.AddExternalAccountKeyByID(o.eabKeyID, o.eabKey); err != nil {
			return nil, fmt.Errorf("read --eab-hmac: %w", err)
		}
	}
	profiles := maps.Clone(caProfiles)
	profiles["minutes"] = ca.Profile{Description: "to watch renewals", ValidityPeriod: uint64(o.minutes / time.Second)}
	authority := ca.New(quiet, store, "", "ecdsa", 0, 1, profiles)
	validation := va.New(quiet, o.httpPort, o.tlsPort, false, o.dns, store)
	frontEnd := wfe.New(quiet, store, validation, authority, []string{o.caaIdentity}, false, o.eabKeyID != "", o.retryAfter, o.retryAfter)
	g := &gate{pebble: frontEnd.Handler(), store: store}
	return &testCA{
		front:      newCAFront(g),
		management: g.guard(frontEnd.ManagementHandler()),
		rootPEM:    authority.GetRootCert(0).PEM(),
	}, nil
}

// caControl is what `devstack ca …` talks to, and those of Pebble's own
// management paths that hand out no private keys.
func caControl(c *testCA) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		writeAnswer(w, c.front.stats(), nil)
	})
	mux.HandleFunc("POST /faults", func(w http.ResponseWriter, r *http.Request) {
		order, err := readBody[faultOrder](r)
		if err == nil {
			err = c.front.addFault(order)
		}
		writeAnswer(w, nil, err)
	})
	mux.HandleFunc("GET /orders", func(w http.ResponseWriter, _ *http.Request) {
		writeAnswer(w, c.front.ordersByName(), nil)
	})
	mux.HandleFunc("GET /faults", func(w http.ResponseWriter, _ *http.Request) {
		writeAnswer(w, c.front.ordered(), nil)
	})
	mux.HandleFunc("POST /reset", func(w http.ResponseWriter, _ *http.Request) {
		c.front.reset()
		writeAnswer(w, nil, nil)
	})
	for _, path := range []string{"/roots/", "/intermediates/", "/cert-status-by-serial/", "/set-renewal-info/"} {
		mux.Handle(path, c.management)
	}
	return mux
}
