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
	patience     = 2 * time.Second        // an edge hears of an installation some milliseconds after the commit
	answerWithin = 200 * time.Millisecond // kept of the caller's time to report the result
	firstPause   = 20 * time.Millisecond  // between two probes; each pause is longer than the one before
	probesAtOnce = 16
)

// probed is what an edge presented for one name.
type probed struct {
	name   string
	served Served
	err    error
}

// Edges returns the addresses of all edges.
func (p *Prober) Edges() []string { return p.Addresses }

// Verify returns nil when the edge serves every name with the certificate of this serial: with a complete chain, covering the name, within
// its dates. It repeats the probes of other names for up to two seconds, or until the deadline of ctx is near. Otherwise the error is
// ctx's, or a cert.Problem whose Found describes what the edge presents:
//   - served_certificate_mismatch: another or a broken certificate;
//   - https_unreachable: the edge does not answer;
//   - install_failed: the edge answers that it can't read its database.
func (p *Prober) Verify(ctx context.Context, edge string, names []string, serial string) error {
	open := make([]probed, len(names))
	for i, name := range names {
		open[i].name = name
	}
	end := time.Now().Add(p.patience)
	if limit, ok := ctx.Deadline(); ok && limit.Add(-answerWithin).Before(end) {
		end = limit.Add(-answerWithin)
	}
	for pause := firstPause; ; pause += firstPause {
		if open = p.probe(ctx, edge, open, serial); ctx.Err() != nil {
			return fmt.Errorf("verify certificate %s: %w", serial, ctx.Err())
		}
		if len(open) == 0 {
			return nil
		}
		if !time.Now().Add(pause).Before(end) {
			return verdict(edge, open, serial)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("verify certificate %s: %w", serial, ctx.Err())
		}
	}
}

// probe probes the edge for each name and returns the names that are not served correctly.
func (p *Prober) probe(ctx context.Context, edge string, open []probed, serial string) []probed {
	var group errgroup.Group
	group.SetLimit(probesAtOnce)
	for i := range open {
		group.Go(func() error {
			s := &open[i]
			s.served, s.err = p.Probe(ctx, s.name, edge)
			return nil
		})
	}
	group.Wait() //nolint:errcheck // no probe returns an error; each keeps its own
	var wrong []probed
	for _, s := range open {
		if s.fault(serial) != "" {
			wrong = append(wrong, s)
		}
	}
	return wrong
}

// fault describes what is wrong with a probed name; empty when it is served correctly.
func (s probed) fault(serial string) string {
	now := time.Now()
	switch {
	case errors.Is(s.err, errUnreachable):
		return "no answer: " + strings.TrimPrefix(s.err.Error(), errUnreachable.Error()+": ")
	case errors.Is(s.err, errNoAnswer):
		return "the edge could not read its database (TLS alert internal_error)"
	case s.err != nil:
		return "no certificate: " + cert.Line(s.err.Error(), cert.MaxDetail)
	case s.served.Serial != serial:
		return fmt.Sprintf("certificate %s of %s for %s", s.served.Serial, s.served.Issuer, strings.Join(s.served.Names, ", "))
	case !s.served.CoversName:
		return "the certificate, which covers only " + strings.Join(s.served.Names, ", ")
	case now.Before(s.served.NotBefore) || now.After(s.served.NotAfter):
		return fmt.Sprintf(
			"the certificate, which is valid from %s to %s only",
			s.served.NotBefore.Format(time.RFC3339),
			s.served.NotAfter.Format(time.RFC3339),
		)
	case !s.served.ChainComplete:
		return "the certificate without the chain to its CA"
	}
	return ""
}

// verdict returns the problem that people read. One name with a wrong certificate makes it a mismatch, whatever the other names show.
func verdict(edge string, wrong []probed, serial string) cert.Problem {
	var found []string
	unreachable, refused := false, false
	for _, s := range wrong {
		unreachable = unreachable || errors.Is(s.err, errUnreachable)
		refused = refused || !errors.Is(s.err, errUnreachable) && !errors.Is(s.err, errNoAnswer)
		found = append(found, fmt.Sprintf("%s, %s: %s", edge, s.name, s.fault(serial)))
	}
	p := cert.Problem{WhoActs: cert.PlatformActs, Found: cert.Line(strings.Join(found, "; "), cert.MaxText)}
	switch {
	case refused:
		p.Code = cert.ServedCertificateWrong
		p.Message = fmt.Sprintf("the edge %s does not serve certificate %s as it was installed", edge, serial)
		p.Remediation = "read the edge's log: it says why a certificate was not loaded, or that notifications of the database did not arrive"
	case unreachable:
		p.Code = cert.HTTPSUnreachable
		p.Message = fmt.Sprintf("the edge %s could not be reached to check that certificate %s is served", edge, serial)
		p.Remediation = "check that the edge runs and that EDGE_ADDRESSES names its addresses as they are seen from the worker"
	default:
		p.Code = cert.InstallFailed
		p.Message = fmt.Sprintf("the edge %s cannot load certificate %s now", edge, serial)
		p.Remediation = "read the edge's log: it does not reach PostgreSQL, or its keyring lacks the key; evercert checks again by itself"
	}
	return p
}
