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
	// Datagrams get lost, most of all when many are sent at once: the same question goes out three times, each time with
	// more patience, and an answer to any of them counts.
	reply, err := exchange(ctx, "udp", server, question, c.timeout/5, 3*c.timeout/10, c.timeout/2)
	if err == nil && reply.Truncated {
		reply, err = exchange(ctx, "tcp", server, question, c.timeout)
	}
	return reply, err
}

var errTimeout = errors.New("no answer in time")

// exchange sends the question once for each of the waits, over one socket with a source port of its own, and returns the
// first message that answers it.
func exchange(ctx context.Context, network, server string, question *dns.Msg, waits ...time.Duration) (*dns.Msg, error) {
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, network, server)
	if err != nil {
		return nil, describe(err)
	}
	conn := &dns.Conn{Conn: raw, UDPSize: ednsSize}
	defer conn.Close()                                          //nolint:errcheck // nothing is left to flush
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends a read at once when ctx ends
	defer stop()

	for _, wait := range waits {
		if err = conn.SetDeadline(time.Now().Add(wait)); err != nil {
			break
		}
		if err = conn.WriteMsg(question); err != nil {
			break
		}
		var reply *dns.Msg
		if reply, err = readReply(conn, question); err == nil {
			return reply, nil
		}
		if !isTimeout(err) {
			break
		}
	}
	if ctx.Err() != nil {
		return nil, errTimeout
	}
	return nil, describe(err)
}

// readReply reads until a message comes that answers the question. Others are passed over, because a forged or late
// one must not keep the true answer from being heard (RFC 5452 §9.1).
func readReply(conn *dns.Conn, question *dns.Msg) (*dns.Msg, error) {
	for {
		packet, err := conn.ReadMsgHeader(nil)
		if errors.Is(err, dns.ErrShortRead) {
			continue
		}
		if err != nil {
			return nil, err
		}
		reply := new(dns.Msg)
		// Some servers cut a truncated message in the middle of a record; its header still says to come by TCP.
		if err := reply.Unpack(packet); err != nil && !reply.Truncated {
			continue
		}
		if answers(reply, question) {
			return reply, nil
		}
	}
}

func answers(reply, question *dns.Msg) bool {
	if !reply.Response || reply.Id != question.Id || len(reply.Question) != 1 {
		return false
	}
	got, want := reply.Question[0], question.Question[0]
	return got.Qtype == want.Qtype && got.Qclass == want.Qclass && strings.EqualFold(got.Name, want.Name)
}

func isTimeout(err error) bool {
	netErr, ok := errors.AsType[net.Error](err)
	return ok && netErr.Timeout()
}

// describe makes a network error fit for a tenant's eyes: no sockets, no addresses of ours.
func describe(err error) error {
	if isTimeout(err) {
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
