package dcv

import "time"

// SetShownWithin changes how long Present waits for servers that don't show a value, which a test can't wait for.
func (s *Solver) SetShownWithin(d time.Duration) { s.instances.within = d }

// SetConnections changes the limits of a Server that does not serve yet: TCP connections at once, and how long each may last.
func (s *Server) SetConnections(most int, age time.Duration) {
	s.streams.most, s.streams.age = most, age
}

// Connections is how many TCP connections are open.
func (s *Server) Connections() int {
	s.streams.mu.Lock()
	defer s.streams.mu.Unlock()
	return len(s.streams.open)
}
