package install

import "time"

// NewPatientProber is a Prober that looks again for as long as it is told.
func NewPatientProber(patience time.Duration) *Prober {
	return &Prober{patience: patience}
}
