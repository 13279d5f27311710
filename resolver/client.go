package resolver

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
	// maxQueries bounds the sockets of one process. A query that waits for its turn has not begun its time limit.
	maxQueries = 4096
)

// client sends single queries. It keeps no state between them.
type client struct {
	timeout time.Duration // of one query, TCP included
	slots   chan struct{} // taken while a query is under way
}

func newClient(timeout time.Duration) *client {
	return &client{timeout: timeout, slots: make(chan struct{}, maxQueries)}
}

// query asks one server over UDP, and over TCP when the answer is truncated (RFC 7766 §5). Any message that answers the
// question is returned, whatever its rcode; an error means that none came. unchecked asks it to leave out DNSSEC's validation.
func (c *client) query(ctx context.Context, server, name string, qtype uint16, unchecked bool) (*dns.Msg, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, errTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()

	question := new(dns.Msg).SetQuestion(name, qtype)
	question.SetEdns0(ednsSize, false)
	question.CheckingDisabled = unchecked
	reply, err := put(ctx, "udp", server, question, exchange.Patience(c.timeout)...)
	if err == nil && reply.Truncated {
		reply, err = put(ctx, "tcp", server, question, c.timeout)
	}
	return reply, err
}

var errTimeout = errors.New("no answer in time")

// put sends the question, and returns the first message that answers it.
func put(ctx context.Context, network, server string, question *dns.Msg, waits ...time.Duration) (*dns.Msg, error) {
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
		return nil, errTimeout
	default:
		return nil, describe(err)
	}
}

func answers(reply, question *dns.Msg) bool {
	if !reply.Response || reply.Id != question.Id || len(reply.Question) != 1 {
		return false
	}
	got, want := reply.Question[0], question.Question[0]
	return got.Qtype == want.Qtype && got.Qclass == want.Qclass && strings.EqualFold(got.Name, want.Name)
}

// describe makes a network error fit for a tenant's eyes: no sockets, no addresses of ours.
func describe(err error) error {
	if exchange.IsTimeout(err) {
		return errTimeout
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return errors.New("it refuses the connection")
	}
	if opErr, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("%s failed: %w", opErr.Op, opErr.Err)
	}
	return err
}
