package dcv

import "time"

// SetShownWithin shortens the time for which Present waits for servers that don't show a value.
func (s *Solver) SetShownWithin(d time.Duration) { s.instances.within = d }

// SetConnections sets the limits of a Server that does not serve yet: TCP connections at once, and the longest life of a connection.
func (s *Server) SetConnections(most int, age time.Duration) {
	s.streams.most, s.streams.age = most, age
}

// Connections returns the number of open TCP connections.
func (s *Server) Connections() int {
	s.streams.mu.Lock()
	defer s.streams.mu.Unlock()
	return len(s.streams.open)
}
