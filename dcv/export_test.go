package dcv

import "time"

// SetShownWithin changes how long Present waits for servers that don't show a value, which a test can't wait for.
func (s *Solver) SetShownWithin(d time.Duration) { s.instances.within = d }
