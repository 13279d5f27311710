package lookup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/resolver/internal/exchange"
)

const (
	// ednsSize is the largest UDP answer that passes without fragments (DNS flag day 2020); larger ones come by TCP.
	ednsSize = 1232
	// maxQueries bounds the sockets of one process. The time limit of a query begins when it gets its slot.
	maxQueries = 4096
)

// Client sends single queries to recursive resolvers. It keeps no state between them, and any number may be sent at once.
type Client struct {
	timeout time.Duration // of one query, TCP included
	slots   chan struct{} // taken while a query is under way
}

// NewClient returns a Client. timeout is for one query, with its repetitions and TCP.
func NewClient(timeout time.Duration) *Client {
	return &Client{timeout: timeout, slots: make(chan struct{}, maxQueries)}
}

// Slots returns the bound on queries under way, for other senders of the same process to share: each takes a place while it waits.
func (c *Client) Slots() chan struct{} { return c.slots }

// query asks one server over UDP, and over TCP when the answer is truncated (RFC 7766 §5). Any message that answers the
// question is returned, whatever its rcode; an error means that none came. unchecked asks the server to leave out DNSSEC validation.
func (c *Client) query(ctx context.Context, server, name string, qtype uint16, unchecked bool) (*dns.Msg, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, ErrTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()

	question := new(dns.Msg).SetQuestion(name, qtype)
	question.SetEdns0(ednsSize, false)
	question.CheckingDisabled = unchecked
	reply, err := send(ctx, "udp", server, question, exchange.Patience(c.timeout)...)
	if err == nil && reply.Truncated {
		reply, err = send(ctx, "tcp", server, question, c.timeout)
	}
	return reply, err
}

// send sends the question, and returns the first message that answers it.
func send(ctx context.Context, network, server string, question *dns.Msg, waits ...time.Duration) (*dns.Msg, error) {
	packet, err := question.Pack()
	if err != nil {
		return nil, err
	}
	reply, err := exchange.First(ctx, network, server, packet, func(packet []byte) (*dns.Msg, error) {
		reply := new(dns.Msg)
		// Some servers cut a truncated message in the middle of a record; its header still says to come by TCP.
		if err := reply.Unpack(packet); err != nil && !reply.Truncated || !answers(reply, question) {
			return nil, nil // not for us
		}
		return reply, nil
	}, waits...)
	switch {
	case err == nil:
		return reply, nil
	case ctx.Err() != nil:
		return nil, ErrTimeout
	default:
		return nil, withoutSockets(err)
	}
}

// answers reports whether a message is the reply to the question, and not a late or forged one (RFC 5452 §9.1).
func answers(reply, question *dns.Msg) bool {
	if !reply.Response || reply.Id != question.Id || len(reply.Question) != 1 {
		return false
	}
	got, want := reply.Question[0], question.Question[0]
	return got.Qtype == want.Qtype && got.Qclass == want.Qclass && strings.EqualFold(got.Name, want.Name)
}

// withoutSockets returns a network error as a tenant may read it: without sockets and addresses of ours.
func withoutSockets(err error) error {
	if exchange.IsTimeout(err) {
		return ErrTimeout
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return errors.New("it refuses the connection")
	}
	if opErr, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("%s failed: %w", opErr.Op, opErr.Err)
	}
	return err
}
