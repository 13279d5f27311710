package resolver

import (
	"context"
	"crypto/x509"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/lookup"
	"github.com/evercert/evercert/resolver/reach"
)

// Visit is what one address of a name answers to a browser on this machine.
type Visit struct {
	Name     string        `json:"name"`               // in A-labels
	Address  netip.Addr    `json:"address,omitzero"`   // missing where none is known
	OK       bool          `json:"ok"`                 // HTTPS works there, seen from here
	Verdict  cert.Verdict  `json:"verdict"`            // wrong: it does not work; unknown: that could not be seen from here
	Status   int           `json:"status,omitempty"`   // of the front page; redirects are not followed
	Issuer   string        `json:"issuer,omitempty"`   // of the certificate that is shown
	NotAfter time.Time     `json:"not_after,omitzero"` // its end
	Problem  *cert.Problem `json:"problem,omitempty"`  // when it isn't ok
}

// visitsAtOnce is how many names are visited at once.
const visitsAtOnce = 8

// visitAll visits the names of the question at every address that the views show for them.
func visitAll(ctx context.Context, config Config, q cert.Question, views []*lookup.View, roots *x509.CertPool) []Visit {
	prober := reach.New(reach.Config{
		HTTPSPort: config.ProbeHTTPSPort, Timeout: config.ProbeTimeout, Allowed: probeNetworks(config, q), Roots: roots,
	}, nil)
	own := sync.OnceValue(func() []netip.Addr { return platformAddresses(ctx, q, views) })
	visits := make([][]Visit, len(q.Names))
	var all errgroup.Group
	all.SetLimit(visitsAtOnce)
	for i, name := range q.Names {
		if strings.HasPrefix(name, "*.") {
			continue
		}
		all.Go(func() error {
			limited, cancel := context.WithTimeout(ctx, config.CheckTimeout)
			addresses, err := addressesIn(limited, views, name)
			cancel()
			if len(addresses) == 0 {
				visits[i] = []Visit{nowhere(name, err)}
				return nil
			}
			for _, result := range prober.HTTPS(ctx, reach.Target{Name: name, Addresses: addresses, Own: own()}) {
				visits[i] = append(visits[i], visitOf(name, result))
			}
			return nil
		})
	}
	_ = all.Wait() // a visit that fails is an answer as well
	return slices.Concat(visits...)
}

func visitOf(name string, result reach.AddressResult) Visit {
	v := Visit{Name: name, Address: result.Address, OK: result.Verdict == cert.OK, Verdict: result.Verdict}
	if result.Problem != nil {
		p := result.Problem.Clean()
		v.Problem = &p
	}
	if result.Response != nil {
		v.Status = result.Response.Status
	}
	if result.TLS != nil && result.TLS.Served != nil {
		v.Issuer, v.NotAfter = cert.Line(result.TLS.Served.Issuer, cert.MaxIssuer), result.TLS.Served.NotAfter
	}
	return v
}

// nowhere is the visit to a name that has no address, or for which no answer came from the resolvers.
func nowhere(name string, err error) Visit {
	f := wrong(nil, noAddress(name))
	if err != nil {
		f = unanswered(name, nil, err)
	}
	if f.usable == cert.Unknown { // there is no next visit by itself
		f.problem.Remediation = "Check again in a minute, and from another machine: from this one the answer can't be seen."
	}
	f.problem.Severity = cert.Warns
	p := f.problem.Clean()
	return Visit{Name: name, Verdict: f.usable, Problem: &p}
}
