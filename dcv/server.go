package dcv

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
)

const (
	firstTime    = 2 * time.Second // to wait for the first question on a TCP connection
	idleTime     = 8 * time.Second // between two questions on a TCP connection (RFC 7766 §6.2.3: a few seconds)
	writeTime    = 5 * time.Second // for a client that does not read
	farewellTime = 3 * time.Second // to finish open questions at shutdown; longer than lookupTime
	bindAttempts = 20              // attempts to find a port that is free for both UDP and TCP, for port 0
)

// Values stores the TXT values of the validation zone.
type Values interface {
	// TXT returns the values of a full name, which is in lower case and without a trailing dot. A name without values returns an empty slice
	// and nil. After an error the server answers SERVFAIL, so that no CA takes an outage for "no value".
	TXT(ctx context.Context, name string) ([]string, error)
}

// Server is the authoritative DNS server of the validation zone, by UDP and TCP. It gives little to attackers who reflect answers to a
// forged address: answers to one network are limited, a truncated answer has no records, and ANY gets one short record.
type Server struct {
	zone    zone
	stored  Values
	log     *slog.Logger
	lookups map[string]chan struct{} // by network, "udp" or "tcp"; each question that waits for the store takes a place
	rate    *rateLimit               // nil: no limit

	packets net.PacketConn
	streams *connections
}

// Listen binds DCV_LISTEN for UDP and TCP. Port 0 chooses a free port, which Addr returns. Questions are answered from Serve on.
func Listen(ctx context.Context, config Config, stored Values, log *slog.Logger) (*Server, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if !config.Enabled() {
		return nil, errors.New("DCV_LISTEN is empty; it expects host:port to run the DNS server of the validation zone")
	}
	s := &Server{zone: newZone(config), stored: stored, log: log, lookups: newLookups(), rate: newRateLimit(config, log)}
	listener, err := s.bind(ctx, config.Listen)
	if err != nil {
		return nil, fmt.Errorf("DCV_LISTEN: %w", err)
	}
	s.streams = newConnections(listener, config)
	if names := s.zone.unreachable(); len(names) > 0 {
		log.WarnContext(ctx, "name servers inside the validation zone have no address in DCV_NAMESERVER_ADDRESSES; "+
			"strict resolvers can't reach them", "nameservers", names)
	}
	return s, nil
}

func newLookups() map[string]chan struct{} {
	return map[string]chan struct{}{"udp": make(chan struct{}, maxLookups), "tcp": make(chan struct{}, maxLookups)}
}

// bind binds the same port for UDP and TCP, as resolvers expect.
func (s *Server) bind(ctx context.Context, address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	var listen net.ListenConfig
	for range bindAttempts {
		if s.packets, err = listen.ListenPacket(ctx, "udp", address); err != nil {
			return nil, err
		}
		_, bound, splitErr := net.SplitHostPort(s.packets.LocalAddr().String())
		if splitErr != nil {
			return nil, errors.Join(splitErr, s.packets.Close())
		}
		listener, listenErr := listen.Listen(ctx, "tcp", net.JoinHostPort(host, bound))
		if listenErr == nil {
			return listener, nil
		}
		err = errors.Join(listenErr, s.packets.Close())
		if port != "0" {
			break
		}
	}
	return nil, err
}

// Addr returns the address of the server, host:port, for UDP and TCP.
func (s *Server) Addr() string { return s.packets.LocalAddr().String() }

// Serve answers questions until ctx ends. It then finishes the open questions and returns nil. It returns an error when a socket fails
// before. It may be called once.
func (s *Server) Serve(ctx context.Context) error {
	questions := context.WithoutCancel(ctx) // open questions are finished at the end; each has its own time limit
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, req *dns.Msg) { s.serve(questions, w, req) })
	s.log.InfoContext(ctx, "serving the validation zone", "zone", bare(s.zone.apex), "address", s.Addr())

	group, ctx := errgroup.WithContext(ctx)
	for _, server := range []*dns.Server{
		{PacketConn: s.packets, UDPSize: ednsSize},
		{Listener: s.streams, ReadTimeout: firstTime, IdleTimeout: func() time.Duration { return idleTime }},
	} {
		serving := make(chan struct{})
		released := sync.OnceFunc(func() { close(serving) })
		server.Handler, server.MsgAcceptFunc, server.NotifyStartedFunc = handler, accept, released
		group.Go(func() error {
			defer released()
			return server.ActivateAndServe()
		})
		group.Go(func() error {
			<-serving // Shutdown needs a server that has started
			<-ctx.Done()
			farewell, cancel := context.WithTimeout(questions, farewellTime)
			defer cancel()
			return server.ShutdownContext(farewell)
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("serve the validation zone: %w", err)
	}
	return nil
}

// serve answers one question: from the parsed message to the bytes that are written.
func (s *Server) serve(ctx context.Context, w dns.ResponseWriter, req *dns.Msg) {
	var m *dns.Msg
	network := w.LocalAddr().Network()
	switch s.rate.take(ctx, w.RemoteAddr()) { // before the store is read: a flood must not reach it
	case sendWhole:
		m = s.reply(ctx, req, network)
		if m == nil && network == "udp" {
			m = comeByTCP(req)
		}
	case sendTruncated:
		m = comeByTCP(req)
	}
	if m == nil {
		return
	}
	fit(m, req, network)
	if err := w.WriteMsg(m); err != nil {
		s.log.DebugContext(ctx, "an answer could not be sent", "to", w.RemoteAddr(), "error", err)
	}
}
