// Package stall closes connections whose client stops reading. The kernel never gives up a client that still acknowledges: without a
// limit, such a client keeps its connection and the goroutine that writes to it.
package stall

import (
	"errors"
	"net"
	"time"
)

// Listener limits each write to a connection that it accepts: a write that takes longer than Limit fails.
type Listener struct {
	net.Listener
	Limit time.Duration
}

// Accept returns the next connection.
func (l Listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &limited{conn, l.Limit}, nil
}

type limited struct {
	net.Conn
	limit time.Duration
}

func (c *limited) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// CloseWrite closes the sending side only.
func (c *limited) CloseWrite() error { return CloseWrite(c.Conn) }

// CloseWrite closes the sending side of a connection. It returns errors.ErrUnsupported if the connection has no such method.
func CloseWrite(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
