package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path"
	"sync"
	"time"

	"github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/acme/api"
	"golang.org/x/sync/errgroup"

	"github.com/evercert/evercert/e2e/stack"
)

// poll is how often raw calls ask for an order's state.
const poll = 25 * time.Millisecond

// rawAddress answers the CA's http-01 questions for raw calls, beside the edge on 127.0.0.1.
const rawAddress = "127.0.0.2"

// bestRaw is the highest rate over several concurrencies.
func bestRaw(ctx context.Context, s *stack.Stack, n int) (best float64, err error) {
	r, err := newRaw(s)
	if err != nil {
		return 0, err
	}
	defer r.responder.Close() //nolint:errcheck // nothing is left to answer
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("raw%05d.empty.test", i)
		if err := point(ctx, s.Info().DNSControl, names[i]); err != nil {
			return 0, err
		}
	}
	for _, concurrency := range []int{8, 16, 32, 64, 128} {
		begin := time.Now()
		if err := r.obtain(ctx, names, concurrency); err != nil {
			return 0, err
		}
		rate := float64(n) / time.Since(begin).Seconds()
		fmt.Printf("raw calls, %3d at once: %6.1f certificates/s\n", concurrency, rate)
		best = max(best, rate)
	}
	return best, nil
}

type raw struct {
	core      *api.Core
	tokens    sync.Map // token to key authorization
	responder *http.Server
}

func newRaw(s *stack.Stack) (*raw, error) {
	info := s.Info()
	roots, err := os.ReadFile(info.ACMERootPEM)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(roots)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	httpClient := func() *http.Client {
		return &http.Client{
			Timeout:   time.Minute,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 256},
		}
	}
	registering, err := api.New(httpClient(), "evercert-bench", info.ACMEDirectory, "", key)
	if err != nil {
		return nil, err
	}
	account, err := registering.Accounts.New(acme.Account{TermsOfServiceAgreed: true})
	if err != nil {
		return nil, err
	}
	r := &raw{}
	if r.core, err = api.New(httpClient(), "evercert-bench", info.ACMEDirectory, account.Location, key); err != nil {
		return nil, err
	}
	return r, r.answer(info.EdgeHTTP)
}

// answer serves http-01 at the port that the CA asks at.
func (r *raw) answer(edgeHTTP string) error {
	_, port, err := net.SplitHostPort(edgeHTTP)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(rawAddress, port))
	if err != nil {
		return err
	}
	r.responder = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if authorization, ok := r.tokens.Load(path.Base(q.URL.Path)); ok {
			fmt.Fprint(w, authorization)
			return
		}
		http.NotFound(w, q)
	})}
	go func() {
		if err := r.responder.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, "http-01 responder:", err)
		}
	}()
	return nil
}

// obtain gets a certificate for each name, so many at once.
func (r *raw) obtain(ctx context.Context, names []string, concurrency int) error {
	var group errgroup.Group
	group.SetLimit(concurrency)
	for _, name := range names {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return r.certificate(name)
		})
	}
	return group.Wait()
}

func (r *raw) certificate(name string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	if err != nil {
		return err
	}
	order, err := r.core.Orders.New([]string{name})
	if err != nil {
		return err
	}
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for url, finalized := order.Location, false; ; <-tick.C {
		if order, err = r.core.Orders.Get(url); err != nil {
			return err
		}
		switch order.Status {
		case acme.StatusPending:
			err = r.challenge(order)
		case acme.StatusReady:
			if !finalized {
				finalized = true
				_, err = r.core.Orders.UpdateForCSR(order.Finalize, csr)
			}
		case acme.StatusValid:
			_, _, err = r.core.Certificates.Get(order.Certificate, true)
			return err
		case acme.StatusInvalid:
			return fmt.Errorf("%s: %w", name, order.Err())
		}
		if err != nil {
			return err
		}
	}
}

func (r *raw) challenge(order acme.ExtendedOrder) error {
	for _, url := range order.Authorizations {
		authorization, err := r.core.Authorizations.Get(url)
		if err != nil {
			return err
		}
		for _, c := range authorization.Challenges {
			if c.Type != "http-01" || c.Status != acme.StatusPending || authorization.Status != acme.StatusPending {
				continue
			}
			if _, posted := r.tokens.Load(c.Token); posted {
				continue
			}
			keyAuthorization, err := r.core.GetKeyAuthorization(c.Token)
			if err != nil {
				return err
			}
			r.tokens.Store(c.Token, keyAuthorization)
			if _, err := r.core.Challenges.New(c.URL); err != nil {
				return err
			}
		}
	}
	return nil
}

// point makes names lead the CA to the responder.
func point(ctx context.Context, control, name string) error {
	return request(ctx, "", control+"/records", map[string]string{"name": name, "type": "A", "value": rawAddress}, nil)
}
