package ca

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evercert/evercert/cert"
)

// neverDone is a CA whose orders stay in processing for ever, with a Retry-After of a day.
func neverDone(r *http.Request) (*http.Response, error) {
	body := ""
	switch r.URL.Path {
	case "/directory":
		body = `{"newNonce":"https://ca.test/nonce","newAccount":"https://ca.test/account","newOrder":"https://ca.test/order"}`
	case "/order/1":
		body = `{"status":"processing","identifiers":[{"type":"dns","value":"a.test"}]}`
	}
	header := http.Header{"Replay-Nonce": {"nonce"}, "Retry-After": {"86400"}}
	return &http.Response{
		StatusCode: http.StatusOK,
		Header:     header,
		Body:       io.NopCloser(strings.NewReader(body)),
		Request:    r,
	}, r.Context().
		Err()
}

// noBlock stores no account, and has no block.
type noBlock struct{ Accounts }

func (noBlock) AccountBlock(context.Context, string) (cert.AccountBlock, bool, error) {
	return cert.AccountBlock{}, false, nil
}

func TestSlowCAIsAWaitNotAFailure(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"a.test"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := &session{
			name:         "Slow CA",
			directoryURL: "https://ca.test/directory",
			key:          newKey(t),
			timeout:      time.Minute,
			transport:    transportFunc(neverDone),
		}
		a := &Authority{current: s, accounts: noBlock{}}
		start := time.Now()
		_, err := a.Complete(t.Context(), "https://ca.test/order/1", csr, nil, nil)
		var f *cert.Failure
		if !errors.As(err, &f) || f.Outcome != cert.Wait || f.Problem.Code != cert.CAUnavailable || time.Since(start) != completeWithin {
			t.Errorf("after %s: %v; want a wait after %s", time.Since(start), err, completeWithin)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Complete(ctx, "https://ca.test/order/1", csr, nil, nil); err == nil || errors.As(err, &f) {
			t.Errorf("got %v; want the caller's deadline, which is not a verdict of the CA", err)
		}
	})
}
