package terminator

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// stallTimeout is how long a client may take nothing of an answer, or send nothing of a request's body, before it is cut off.
// A limit on the whole request would cut off long downloads and websockets.
const stallTimeout = 60 * time.Second

// impatient is a listener whose connections end when a client stops reading: each write must get through within stall.
type impatient struct {
	net.Listener
	stall time.Duration
}

func (l impatient) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &impatientConn{conn, l.stall}, nil
}

type impatientConn struct {
	net.Conn
	stall time.Duration
}

func (c *impatientConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// errStalled is what reading a request's body ends with when its client stopped sending.
var errStalled = errors.New("the client stopped sending")

// pacedBody ends a request whose client stops sending: each read must bring something within stall.
type pacedBody struct {
	io.ReadCloser
	control *http.ResponseController
	stall   time.Duration

	mu     sync.Mutex // a transport may still read when the handler has returned; the connection is the next request's then
	closed bool
}

func (b *pacedBody) Read(p []byte) (int, error) {
	if err := b.setDeadline(time.Now().Add(b.stall)); err != nil {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, errStalled
	}
	// After the body the client may be silent for as long as the answer takes.
	if failed := b.setDeadline(time.Time{}); failed != nil {
		return n, failed
	}
	return n, err
}

// Close is called before the handler returns, by the proxy.
func (b *pacedBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	// net/http reads what is left of a short body here, which must not take for ever either.
	return errors.Join(b.control.SetReadDeadline(time.Now().Add(b.stall)), b.ReadCloser.Close(), b.control.SetReadDeadline(time.Time{}))
}

func (b *pacedBody) setDeadline(t time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return http.ErrBodyReadAfterClose
	}
	return b.control.SetReadDeadline(t)
}
