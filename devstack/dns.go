package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	maxCNAMEs   = 16
	forwardWait = 2 * time.Second
	ednsSize    = 1232 // what passes without fragments, DNS flag day 2020
)

// dnsServer answers for test. with authority. A question with "recursion
// desired" is answered as a recursive resolver does: it follows CNAMEs, also
// into the validation zone, for which it asks evercert's own server.
type dnsServer struct {
	zones          *zoneData
	validationZone string // canonical; questions in it are forwarded
	dcv            string // address of the server of that zone
}

type dnsOptions struct {
	listen, control, store, validationZone, dcv, api, tokenFile string
	slowAfter                                                   time.Duration
}

// runDNS is the part dns: the server on UDP and TCP, and its control endpoint.
func runDNS(ctx context.Context, args []string) error {
	var o dnsOptions
	flags := flag.NewFlagSet("dns", flag.ContinueOnError)
	flags.StringVar(&o.listen, "listen", "127.0.0.1:5353", "`address` for UDP and TCP")
	flags.StringVar(&o.control, "control", "127.0.0.1:0", "`address` of the control endpoint")
	flags.StringVar(&o.store, "store", "dns.json", "`file` that keeps the records")
	flags.StringVar(&o.validationZone, "validation-zone", "dcv.evercert.test", "`zone` whose questions are forwarded")
	flags.StringVar(&o.dcv, "dcv", "", "`address` to forward them to")
	flags.StringVar(&o.api, "api", "", "`URL` of the product's API; empty: no domain is known")
	flags.StringVar(&o.tokenFile, "token-file", "", "`file` with the API token")
	flags.DurationVar(&o.slowAfter, "slow-after", 5*time.Minute, "when slow.test gets its records")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s, err := newDNSServer(o)
	if err != nil {
		return err
	}
	failed := make(chan error, 3)
	for _, network := range []string{"udp", "tcp"} {
		srv := &dns.Server{Addr: o.listen, Net: network, Handler: s, UDPSize: dns.MaxMsgSize}
		go func() { failed <- fmt.Errorf("serve DNS on %s %s: %w", network, o.listen, srv.ListenAndServe()) }()
	}
	go func() { failed <- serveControl(ctx, o.control, dnsControl(s.zones.store)) }()
	fmt.Printf("DNS for test. on %s\n", o.listen)
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

func newDNSServer(o dnsOptions) (*dnsServer, error) {
	store, err := openRecordStore(o.store)
	if err != nil {
		return nil, err
	}
	tenant := &obedientTenant{
		api: o.api, client: &http.Client{Timeout: 2 * time.Second}, now: time.Now, hosts: map[string]*tenantHost{},
	}
	if o.tokenFile != "" {
		token, err := os.ReadFile(o.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("read the API token: %w", err)
		}
		tenant.token = strings.TrimSpace(string(token))
	}
	return &dnsServer{
		zones:          &zoneData{store: store, tenant: tenant, slowAfter: o.slowAfter, now: time.Now},
		validationZone: canonicalName(o.validationZone),
		dcv:            o.dcv,
	}, nil
}

// ServeDNS checks the form of a question and writes the answer. The question
// section goes back exactly as it came: its letter case is a resolver's
// protection against forged answers.
func (s *dnsServer) ServeDNS(w dns.ResponseWriter, req *dns.Msg) {
	m := new(dns.Msg).SetReply(req)
	m.RecursionAvailable = true
	opt := req.IsEdns0()
	size := dns.MinMsgSize
	if opt != nil {
		m.SetEdns0(ednsSize, false)
		size = max(size, int(opt.UDPSize()))
	}
	switch {
	case req.Opcode != dns.OpcodeQuery:
		m.Rcode = dns.RcodeNotImplemented
	case len(req.Question) != 1:
		m.Rcode = dns.RcodeFormatError
	case opt != nil && opt.Version() != 0:
		m.Rcode = dns.RcodeBadVers
	case req.Question[0].Qclass != dns.ClassINET || !dns.IsSubDomain(rootZone, canonicalName(req.Question[0].Name)):
		m.Rcode = dns.RcodeRefused
	default:
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if !s.resolve(ctx, m, req.Question[0], req.RecursionDesired) {
			return // the fault "timeout": no answer at all
		}
	}
	if w.LocalAddr().Network() == "udp" {
		m.Truncate(min(size, ednsSize))
	}
	if err := w.WriteMsg(m); err != nil {
		slog.Warn("write a DNS answer", "err", err)
	}
}

// resolve fills m and reports whether to answer.
func (s *dnsServer) resolve(ctx context.Context, m *dns.Msg, q dns.Question, chase bool) bool {
	m.Authoritative = true
	name := canonicalName(q.Name)
	for hop := range maxCNAMEs {
		if fault := s.zones.store.fault(name); fault != "" {
			return applyFault(m, fault, hop)
		}
		if dns.IsSubDomain(s.validationZone, name) {
			s.forward(ctx, m, name, q)
			return true
		}
		if !dns.IsSubDomain(rootZone, name) {
			m.Rcode = dns.RcodeNameError // the world of this server ends at test.
			return true
		}
		records, exists, err := s.zones.at(ctx, name)
		if err != nil {
			slog.Error("look up", "name", name, "err", err)
			m.Rcode, m.Answer = dns.RcodeServerFailure, nil
			return true
		}
		owner := name
		if hop == 0 {
			owner = q.Name
		}
		target := appendAnswers(m, records, owner, q.Qtype)
		switch {
		case target == "" && exists:
			negative(m, records, name, q.Qtype)
			return true
		case target == "":
			m.Rcode, m.Ns = dns.RcodeNameError, []dns.RR{soaOf(zoneOf(name))}
			return true
		case !chase:
			return true
		}
		name = canonicalName(target)
	}
	m.Rcode, m.Answer = dns.RcodeServerFailure, nil // a loop of CNAMEs
	return true
}

// appendAnswers adds the records of the type asked for, or else the CNAME,
// whose target it returns.
func appendAnswers(m *dns.Msg, records []dns.RR, owner string, qtype uint16) (target string) {
	var cname *dns.CNAME
	found := false
	for _, rr := range records {
		if c, ok := rr.(*dns.CNAME); ok {
			cname = c
		}
		if rr.Header().Rrtype == qtype {
			m.Answer = append(m.Answer, withOwner(rr, owner))
			found = true
		}
	}
	if found || cname == nil {
		return ""
	}
	m.Answer = append(m.Answer, withOwner(cname, owner))
	return cname.Target
}

func withOwner(rr dns.RR, owner string) dns.RR {
	rr = dns.Copy(rr)
	rr.Header().Name = owner
	return rr
}

// negative adds the SOA when a name exists without the type (RFC 2308).
func negative(m *dns.Msg, records []dns.RR, name string, qtype uint16) {
	for _, rr := range records {
		if rr.Header().Rrtype == qtype {
			return
		}
	}
	m.Ns = []dns.RR{soaOf(zoneOf(name))}
}

// applyFault answers as ordered. Behind a CNAME the faulty server isn't the
// one that the client asked: a resolver says SERVFAIL for whatever it met.
func applyFault(m *dns.Msg, fault string, hop int) (answer bool) {
	m.Answer, m.Authoritative = nil, false
	switch {
	case fault == "timeout":
		return false
	case fault == "refused" && hop == 0:
		m.Rcode = dns.RcodeRefused
	default:
		m.Rcode = dns.RcodeServerFailure
	}
	return true
}

// forward asks the server of the validation zone and takes over its answer.
func (s *dnsServer) forward(ctx context.Context, m *dns.Msg, name string, q dns.Question) {
	m.Authoritative = false
	question := new(dns.Msg).SetQuestion(name, q.Qtype)
	question.RecursionDesired = false
	question.SetEdns0(ednsSize, false)
	answer, err := s.askValidationServer(ctx, question)
	if err != nil {
		slog.Warn("the server of the validation zone didn't answer", "name", name, "err", err)
		m.Rcode, m.Answer = dns.RcodeServerFailure, nil
		return
	}
	m.Rcode, m.Ns = answer.Rcode, answer.Ns
	asked := canonicalName(q.Name)
	for _, rr := range answer.Answer {
		if canonicalName(rr.Header().Name) == asked {
			rr = withOwner(rr, q.Name)
		}
		m.Answer = append(m.Answer, rr)
	}
}

func (s *dnsServer) askValidationServer(ctx context.Context, question *dns.Msg) (*dns.Msg, error) {
	if s.dcv == "" {
		return nil, errors.New("no address was given for it")
	}
	for _, network := range []string{"udp", "tcp"} {
		client := &dns.Client{Net: network, Timeout: forwardWait}
		answer, _, err := client.ExchangeContext(ctx, question, s.dcv)
		if err != nil || !answer.Truncated {
			return answer, err
		}
	}
	return nil, errors.New("its answer is truncated over TCP as well")
}
