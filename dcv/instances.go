package dcv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
)

const (
	// shownWithin is how long the zone's servers may take to show a value that is stored. They read it at each question, so
	// one that needs more has lost its database, or reads another.
	shownWithin = 10 * time.Second
	// askTime is for one question to one server. A datagram may get lost, and then the next one counts.
	askTime = time.Second
	// The pauses between two questions to a server that doesn't show the value yet, doubling.
	firstAskPause, longestAskPause = 50 * time.Millisecond, time.Second
	// shownRetry is when a step is tried again that a server has held up: soon enough for one that was just restarted, seldom
	// enough for one that stays down.
	shownRetry = 2 * time.Minute
)

// SolverConfig is what the process that orders certificates knows of the validation zone's servers.
type SolverConfig struct {
	Instances []string `env:"DCV_INSTANCES" doc:"the DNS servers of the validation zone as host:port, as workers reach them: each must show a new value before the CA is told to look, and one that doesn't holds up orders instead of costing a failed validation; a name is asked at each of its addresses; empty: none is asked, and the CA may meet a server that is down or reads an outdated database"`
}

// Validate names the variable that is wrong and what it expects.
func (c SolverConfig) Validate() error {
	var faults []error
	for _, instance := range c.Instances {
		if host, port, err := net.SplitHostPort(instance); err != nil || host == "" || port == "0" || !isListenAddress(instance) {
			faults = append(faults, fmt.Errorf("DCV_INSTANCES has %q; it expects host:port such as edge1.internal:53", instance))
		}
	}
	return errors.Join(faults...)
}

// instances are the zone's own servers.
type instances struct {
	addresses []string // host:port
	within    time.Duration
}

// await returns when every server shows the value under the name: after one round trip, as a rule. A server that does not, in
// time, is a wait for the order and the platform's to mend: the CA has not been told yet, so nothing is lost.
func (i instances) await(ctx context.Context, name, value string) error {
	limited, cancel := context.WithTimeout(ctx, i.within)
	defer cancel()
	late := make([]error, len(i.addresses))
	var wg sync.WaitGroup
	for n, instance := range i.addresses {
		wg.Go(func() { late[n] = awaitShown(limited, instance, name, value) })
	}
	wg.Wait()
	late = slices.DeleteFunc(late, func(err error) bool { return err == nil })
	switch {
	case len(late) == 0:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("wait for the validation zone's servers: %w", ctx.Err())
	}
	return &cert.Failure{Outcome: cert.Wait, RetryAfter: shownRetry, Err: errors.Join(late...), Problem: cert.Problem{
		Code: cert.InternalError, WhoActs: cert.PlatformActs, Severity: cert.Blocks,
		Message: fmt.Sprintf("%d of the platform's %d DNS servers for validation don't show the value that the CA will look for, so the CA has not been asked to look yet",
			len(late), len(i.addresses)),
		Remediation: "the platform checks that each of its DNS servers for validation (DCV_INSTANCES) runs and reads the same database; evercert goes on with the same order by itself",
	}}
}

// awaitShown asks one server until it shows the value. The error says what it showed last.
func awaitShown(ctx context.Context, instance, name, value string) error {
	for pause := firstAskPause; ; pause = min(2*pause, longestAskPause) {
		err := shows(ctx, instance, name, value)
		if err == nil {
			return nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%s: %w", instance, err)
		}
	}
}

// shows asks a server at each of its addresses: one name may stand for several instances. An address that was resolved
// long ago may be another process's, so names are resolved each time.
func shows(ctx context.Context, instance, name, value string) error {
	host, port, err := net.SplitHostPort(instance)
	if err != nil {
		return err
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, host) // an address is its own answer
	if err != nil {
		return err
	}
	answers := make([]error, len(addresses))
	var wg sync.WaitGroup
	for n, address := range addresses {
		wg.Go(func() { answers[n] = showsAt(ctx, net.JoinHostPort(address, port), name, value) })
	}
	wg.Wait()
	return errors.Join(answers...)
}

// showsAt asks as a CA's resolver does: by UDP, and by TCP for what doesn't fit.
func showsAt(ctx context.Context, address, name, value string) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	question := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeTXT).SetEdns0(ednsSize, false)
	question.RecursionDesired = false
	reply, _, err := (&dns.Client{Timeout: askTime}).ExchangeContext(ctx, question, address)
	if err == nil && reply.Truncated {
		reply, _, err = (&dns.Client{Net: "tcp", Timeout: askTime}).ExchangeContext(ctx, question, address)
	}
	switch {
	case err != nil:
		return err
	case reply.Rcode != dns.RcodeSuccess:
		return fmt.Errorf("%s answers %s", address, dns.RcodeToString[reply.Rcode])
	}
	shown := func(rr dns.RR) bool {
		txt, ok := rr.(*dns.TXT)
		return ok && strings.Join(txt.Txt, "") == value
	}
	if !slices.ContainsFunc(reply.Answer, shown) {
		return fmt.Errorf("%s shows %d other values", address, len(reply.Answer))
	}
	return nil
}
