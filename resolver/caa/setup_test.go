package caa

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

// identity is a CA by the issuer domain names that its directory has, with the account that orders.
func identity(domains ...string) cert.CAIdentity {
	return cert.CAIdentity{Name: "the CA", Domains: domains, AccountURI: "https://" + domains[0] + "/acct/1"}
}

var (
	letsEncrypt = identity("letsencrypt.org")
	google      = identity("pki.goog")
)

// zone is what DNS answers by name: records such as `0 issue "ca.example"`.
type zone map[string]Answer

// add puts records at a name.
func (z zone) add(t testing.TB, name string, records ...string) zone {
	t.Helper()
	z[name] = Answer{Records: parseRecords(t, records...)}
	return z
}

func parseRecords(t testing.TB, records ...string) []*dns.CAA {
	t.Helper()
	var parsed []*dns.CAA
	for _, record := range records {
		rr, err := dns.NewRR("example.com. 60 IN CAA " + record)
		require.NoError(t, err, record)
		parsed = append(parsed, rr.(*dns.CAA))
	}
	return parsed
}

// setAt are records as a look-up finds them at a name.
func setAt(t testing.TB, owner string, records ...string) Set {
	t.Helper()
	return Set{Owner: owner, Answer: Answer{Records: parseRecords(t, records...)}}
}

// forCA puts a CA's own name into a text about ca.example.
func forCA(ca cert.CAIdentity, text string) string {
	return strings.NewReplacer("ca.example", ca.Domains[0], "CA.EXAMPLE", strings.ToUpper(ca.Domains[0])).Replace(text)
}
