package terminator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/evercert/evercert/stall"
)

const (
	headerTimeout  = 10 * time.Second  // for the TLS handshake, and for a request's header
	idleTimeout    = 120 * time.Second // between two requests on one connection
	drainTimeout   = 10 * time.Second  // for requests in progress when the process stops
	maxHeaderBytes = 64 << 10
)

// Options configures a Terminator.
type Options struct {
	Source          Source
	Challenges      http.Handler // answers http-01 (RFC 8555 §8.3); nil leaves these paths to the upstream
	TLSChallenges   TLSChallenges
	Upstream        *url.URL // nil: a built-in page
	PublicHTTPSPort int      // as visitors reach it, for redirects
	CacheSize       int      // certificates in memory, at about 5 kB each
	Log             *slog.Logger
}

// Terminator is a TLS edge that does not listen yet.
type Terminator struct {
	source          Source
	certificates    *certificates
	challenges      http.Handler
	tlsChallenges   TLSChallenges
	site            http.Handler
	publicHTTPSPort int
	stall           time.Duration
	log             *slog.Logger
}

// New makes a Terminator. It fails only for a cache size below 1.
func New(o Options) (*Terminator, error) { return newTerminator(o, stallTimeout) }

func newTerminator(o Options, stall time.Duration) (*Terminator, error) {
	certificates, err := newCertificates(o.Source, o.CacheSize, o.Log)
	if err != nil {
		return nil, err
	}
	return &Terminator{
		source: o.Source, certificates: certificates, challenges: o.Challenges, tlsChallenges: o.TLSChallenges,
		site: newSite(o.Upstream, o.Log), publicHTTPSPort: o.PublicHTTPSPort, stall: stall, log: o.Log,
	}, nil
}

// TLSConfig serves each name with its certificate. A name without one gets the alert unrecognized_name (RFC 6066 §3). A CA that validates
// by tls-alpn-01 gets the answer to its challenge.
func (t *Terminator) TLSConfig() *tls.Config {
	config := t.certificates.tlsConfig()
	config.GetConfigForClient = t.configFor
	return config
}

// Serve answers on both listeners until ctx ends. It then accepts no more connections, waits up to ten seconds for requests in progress,
// and returns nil. It closes the listeners.
func (t *Terminator) Serve(ctx context.Context, https, plain net.Listener) error {
	secure := t.server(t.serveHTTPS)
	secure.TLSConfig = t.TLSConfig()
	insecure := t.server(t.serveHTTP)

	group, running := errgroup.WithContext(ctx)
	// listenTLS gets a clone, because net/http changes the server's configuration.
	handshaken := listenTLS(stall.Listener{Listener: https, Limit: t.stall}, secure.TLSConfig.Clone(), t.log)
	group.Go(func() error { return untilClosed(secure.Serve(handshaken)) })
	group.Go(func() error {
		return untilClosed(insecure.Serve(guarded{stall.Listener{Listener: plain, Limit: t.stall}}))
	})
	group.Go(func() error {
		if err := t.source.Listen(running, t.certificates.changed); err != nil && running.Err() == nil {
			return fmt.Errorf("listen for changed certificates: %w", err)
		}
		return nil
	})
	for _, server := range []*http.Server{secure, insecure} {
		group.Go(func() error {
			<-running.Done()
			return drain(server)
		})
	}
	return group.Wait()
}

func (t *Terminator) server(handler http.HandlerFunc) *http.Server {
	return &http.Server{
		Handler:           paced(withoutPreface(handler), t.stall),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(serverLog{t.log.Handler()}, slog.LevelDebug),
	}
}

// withoutPreface refuses the preface of HTTP/2 on a connection for HTTP/1 (RFC 9113 §3.4): net/http treats it as a request.
func withoutPreface(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "PRI" {
			w.Header().Set("Connection", "close")
			refuse(w, r, http.StatusBadRequest, "HTTP/2 is spoken over TLS here, and agreed upon in the handshake.")
			return
		}
		handler(w, r)
	}
}

func untilClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// drain stops a server and closes what has not ended in time.
func drain(server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return server.Close()
	}
	return err
}

// serverLog sets the levels of net/http's log lines: failed handshakes and broken connections are normal on the internet, a panic is a bug.
type serverLog struct{ slog.Handler }

func (h serverLog) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "http: panic") {
		r.Level = slog.LevelError
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// Enabled passes all lines to Handle, which knows their level.
func (h serverLog) Enabled(context.Context, slog.Level) bool { return true }
