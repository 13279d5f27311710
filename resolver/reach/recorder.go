package reach

import (
	"net"
	"sync"
)

// recorder remembers how the answer on a connection began. It lets nothing be read before something was asked: a server that
// speaks first, as those of mail do, would have net/http write to the log.
type recorder struct {
	net.Conn
	asked func() // the first time, lets reading begin
	ready <-chan struct{}

	mutex sync.Mutex
	begin []byte
	bytes int
}

const maxBegin = 32

func record(conn net.Conn) *recorder {
	ready := make(chan struct{})
	return &recorder{Conn: conn, asked: sync.OnceFunc(func() { close(ready) }), ready: ready}
}

func (r *recorder) Write(b []byte) (int, error) {
	defer r.asked()
	return r.Conn.Write(b)
}

func (r *recorder) Close() error {
	defer r.asked()
	return r.Conn.Close()
}

func (r *recorder) Read(b []byte) (int, error) {
	<-r.ready
	n, err := r.Conn.Read(b)
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.begin = append(r.begin, b[:min(n, maxBegin-len(r.begin))]...)
	r.bytes += n
	return n, err
}

func (r *recorder) read() (begin string, bytes int) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return string(r.begin), r.bytes
}
