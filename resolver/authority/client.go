package authority

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/resolver/internal/exchange"
)

const (
	// ednsSize is the largest UDP answer that passes without fragments (DNS flag day 2020); larger ones come by TCP.
	ednsSize   = 1232
	headerSize = 12
)

var (
	errTimeout = errors.New("no answer in time")
	// errMangled is an answer whose question has other letters in upper case than ours.
	errMangled = errors.New("an answer to another spelling of the question")
)

// localError is a question that never left this machine: no route (IPv6, often), no socket. It is no server's fault.
type localError struct{ cause error }

func (e *localError) Error() string { return "it can't be asked from here" }

func (e *localError) Unwrap() error { return e.cause }

// tcpError is a server that answered over UDP "come by TCP" and then didn't answer there. It doesn't unwrap: a time-out over TCP
// is not silence.
type tcpError struct{ cause error }

func (e *tcpError) Error() string {
	return "its answer doesn't fit into UDP, and over TCP: " + e.cause.Error()
}

// client sends single questions. Between them it remembers only which servers don't keep the spelling of a question.
type client struct {
	timeout time.Duration // of one question, with its repetitions and TCP
	slots   chan struct{} // taken while a question is under way; nil: no bound
	plain   *sync.Map     // servers, by netip.AddrPort, that are asked in lower case from the first question on
}

