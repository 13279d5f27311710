package terminator

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// stallTimeout limits how long a client may read nothing of an answer, or send nothing of a request's body, before its connection is
// closed. A limit on the whole request would end long downloads and websockets.
const stallTimeout = 60 * time.Second

// The errors with which reading a request's body ends.
var (
	errStalled   = errors.New("the client stopped sending")
	errMalformed = errors.New("the request's body is malformed")
)

// paced wraps the body of every request in a pacedBody. It also limits the time in which net/http reads the rest of a body that no handler
// reads, before it continues with the connection.
func paced(next http.Handler, stall time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			body := &pacedBody{ReadCloser: r.Body, control: http.NewResponseController(w), stall: stall}
			if err := body.setDeadline(time.Now().Add(stall)); err != nil {
				return // the connection has ended
			}
			r = r.WithContext(r.Context()) // a copy: net/http recognises by its own body whether the client still waits for "100 Continue"
			r.Body = body
		}
		next.ServeHTTP(w, r)
	}
}

// pacedBody fails a request whose client stops sending: each read must return data within stall.
type pacedBody struct {
	io.ReadCloser
	control *http.ResponseController
	stall   time.Duration

	mu     sync.Mutex // a transport may still read after the handler has returned, when the connection belongs to the next request
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
	// After the body, the client may be silent for as long as the answer takes.
	if failed := b.setDeadline(time.Time{}); failed != nil {
		return n, failed
	}
	return n, bodyError(err)
}

// bodyError marks an error in the bytes that the client sent, such as the length of a chunk (RFC 9112 §7.1), as opposed to an error of the
// connection.
func bodyError(err error) error {
	var broken net.Error
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, http.ErrBodyReadAfterClose), errors.As(err, &broken):
		return err
	}
	return fmt.Errorf("%w: %w", errMalformed, err)
}

// Close is called by the proxy, before the handler returns.
func (b *pacedBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	// net/http reads the rest of a short body here; that needs a limit too.
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
