package dcv

import (
	"context"
	"errors"
	"time"

	"github.com/miekg/dns"
)

const (
	// ednsSize is the largest UDP message that the server sends, and that it announces to others: it avoids fragments (DNS flag day 2020).
	ednsSize = 1232
	// lookupTime limits how long a question waits for the store. Resolvers repeat a question after about as long.
	lookupTime = 2 * time.Second
	// maxLookups limits how many questions wait for the store at once: as many by UDP, and as many again by TCP. Senders of UDP can forge
	// their address, so one attacker can use up all places for UDP. Questions above the limit get a truncated answer: real resolvers then use
	// TCP, which has its own places.
	maxLookups = 256
)

// accept decides by the header, before the rest of the message is parsed. It accepts messages that hold one question and no answers.
func accept(h dns.Header) dns.MsgAcceptAction {
	const isResponse, opcodeShift, opcodeMask = 1 << 15, 11, 0xF
	switch {
	case h.Bits&isResponse != 0:
		return dns.MsgIgnore // answering an answer lets two servers loop
	case h.Bits>>opcodeShift&opcodeMask != dns.OpcodeQuery:
		return dns.MsgRejectNotImplemented
	case h.Qdcount != 1 || h.Ancount != 0 || h.Nscount > 1 || h.Arcount > 2:
		// one authority record for IXFR's SOA, two additional ones for EDNS and TSIG
		return dns.MsgReject
	}
	return dns.MsgAccept
}

// reply returns the answer to a message that was accepted. It is nil when too many questions wait already.
func (s *Server) reply(ctx context.Context, req *dns.Msg, network string) *dns.Msg {
	m := new(dns.Msg).SetReply(req)
	if len(req.Question) != 1 { // package dns accepts a message that ends after the header, though the header announces a question
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

// answer fills in the zone's records for the question. Names are compared without regard to case. The answer repeats the name as the
// question spells it, because resolvers compare the spelling to detect forged answers (draft-vixie-dnsext-dns0x20).
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

// lookup reads the values of a name from the store. It limits the waiting time and the number of lookups at once.
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

// comeByTCP returns a truncated answer without records, so that the resolver repeats its question by TCP. It is not longer than the
// question.
func comeByTCP(req *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(req)
	m.Truncated = true
	if opt := req.IsEdns0(); opt != nil {
		m.SetEdns0(ednsSize, opt.Do())
	}
	return m
}

// fit truncates a reply that is longer than its transport allows. A truncated reply has no records: a part of the values is useless for
// validation, and would make the answer to a forged question longer. The resolver repeats its question by TCP (RFC 2181 §9).
func fit(m, req *dns.Msg, network string) {
	if network == "tcp" {
		m.Truncate(dns.MaxMsgSize)
		return
	}
	size := dns.MinMsgSize // RFC 1035 §4.2.1, for clients without EDNS
	if opt := req.IsEdns0(); opt != nil {
		size = min(max(size, int(opt.UDPSize())), ednsSize)
	}
	if m.Truncate(size); m.Truncated {
		m.Answer = nil
	}
}
