package install

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/evercert/evercert/cert"
)

const (
	defaultPatience = 2 * time.Second       // an edge hears of an installation milliseconds after it is committed
	firstPause      = 20 * time.Millisecond // between two looks; grows by itself each time
	probesAtOnce    = 16
)

// sight is what one edge showed for one name.
type sight struct {
	name, address string
	served        Served
	err           error
}

// Verify tells whether every configured edge serves each name with the certificate of this serial: complete chain, covering
// the name, within its dates. Those that don't are looked at again for up to two seconds. The error is a cert.Problem,
// served_certificate_mismatch or https_unreachable, whose Found says what each edge shows; or ctx's.
func (p *Prober) Verify(ctx context.Context, names []string, serial string) error {
	var open []sight
	for _, address := range p.Addresses {
		for _, name := range names {
			open = append(open, sight{name: name, address: address})
		}
	}
	deadline := time.Now().Add(p.patience)
	for pause := firstPause; ; pause += firstPause {
		if open = p.look(ctx, open, serial); ctx.Err() != nil {
			return fmt.Errorf("verify certificate %s: %w", serial, ctx.Err())
		}
		if len(open) == 0 {
			return nil
		}
		if !time.Now().Add(pause).Before(deadline) {
			return verdict(open, serial)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("verify certificate %s: %w", serial, ctx.Err())
		}
	}
}

// look probes each open pair of name and edge and returns those that are not as they should be.
func (p *Prober) look(ctx context.Context, open []sight, serial string) []sight {
	var group errgroup.Group
	group.SetLimit(probesAtOnce)
	for i := range open {
		group.Go(func() error {
			s := &open[i]
			s.served, s.err = p.Probe(ctx, s.name, s.address)
			return nil
		})
	}
	group.Wait() //nolint:errcheck // no probe returns an error; each keeps its own
	var wrong []sight
	for _, s := range open {
		if s.fault(serial) != "" {
			wrong = append(wrong, s)
		}
	}
	return wrong
}

// fault says in words what is wrong with a sight; nothing if it is as it should be.
func (s sight) fault(serial string) string {
	now := time.Now()
	switch {
	case errors.Is(s.err, errUnreachable):
		return "no answer: " + strings.TrimPrefix(s.err.Error(), errUnreachable.Error()+": ")
	case s.err != nil:
		return "no certificate: " + cert.Line(s.err.Error(), cert.MaxDetail)
	case s.served.Serial != serial:
		return fmt.Sprintf("certificate %s of %s for %s", s.served.Serial, s.served.Issuer, strings.Join(s.served.Names, ", "))
	case !s.served.CoversName:
		return "the certificate, which covers only " + strings.Join(s.served.Names, ", ")
	case now.Before(s.served.NotBefore) || now.After(s.served.NotAfter):
		return fmt.Sprintf("the certificate, which is valid from %s to %s only", s.served.NotBefore.Format(time.RFC3339), s.served.NotAfter.Format(time.RFC3339))
	case !s.served.ChainComplete:
		return "the certificate without the chain to its CA"
	}
	return ""
}

// verdict is the problem that people read. One edge that shows a wrong certificate makes it a mismatch, whatever the others do.
func verdict(wrong []sight, serial string) cert.Problem {
	p := cert.Problem{
		Code:        cert.HTTPSUnreachable,
		Message:     fmt.Sprintf("the edge could not be reached to see whether certificate %s is served", serial),
		Remediation: "check that the edge runs and that EDGE_ADDRESSES names its addresses as they are seen from the worker",
		WhoActs:     cert.PlatformActs,
	}
	var found []string
	for _, s := range wrong {
		if !errors.Is(s.err, errUnreachable) {
			p.Code = cert.ServedCertificateWrong
			p.Message = fmt.Sprintf("the edge does not serve certificate %s as it was installed", serial)
			p.Remediation = "look at the edge's log: it says why a certificate was not loaded, or that the database's news did not arrive"
		}
		found = append(found, fmt.Sprintf("%s, %s: %s", s.address, s.name, s.fault(serial)))
	}
	p.Found = cert.Line(strings.Join(found, "; "), cert.MaxText)
	return p
}
