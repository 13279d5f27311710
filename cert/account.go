package cert

import "time"

// Account is evercert's account at a CA (RFC 8555 §7.1.2), of which each CA has one that is active.
type Account struct {
	Directory string // URL of the CA's directory
	URL       string // of the account, by which the CA knows it ("kid")
	Contact   string
	KeyID     string // under which SealedKey was sealed
	SealedKey []byte // P-256, in PKCS#8; sealed, so that no other package can read it
}

// AccountBlock is what a CA has against evercert's account there. While it stands, no order is placed.
type AccountBlock struct {
	Directory  string // URL of the CA's directory
	AccountURL string // empty while registering
	Kind       string // ACME error type (RFC 8555 §6.7), without its prefix
	Problem    Problem
	Settings   string        // a hash of the settings that the CA refused
	Wait       time.Duration // until the next probe may be made; set by who keeps the block
}
