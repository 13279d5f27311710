package activities_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"

	"github.com/evercert/evercert/cert"
)

// orderCalls are the calls that OrderCertificate makes in any of its runs. KeepOrder is the commit inside PlaceOrder.
var orderCalls = []string{
	"Issuance", "Identity", "Admit", "Reserve", "MarkOrderTried", "PlaceOrder", "FindOrder", "KnownOrders", "NewOrder", "KeepOrder",
	"Complete", "SaveCertificate", "Certificate", "Settle",
}

// TestE1_AnyTwoFaultsInARowLeadToOneOrderAndOneCertificate fails each call of the first run, before and after its effect, and each call of
// the second run. The third run has no faults.
func TestE1_AnyTwoFaultsInARowLeadToOneOrderAndOneCertificate(t *testing.T) {
	t.Parallel()
	var faults []fault
	for _, call := range orderCalls {
		faults = append(faults, fault{call: call}, fault{call: call, done: true})
	}
	met := map[string]bool{}
	for _, first := range faults {
		for _, second := range faults {
			what := fmt.Sprintf("%s done=%t, then %s done=%t", first.call, first.done, second.call, second.done)
			o := withCSR(t)
			for _, f := range []fault{first, second} {
				o.breaks(f)
				if _, err := o.orderCertificate(); err != nil {
					lost(t, err)
				}
				if len(o.fault) == 0 {
					met[f.call] = true
				}
				o.fault = nil // the run did not make this call
			}
			c, err := o.orderCertificate()
			require.NoError(t, err, what)
			require.Len(t, o.orders, 1, what)
			require.Equal(t, map[string]cert.Certificate{"01": c}, o.certificates, what)
		}
	}
	require.Len(t, met, len(orderCalls), "each call was broken at least once: %v", met)
}

// TestPrivateKeysStayInside searches for the key in everything that Temporal, people and logs can see, for every fault.
func TestPrivateKeysStayInside(t *testing.T) {
	t.Parallel()
	for _, call := range append([]string{"", "Seal", "CreateIssuance"}, orderCalls...) {
		for _, done := range []bool{false, true} {
			o := newOutside()
			if call != "" {
				o.breaks(fault{call: call, done: done})
			}
			var seen bytes.Buffer
			for range 2 { // the second run continues from what the first has stored
				csr, err := o.createCSR()
				show(t, &seen, csr, err)
				c, err := o.orderCertificate()
				show(t, &seen, c, err)
			}
			seen.Write(o.text.Bytes())
			for _, i := range o.issuances {
				show(t, &seen, i, nil)
				seen.Write(i.CSR)
			}
			for _, sealed := range o.sealed {
				seen.Write(sealed)
			}
			require.NotEmpty(t, o.keys)
			for _, der := range o.keys {
				requireAbsent(t, seen.Bytes(), der)
				key, err := x509.ParsePKCS8PrivateKey(der)
				require.NoError(t, err)
				scalar, err := key.(*ecdsa.PrivateKey).Bytes()
				require.NoError(t, err)
				requireAbsent(t, seen.Bytes(), scalar)
			}
		}
	}
}

// show adds what a caller gets, in the form in which it is stored in a Temporal history.
func show(t *testing.T, seen *bytes.Buffer, result any, err error) {
	t.Helper()
	text, marshalErr := json.Marshal(result)
	require.NoError(t, marshalErr)
	seen.Write(text)
	if err == nil {
		return
	}
	fmt.Fprintln(seen, err)
	failure, marshalErr := proto.Marshal(temporal.GetDefaultFailureConverter().ErrorToFailure(err))
	require.NoError(t, marshalErr)
	seen.Write(failure)
}

func requireAbsent(t *testing.T, seen, key []byte) {
	t.Helper()
	for form, text := range map[string]string{
		"as it is": string(key), "hexadecimal": hex.EncodeToString(key), "base64": base64.RawStdEncoding.EncodeToString(key),
		"base64url":       base64.RawURLEncoding.EncodeToString(key),
		"as Go prints it": fmt.Sprintf("%d", key),
	} {
		require.False(t, bytes.Contains(seen, []byte(text)), "a private key got out, %s", form)
	}
}
