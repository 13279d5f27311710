package dcv

import (
	"context"
	"errors"
	"time"

	"github.com/miekg/dns"
)

const (
	// ednsSize is what we send by UDP at most, and tell others to (DNS flag day 2020): no fragments.
	ednsSize = 1232
	// lookupTime is what a question may wait for the store. Resolvers ask again after about as long.
	lookupTime = 2 * time.Second
	// maxLookups is how many questions may wait at once, by UDP and again by TCP. By UDP anybody may ask in the name of all networks
	// together; what comes on top is sent to TCP, where those that mean it find places of their own.
	maxLookups = 256
)

// accept decides on a message's header, before the rest is parsed: one question, and nothing but a question.
func accept(h dns.Header) dns.MsgAcceptAction {
	const isResponse, opcodeShift, opcodeMask = 1 << 15, 11, 0xF
	switch {
	case h.Bits&isResponse != 0:
		return dns.MsgIgnore // to answer answers is to let two servers talk for ever
	case h.Bits>>opcodeShift&opcodeMask != dns.OpcodeQuery:
		return dns.MsgRejectNotImplemented
	case h.Qdcount != 1 || h.Ancount != 0 || h.Nscount > 1 || h.Arcount > 2: // IXFR brings a SOA, EDNS and TSIG one record each
		return dns.MsgReject
	}
	return dns.MsgAccept
}

// reply answers a message that was accepted. nil: too many questions wait already.
func (s *Server) reply(ctx context.Context, req *dns.Msg, network string) *dns.Msg {
	m := new(dns.Msg).SetReply(req)
	if len(req.Question) != 1 { // a message that ends after a header which promised a question passes for whole in package dns
		m.Rcode = dns.RcodeFormatError
		return m
	}
	options := 0
	for _, rr := range req.Extra {
		if opt, ok := rr.(*dns.OPT); ok {
			if options++; options == 1 {
				m.SetEdns0(ednsSize, opt.Do())
			}
			if opt.Version() != 0 {
				m.Rcode = dns.RcodeBadVers // RFC 6891 §6.1.3
			}
		}
	}
	switch q := req.Question[0]; {
	case options > 1:
		m.Rcode = dns.RcodeFormatError // RFC 6891 §6.1.1
	case m.Rcode != dns.RcodeSuccess:
	case q.Qclass != dns.ClassINET, q.Qtype == dns.TypeAXFR, q.Qtype == dns.TypeIXFR, !dns.IsSubDomain(s.zone.apex, dns.CanonicalName(q.Name)):
		m.Rcode = dns.RcodeRefused
	default:
		return s.answer(ctx, m, q, network)
	}
	return m
}

// answer fills in what the zone holds. Names are compared without regard to case and go back spelled as they were asked,
// which resolvers use against forged answers (draft-vixie-dnsext-dns0x20).
func (s *Server) answer(ctx context.Context, m *dns.Msg, q dns.Question, network string) *dns.Msg {
	m.Authoritative = true
	name := dns.CanonicalName(q.Name)
	answer, extra := s.zone.records(name, q.Name, q.Qtype)
	m.Answer, m.Extra = answer, append(extra, m.Extra...)
	if q.Qtype == dns.TypeTXT && s.zone.holdsValues(name) {
		values, err := s.lookup(ctx, bare(name), s.lookups[network])
		switch {
		case errors.Is(err, errBusy):
			return nil
		case err != nil:
			s.log.WarnContext(ctx, "the values of a name can't be read", "name", bare(name), "error", err)
			m.Rcode, m.Authoritative = dns.RcodeServerFailure, false
			return m
		}
		m.Answer = s.zone.values(q.Name, values)
	}
	if len(m.Answer) == 0 {
		m.Ns = []dns.RR{s.zone.soa(s.zone.apex, negativeTTL)}
		if !s.zone.exists(name) {
			m.Rcode = dns.RcodeNameError
		}
	}
	return m
}

var errBusy = errors.New("too many questions wait for the store")

// lookup reads the values of a name, no longer than a question waits, no more at once than the store should bear.
func (s *Server) lookup(ctx context.Context, name string, places chan struct{}) ([]string, error) {
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	default:
		return nil, errBusy
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	return s.stored.TXT(ctx, name)
}

// comeByTCP is the answer to one of the limited questions: no longer than the question, whatever was asked.
func comeByTCP(req *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(req)
	m.Truncated = true
	if opt := req.IsEdns0(); opt != nil {
		m.SetEdns0(ednsSize, opt.Do())
	}
	return m
}

// fit makes a reply no longer than its way can carry. Part of the values would be of no use to anybody who validates, and would
// make the answer to a forged question longer: a truncated one has none, and the asker comes by TCP (RFC 2181 §9).
func fit(m, req *dns.Msg, network string) {
	if network == "tcp" {
		m.Truncate(dns.MaxMsgSize)
		return
	}
	size := dns.MinMsgSize // RFC 1035 §4.2.1, for those that don't speak EDNS
	if opt := req.IsEdns0(); opt != nil {
		size = min(max(size, int(opt.UDPSize())), ednsSize)
	}
	if m.Truncate(size); m.Truncated {
		m.Answer = nil
	}
}
