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
	patience     = 2 * time.Second        // an edge hears of an installation milliseconds after it is committed
	answerWithin = 200 * time.Millisecond // that is left of a caller's time for the verdict
	firstPause   = 20 * time.Millisecond  // between two looks; grows by itself each time
	probesAtOnce = 16
)

// sight is what an edge showed for one name.
type sight struct {
	name   string
	served Served
	err    error
}

// Edges are the addresses of all edges.
func (p *Prober) Edges() []string { return p.Addresses }

// Verify reports whether an edge serves each name with the certificate of this serial: complete chain, covering
// the name, within its dates. Those that are not served so are looked at again for up to two seconds, or until the time of ctx is nearly over. The error is a
// cert.Problem whose Found says what the edge shows, or ctx's: served_certificate_mismatch; https_unreachable, when the edge does not answer; or
// install_failed, when it answers that it cannot tell because its database is away.
func (p *Prober) Verify(ctx context.Context, edge string, names []string, serial string) error {
	open := make([]sight, len(names))
	for i, name := range names {
		open[i].name = name
	}
	end := time.Now().Add(p.patience)
	if limit, ok := ctx.Deadline(); ok && limit.Add(-answerWithin).Before(end) {
		end = limit.Add(-answerWithin)
	}
	for pause := firstPause; ; pause += firstPause {
		if open = p.look(ctx, edge, open, serial); ctx.Err() != nil {
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

// look probes the edge for each name and returns those that are not served as they should be.
func (p *Prober) look(ctx context.Context, edge string, open []sight, serial string) []sight {
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
	case errors.Is(s.err, errCannotTell):
		return "the edge cannot tell (TLS alert internal_error)"
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

// verdict is the problem that people read. A wrong certificate for one name makes it a mismatch, whatever the others show.
func verdict(edge string, wrong []sight, serial string) cert.Problem {
	var found []string
	unreachable, refused := false, false
	for _, s := range wrong {
		unreachable = unreachable || errors.Is(s.err, errUnreachable)
		refused = refused || !errors.Is(s.err, errUnreachable) && !errors.Is(s.err, errCannotTell)
		found = append(found, fmt.Sprintf("%s, %s: %s", edge, s.name, s.fault(serial)))
	}
	p := cert.Problem{WhoActs: cert.PlatformActs, Found: cert.Line(strings.Join(found, "; "), cert.MaxText)}
	switch {
	case refused:
		p.Code = cert.ServedCertificateWrong
		p.Message = fmt.Sprintf("the edge %s does not serve certificate %s as it was installed", edge, serial)
		p.Remediation = "look at the edge's log: it says why a certificate was not loaded, or that the database's news did not arrive"
	case unreachable:
		p.Code = cert.HTTPSUnreachable
		p.Message = fmt.Sprintf("the edge %s could not be reached to see whether certificate %s is served", edge, serial)
		p.Remediation = "check that the edge runs and that EDGE_ADDRESSES names its addresses as they are seen from the worker"
	default:
		p.Code = cert.InstallFailed
		p.Message = fmt.Sprintf("the edge %s cannot load certificate %s now", edge, serial)
		p.Remediation = "look at the edge's log: it does not reach PostgreSQL, or its keyring lacks the key; evercert looks again by itself"
	}
	return p
}
