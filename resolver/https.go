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
	"github.com/evercert/evercert/resolver/reach"
)

// Visit is what one address of a name answers to a browser on the machine that looks.
type Visit struct {
	Name     string        `json:"name"`               // in A-labels
	Address  netip.Addr    `json:"address,omitzero"`   // missing where none is known
	OK       bool          `json:"ok"`                 // HTTPS works there, seen from here
	Verdict  cert.Verdict  `json:"verdict"`            // tells "it does not work" from "it could not be told"
	Status   int           `json:"status,omitempty"`   // of the front page; redirects are not followed
	Issuer   string        `json:"issuer,omitempty"`   // of the certificate that is shown
	NotAfter time.Time     `json:"not_after,omitzero"` // its end
	Problem  *cert.Problem `json:"problem,omitempty"`  // when it isn't ok
}

// visitsAtOnce is how many names are visited at once.
const visitsAtOnce = 8

// HTTPS visits the names of the question over HTTPS, at every address that the resolvers show for them: visitors ask those too, not the
// authoritative servers. roots are what a browser trusts, the system's when nil. Wildcards are left out, because nobody can visit them; with
// PROBE_TIMEOUT 0s nobody is visited. The answer keeps the order of the names and holds at least one Visit for each.
//
// An address is given PROBE_TIMEOUT, and must be public or allowed as for every probe. What is the platform's own is known by the question's
// address records.
func (r *Resolver) HTTPS(ctx context.Context, q cert.Question, roots *x509.CertPool) []Visit {
	if r.config.ProbeTimeout <= 0 {
		return nil
	}
	views := r.recursiveViews()
	prober := reach.New(reach.Config{
		HTTPSPort: r.config.ProbeHTTPSPort, Timeout: r.config.ProbeTimeout, Allowed: r.allowedFor(q), Roots: roots,
	}, nil)
	own := sync.OnceValue(func() []netip.Addr { return platforms(ctx, q, views) })
	visits := make([][]Visit, len(q.Names))
	var all errgroup.Group
	all.SetLimit(visitsAtOnce)
	for i, name := range q.Names {
		if strings.HasPrefix(name, "*.") {
			continue
		}
		all.Go(func() error {
			looking, cancel := context.WithTimeout(ctx, r.config.CheckTimeout)
			addresses, err := addressesIn(looking, views, name)
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

// nowhere is the visit to a name that leads to no address, or of which the resolvers did not tell.
func nowhere(name string, err error) Visit {
	f := wrong(nil, noAddress(name))
	if err != nil {
		f = untold(name, err)
	}
	if f.usable == cert.Unknown { // nobody visits again by himself
		f.problem.Remediation = "Look again in a minute, and from another machine: from this one it can't be told."
	}
	f.problem.Severity = cert.Warns
	p := f.problem.Clean()
	return Visit{Name: name, Verdict: f.usable, Problem: &p}
}
