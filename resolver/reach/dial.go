package reach

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/guard"
)

// failure is why a step of a probe came to nothing, before it is said whose fault that is.
type failure struct {
	cause    string
	late     bool   // nothing came in time
	closed   bool   // the other side ended the connection
	strange  bool   // something came that is no answer
	ours     bool   // this machine can't know
	tls      bool   // the connection was made, and TLS wasn't
	alert    string // with which the other side ended TLS
	undialed bool   // no connection was made
}

// dial connects to the first of a host's addresses that takes the connection, as Let's Encrypt does: IPv6 first, and IPv4
// after that if there is such an address (letsencrypt.org/docs/ipv6-support).
func (p *Prober) dial(ctx context.Context, addresses []netip.Addr, port uint16) (net.Conn, *failure) {
	var last *failure
	for i, addr := range addresses {
		dialing, cancel := share(ctx, len(addresses)-i)
		conn, err := p.dialer(dialing, "tcp", netip.AddrPortFrom(addr, port).String())
		cancel()
		if err != nil {
			last = p.refusal(err)
			last.undialed = true
			continue
		}
		if deadline, limited := ctx.Deadline(); limited {
			err = conn.SetDeadline(deadline)
		}
		if err != nil {
			conn.Close() //nolint:errcheck // nothing was written
			return nil, p.refusal(err)
		}
		return conn, nil
	}
	return nil, last
}

// share leaves each of several attempts its part of the time.
func share(ctx context.Context, attempts int) (context.Context, context.CancelFunc) {
	deadline, limited := ctx.Deadline()
	if !limited || attempts < 2 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(attempts))
}

// refusal says why a connection could not be made.
func (p *Prober) refusal(err error) *failure {
	if refused, ok := errors.AsType[*guard.Refused](err); ok {
		return &failure{cause: "its address belongs to " + refused.Why}
	}
	switch {
	case isLate(err):
		return &failure{cause: "no connection came about within " + p.patience() + "; a firewall may drop the requests", late: true}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &failure{cause: "the connection is refused, because nothing listens there or a firewall is in the way"}
	case errors.Is(err, syscall.ECONNRESET):
		return &failure{cause: "the connection is closed as soon as it is made", closed: true}
	case errors.Is(err, syscall.EHOSTUNREACH):
		return &failure{cause: "there is no way to that address"}
	default: // no route, no descriptors, no IPv6: what the CA has we don't know
		return &failure{cause: "there is no way to that address from here", ours: true}
	}
}

// patience is how long an answer was waited for.
func (p *Prober) patience() string {
	if p.cfg.Timeout == time.Second {
		return "a second"
	}
	return fmt.Sprintf("%g seconds", p.cfg.Timeout.Round(100*time.Millisecond).Seconds())
}

func isLate(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout()
}

func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// handshake speaks TLS on conn. It verifies nothing: a CA that validates doesn't either (RFC 8555 §8.3), and what is
// served is looked at afterwards.
func (p *Prober) handshake(ctx context.Context, conn net.Conn, name string, protocols ...string) (*tls.Conn, *failure) {
	secured := tls.Client(conn, &tls.Config{ServerName: name, NextProtos: protocols, InsecureSkipVerify: true}) //nolint:gosec // see above
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, p.handshakeFailure(err)
	}
	return secured, nil
}

func (p *Prober) handshakeFailure(err error) *failure {
	f := p.whyNoTLS(err)
	f.tls = true
	return f
}

func (p *Prober) whyNoTLS(err error) *failure {
	if header, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		if strings.HasPrefix(string(header.RecordHeader[:]), "HTTP") {
			return &failure{cause: "the web server speaks plain HTTP on the port of HTTPS"}
		}
		return &failure{cause: "what answers on the port of HTTPS is no web server: it doesn't speak TLS"}
	}
	if remote, ok := errors.AsType[*net.OpError](err); ok && remote.Op == "remote error" {
		alert := strings.TrimPrefix(remote.Err.Error(), "tls: ")
		return &failure{cause: fmt.Sprintf("the server refuses TLS for this name (%q)", alert), alert: alert}
	}
	switch {
	case isLate(err):
		return &failure{cause: "the connection is taken, but TLS didn't begin within " + p.patience(), late: true}
	case isClosed(err):
		return &failure{cause: "the connection is closed when TLS begins", closed: true}
	default:
		return &failure{cause: "no TLS came about: the server supports neither TLS 1.2 nor TLS 1.3, or is broken"}
	}
}

// exchangeFailure says why no HTTP answer came on a connection that was made.
func (p *Prober) exchangeFailure(err error, begin string, bytes int) *failure {
	const tlsAlert, tlsHandshake = "\x15\x03", "\x16\x03" // RFC 8446 §5.1
	switch {
	case strings.HasPrefix(begin, tlsAlert) || strings.HasPrefix(begin, tlsHandshake):
		return &failure{cause: speaksTLS, strange: true}
	case begin != "" && !strings.HasPrefix("HTTP/", begin[:min(len(begin), len("HTTP/"))]):
		return &failure{cause: "what answers there is no web server; it begins with " + strconv.QuoteToASCII(begin), strange: true}
	case bytes >= maxHeader:
		return &failure{cause: fmt.Sprintf("the header of its answer is longer than %d bytes", maxHeader), strange: true}
	case isLate(err):
		return &failure{cause: "the connection is taken, but no answer came within " + p.patience(), late: true}
	case isClosed(err) || begin == "":
		return &failure{cause: "the connection is closed without an answer", closed: true}
	default:
		return &failure{cause: "its answer is no HTTP that can be read", strange: true}
	}
}

// unreachable makes a fault of a failure at the address that was asked.
func (f *failure) unreachable(code cert.Code, step string) *fault {
	if f.ours {
		return unknown(code, f.cause)
	}
	if f.strange {
		return wrong(cert.HTTPUnexpectedResponse, f.cause, stepResponse)
	}
	said := wrong(code, f.cause, step)
	said.late, said.undialed = f.late, f.undialed
	return said
}

// negotiate makes one TLS connection and ends it.
func (p *Prober) negotiate(ctx context.Context, addr netip.Addr, name string, protocols ...string) (tls.ConnectionState, *failure) {
	conn, failed := p.dial(ctx, []netip.Addr{addr}, p.cfg.HTTPSPort)
	if failed != nil {
		return tls.ConnectionState{}, failed
	}
	defer hangUp(conn)
	secured, failed := p.handshake(ctx, conn, name, protocols...)
	if failed != nil {
		return tls.ConnectionState{}, failed
	}
	return secured.ConnectionState(), nil
}

func hangUp(conn net.Conn) { _ = conn.Close() } // nothing was written that could be lost

// noTLS is the fault of an address with which TLS doesn't come about.
func (p *Prober) noTLS(failed *failure, cdn string) *fault {
	if failed.alert != "" && cdn == cloudflare { // letsdebug's CloudflareSSLNotProvisioned
		return wrong(cert.HTTPSUnreachable, noCertificateYet, stepCloudflareTLS).with(failed.cause)
	}
	return failed.unreachable(cert.HTTPSUnreachable, stepPort443)
}
