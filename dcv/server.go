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
	firstTime    = 2 * time.Second // until the first question on a TCP connection
	idleTime     = 8 * time.Second // between two of them (RFC 7766 §6.2.3: a few seconds)
	writeTime    = 5 * time.Second // for somebody who doesn't read
	farewellTime = 3 * time.Second // for questions under way at the end; longer than lookupTime
	bindAttempts = 20              // to find a port that is free for both UDP and TCP, when any port will do
)

// Values is where the TXT values of the validation zone stand.
type Values interface {
	// TXT returns the values of a full name, lower case, without a trailing dot. None is no error; an error is answered with
	// SERVFAIL, so that no CA takes an outage for an answer.
	TXT(ctx context.Context, name string) ([]string, error)
}

// Server is the authoritative DNS server of the validation zone, on UDP and TCP. It is of little use to those who reflect
// attacks: answers to one network are limited, a truncated one has no records, ANY gets next to nothing.
type Server struct {
	zone    zone
	stored  Values
	log     *slog.Logger
	lookups map[string]chan struct{} // by network, "udp" or "tcp": taken while a question waits for the store
	rate    *rateLimit               // nil: none

	packets net.PacketConn
	streams *connections
}

// Listen binds DCV_LISTEN for UDP and TCP. With port 0 a free one is taken; see Addr. Questions wait until Serve.
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
		log.WarnContext(ctx, "name servers inside the validation zone have no address in DCV_NAMESERVER_ADDRESSES; strict resolvers won't find them", "nameservers", names)
	}
	return s, nil
}

func newLookups() map[string]chan struct{} {
	return map[string]chan struct{}{"udp": make(chan struct{}, maxLookups), "tcp": make(chan struct{}, maxLookups)}
}

// bind takes the same port for UDP and TCP, as resolvers expect.
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

// Addr is where the server listens, host:port, for UDP and TCP alike.
func (s *Server) Addr() string { return s.packets.LocalAddr().String() }

// Serve answers until ctx ends, and then returns nil once the questions under way are answered. A socket that breaks ends it
// before, with an error. It is called once.
func (s *Server) Serve(ctx context.Context) error {
	questions := context.WithoutCancel(ctx) // those under way at the end are answered; each has its own time limit
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
			<-serving // a server that has not started can't be shut down
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

// serve is one question, from parsed message to bytes.
func (s *Server) serve(ctx context.Context, w dns.ResponseWriter, req *dns.Msg) {
	var m *dns.Msg
	network := w.LocalAddr().Network()
	switch s.rate.take(ctx, w.RemoteAddr()) { // before the store is asked, which a flood must not reach
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
