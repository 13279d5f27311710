// Package exchange sends a DNS message to a server and hears what comes back. What counts as an answer, and what an error means, is
// for its callers to say.
package exchange

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/miekg/dns"
)

// readSize is for servers that send more than they were asked for.
const readSize = 4096

// Read makes a message of a packet. No message and no error pass the packet over.
type Read func(packet []byte) (*dns.Msg, error)

// First sends the packet once for each of the waits, over one socket with a source port of its own, and returns the first
// message that read accepts. Its errors are those of package net, and read's.
func First(ctx context.Context, network, server string, packet []byte, read Read, waits ...time.Duration) (*dns.Msg, error) {
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	conn := &dns.Conn{Conn: raw, UDPSize: readSize}
	defer conn.Close()                                          //nolint:errcheck // nothing is left to flush
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends a read at once when ctx ends
	defer stop()

	for _, wait := range waits {
		if err = conn.SetDeadline(time.Now().Add(wait)); err != nil {
			break
		}
		if _, err = conn.Write(packet); err != nil {
			break
		}
		var reply *dns.Msg
		if reply, err = first(conn, read); err == nil {
			return reply, nil
		}
		if !IsTimeout(err) {
			break
		}
	}
	return nil, err
}

// first reads until a message comes that is accepted. Others are passed over, because a forged or late one must not keep the
// true answer from being heard (RFC 5452 §9.1).
func first(conn *dns.Conn, read Read) (*dns.Msg, error) {
	for {
		packet, err := conn.ReadMsgHeader(nil)
		if errors.Is(err, dns.ErrShortRead) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if reply, err := read(packet); reply != nil || err != nil {
			return reply, err
		}
	}
}

// Patience is how a query's time is shared out over UDP. Datagrams get lost, most of all when many are sent at once: the same question
// goes out three times, each time with more patience, and an answer to any of them counts.
func Patience(limit time.Duration) []time.Duration {
	return []time.Duration{limit / 5, 3 * limit / 10, limit / 2}
}

// IsTimeout reports whether nothing came in time.
func IsTimeout(err error) bool {
	netErr, ok := errors.AsType[net.Error](err)
	return ok && netErr.Timeout()
}