// query asks one server. Any message that answers the question is returned, whatever its rcode; an error means that none
// came. What waits for a slot has not begun its time limit.
func (c client) query(ctx context.Context, server netip.AddrPort, name string, qtype uint16) (*dns.Msg, error) {
	if c.slots != nil {
		select {
		case c.slots <- struct{}{}:
			defer func() { <-c.slots }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	edns := true
	reply, err := c.converse(limited, server, name, qtype, edns)
	if err == nil && refusesEDNS(reply) {
		edns = false // RFC 6891 §7
		reply, err = c.converse(limited, server, name, qtype, edns)
	}
	if errors.Is(err, errMangled) { // it is alive, so that the other ways to ask it have their own time
		again, cancel := context.WithTimeout(ctx, c.timeout)
		defer cancel()
		reply, err = c.despiteCase(again, server, name, qtype, edns)
	}
	switch {
	case err == nil:
		tidy(reply, name)
		return reply, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	default:
		return nil, err
	}
}

// converse asks over UDP, and over TCP when the answer is truncated (RFC 7766 §5) or its question is spelled otherwise than ours
// (errMangled, despiteCase), as the resolver of Let's Encrypt does: over TCP the spelling need not show that nobody forged the answer. A
// server that can't keep the spelling and has no TCP is asked in lower case, as that resolver does in the end (use-caps-for-id of
// Unbound).
func (c client) converse(ctx context.Context, server netip.AddrPort, name string, qtype uint16, edns bool) (*dns.Msg, error) {
	spelled := name
	if _, plain := c.plain.Load(server); !plain {
		spelled = randomCase(name)
	}
	q, err := newQuestion(spelled, qtype, edns)
	if err != nil {
		return nil, err
	}
	reply, err := q.put(ctx, "udp", server, exchange.Patience(c.timeout)...)
	if err == nil && reply.Truncated {
		if reply, err = q.put(ctx, "tcp", server, c.timeout); err != nil {
			return nil, &tcpError{cause: err}
		}
	}
	return reply, err
}

// despiteCase asks a server again that didn't keep the spelling of a question.
func (c client) despiteCase(ctx context.Context, server netip.AddrPort, name string, qtype uint16, edns bool) (*dns.Msg, error) {
	q, err := newQuestion(randomCase(name), qtype, edns)
	if err != nil {
		return nil, err
	}
	short, cancel := context.WithTimeout(ctx, c.timeout/4) // there must be time left for another way
	defer cancel()
	reply, tcpErr := q.put(short, "tcp", server, c.timeout/4)
	if tcpErr == nil {
		return reply, nil
	}
	c.plain.Store(server, true)
	plain, err := newQuestion(name, qtype, edns)
	if err != nil {
		return nil, err
	}
	reply, err = plain.put(ctx, "udp", server, exchange.Patience(c.timeout*3/4)...)
	if err != nil || reply.Truncated {
		return nil, &tcpError{cause: tcpErr}
	}
	return reply, nil
}

// refusesEDNS reports whether a server doesn't know EDNS (RFC 6891 §7), or only another version.
func refusesEDNS(reply *dns.Msg) bool {
	return reply.Rcode == dns.RcodeFormatError || reply.Rcode == dns.RcodeNotImplemented || reply.Rcode == dns.RcodeBadVers
}

// question is a message to be sent, and how its first bytes look on the wire.
type question struct {
	msg    *dns.Msg
	packet []byte
}

// newQuestion makes the message for a name in the spelling given.
func newQuestion(name string, qtype uint16, edns bool) (question, error) {
	m := new(dns.Msg).SetQuestion(name, qtype)
	m.RecursionDesired = false
	m.Question[0].Name = name
	if edns {
		m.SetEdns0(ednsSize, true)
	}
	packet, err := m.Pack()
	return question{msg: m, packet: packet}, err
}

// randomCase spells a name in random case: one more thing that a forger has to guess (draft-vixie-dnsext-dns0x20).
func randomCase(name string) string {
	spelled, coins := []byte(name), make([]byte, (len(name)+7)/8)
	_, _ = rand.Read(coins) // never fails
	for i, letter := range spelled {
		if 'a' <= letter && letter <= 'z' && coins[i/8]>>(i%8)&1 == 1 {
			spelled[i] -= 'a' - 'A'
		}
	}
	return string(spelled)
}

// put sends the question, and returns the first message that answers it. Over UDP its spelling must come back as well.
func (q question) put(ctx context.Context, network string, server netip.AddrPort, waits ...time.Duration) (*dns.Msg, error) {
	reply, err := exchange.First(ctx, network, server.String(), q.packet, func(packet []byte) (*dns.Msg, error) {
		reply := q.answeredBy(packet)
		if reply != nil && network == "udp" && len(reply.Question) > 0 && !q.echoedIn(packet) {
			return nil, errMangled
		}
		return reply, nil
	}, waits...)
	if err != nil {
		return nil, describe(ctx, err)
	}
	return reply, nil
}

// answeredBy reads a packet, and returns nil when it doesn't answer the question.
func (q question) answeredBy(packet []byte) *dns.Msg {
	if !bytes.HasPrefix(packet, q.packet[:2]) {
		return nil // another id; the rest need not be read
	}
	reply := new(dns.Msg)
	// Some servers cut a truncated message in the middle of a record; its header still says to come by TCP.
	if err := reply.Unpack(packet); err != nil && !reply.Truncated || !reply.Response {
		return nil
	}
	if len(reply.Question) == 0 { // so some servers refuse what they don't understand
		if reply.Rcode == dns.RcodeSuccess || reply.Rcode == dns.RcodeNameError {
			return nil
		}
		return reply
	}
	got, want := reply.Question[0], q.msg.Question[0]
	if len(reply.Question) != 1 || got.Qtype != want.Qtype || got.Qclass != want.Qclass || !strings.EqualFold(got.Name, want.Name) {
		return nil
	}
	return reply
}

// echoedIn reports whether the packet repeats the question byte for byte.
func (q question) echoedIn(packet []byte) bool {
	end := len(q.packet)
	if q.msg.IsEdns0() != nil {
		end -= 11 // an OPT record without options (RFC 6891 §6.1.2)
	}
	return len(packet) >= end && bytes.Equal(packet[headerSize:end], q.packet[headerSize:end])
}

// tidy undoes what random case did to the message, so that names in it can be compared.
func tidy(reply *dns.Msg, name string) {
	for i := range reply.Question {
		reply.Question[i].Name = name
	}
	for _, section := range [][]dns.RR{reply.Answer, reply.Ns, reply.Extra} {
		for _, rr := range section {
			rr.Header().Name = dns.CanonicalName(rr.Header().Name)
		}
	}
}

// describe makes a network error fit for a tenant's eyes: no sockets, no addresses of ours. ctx is that of the question.
func describe(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, errMangled):
		return err
	case exchange.IsTimeout(err) || ctx.Err() != nil:
		return errTimeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("it refuses connections")
	case errors.Is(err, syscall.EHOSTUNREACH):
		return errors.New("its network can't reach it")
	case errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it closed the connection before it answered")
	default:
		return &localError{cause: err}
	}
}
