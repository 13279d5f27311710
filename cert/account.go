package cert

import "time"

// AccountBlock is what a CA has against evercert's account there. While it stands, no order is placed.
type AccountBlock struct {
	Directory  string // URL of the CA's directory
	AccountURL string // empty while registering
	Kind       string // ACME error type (RFC 8555 §6.7), without its prefix
	Problem    Problem
	Settings   string        // a hash of the settings that the CA refused
	Wait       time.Duration // until the next probe may be made; set by who keeps the block
}
