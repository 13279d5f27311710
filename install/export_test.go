package install

import "time"

// NewPatientProber is a Prober that looks again for as long as it is told.
func NewPatientProber(addresses []string, patience time.Duration) *Prober {
	return &Prober{Config: Config{Addresses: addresses}, patience: patience}
}
