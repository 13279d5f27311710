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
	// shownWithin is the longest time that the zone's servers may take to show a stored value. They read the store at each question, so a
	// server that takes longer has lost its database, or reads another one.
	shownWithin = 10 * time.Second
	// askTime limits one question to one server. When a datagram is lost, the question is repeated.
	askTime = time.Second
	// The pauses between two questions to a server that does not show the value yet. Each is twice the one before.
	firstAskPause, longestAskPause = 50 * time.Millisecond, time.Second
	// shownRetry is the wait before a step is tried again after a server did not show the value: short enough for a server that was just
	// restarted, long enough for one that stays down.
	shownRetry = 2 * time.Minute
)

// SolverConfig lists the validation zone's servers for the process that orders certificates.
type SolverConfig struct {
	// Each of the Instances must show a new value before the CA is asked to validate. One that doesn't delays orders, but costs no failed
	// validation. A host name is asked at each of its addresses. When the list is empty, no server is asked, and the CA may reach one that is
	// down or reads an outdated database.
	Instances []string `env:"DCV_INSTANCES" doc:"the DNS servers of the validation zone as host:port, as workers reach them"`
}

// Validate returns an error that names the wrong variable and the expected value.
func (c SolverConfig) Validate() error {
	var faults []error
	for _, instance := range c.Instances {
		if host, port, err := net.SplitHostPort(instance); err != nil || host == "" || port == "0" || !isListenAddress(instance) {
			faults = append(faults, fmt.Errorf("DCV_INSTANCES has %q; it expects host:port such as edge1.internal:53", instance))
		}
	}
	return errors.Join(faults...)
}

// instances are the DNS servers of the validation zone.
type instances struct {
	addresses []string // host:port
	within    time.Duration
}

// await returns when every server shows the value under the name, normally after one round trip. When a server does not show it in time,
// await returns a Wait that the platform has to fix. The CA has not been asked to validate yet, so no validation fails.
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
		Message: fmt.Sprintf("%d of the platform's %d DNS servers for validation don't show the value that the CA needs, "+
			"so the CA has not been asked to validate yet", len(late), len(i.addresses)),
		Remediation: "the platform checks that each of its DNS servers for validation (DCV_INSTANCES) runs and reads the same database; " +
			"evercert continues with the same order by itself",
	}}
}

// awaitShown asks one server until it shows the value. The error describes its last answer.
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

// shows asks a server at each of its addresses, since one name may stand for several instances. It resolves the name each time: an address
// that was resolved earlier may belong to another process now.
func shows(ctx context.Context, instance, name, value string) error {
	host, port, err := net.SplitHostPort(instance)
	if err != nil {
		return err
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, host) // LookupHost returns an IP address unchanged
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

// showsAt asks as a CA's resolver does: by UDP, and again by TCP when the answer is truncated.
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
