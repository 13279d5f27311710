package terminator

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"
)

// handshakes is a TLS listener whose Accept returns connections after their handshake. Those for HTTP/2 are crypto/tls connections, by
// which net/http recognises them; those for HTTP/1 are guarded.
type handshakes struct {
	net.Listener
	config   *tls.Config
	log      *slog.Logger
	accepted chan acceptance
	closed   chan struct{}
	close    func() error
}

type acceptance struct {
	conn net.Conn
	err  error
}

func listenTLS(l net.Listener, config *tls.Config, log *slog.Logger) *handshakes {
	h := &handshakes{Listener: l, config: config, log: log, accepted: make(chan acceptance), closed: make(chan struct{})}
	h.close = sync.OnceValue(func() error {
		close(h.closed)
		return l.Close()
	})
	go h.acceptAll()
	return h
}

func (h *handshakes) Accept() (net.Conn, error) {
	select {
	case a := <-h.accepted:
		return a.conn, a.err
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *handshakes) Close() error { return h.close() }

// acceptAll accepts connections until the listener is closed. It returns other errors to net/http, which pauses when too many files are
// open.
func (h *handshakes) acceptAll() {
	for {
		conn, err := h.Listener.Accept()
		switch {
		case err == nil:
			go h.handshake(conn)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			h.hand(acceptance{err: err})
		}
	}
}

// hand gives a connection to Accept. After the end it closes the connection.
func (h *handshakes) hand(a acceptance) {
	select {
	case h.accepted <- a:
	case <-h.closed:
		if a.conn != nil {
			a.conn.Close() //nolint:errcheck // the process ends
		}
	}
}

func (h *handshakes) handshake(raw net.Conn) {
	defer func() {
		if fault := recover(); fault != nil { // a panic ends one connection only, as in net/http's handlers
			h.log.Error("panic in a TLS handshake", "client", raw.RemoteAddr().String(), "panic", fault, "stack", string(debug.Stack()))
			raw.Close() //nolint:errcheck // the handshake has failed
		}
	}()
	conn := tls.Server(raw, h.config)
	err := raw.SetReadDeadline(time.Now().Add(headerTimeout))
	if err == nil {
		err = conn.Handshake() //nolint:noctx // the deadline limits it, and needs no goroutine
	}
	if err == nil {
		err = raw.SetReadDeadline(time.Time{})
	}
	if err != nil {
		if sentHTTP(err) {
			io.WriteString(raw, expectsTLS) //nolint:errcheck // the client may have closed the connection
		}
		h.log.Debug("TLS handshake failed", "client", raw.RemoteAddr().String(), "error", err)
		raw.Close() //nolint:errcheck // it has failed already
		return
	}
	switch conn.ConnectionState().NegotiatedProtocol {
	case "h2":
		h.hand(acceptance{conn: conn})
	case challengeProtocol: // no data follows the handshake (RFC 8737 §3)
		conn.Close() //nolint:errcheck // the CA has the certificate
	default: // HTTP/1.1, or a client without ALPN
		h.hand(acceptance{conn: &secureConn{guardedConn{Conn: conn}, conn}})
	}
}

const expectsTLS = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\nThis port expects " +
	"HTTPS.\n"

// sentHTTP reports whether a handshake failed because the client began with an HTTP request.
func sentHTTP(err error) bool {
	first, ok := errors.AsType[tls.RecordHeaderError](err)
	if !ok {
		return false
	}
	switch string(first.RecordHeader[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		return true
	}
	return false
}

// secureConn is a guarded connection over TLS. net/http fills Request.TLS from its ConnectionState.
type secureConn struct {
	guardedConn
	tls *tls.Conn
}

func (c *secureConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

// guarded is a listener for plain HTTP whose connections are guarded.
type guarded struct{ net.Listener }

func (l guarded) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &guardedConn{Conn: conn}, nil
}
