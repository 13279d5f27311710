package install

import "time"

// NewPatientProber returns a Prober that retries for the given time.
func NewPatientProber(patience time.Duration) *Prober {
	return &Prober{patience: patience}
}
