package cert

import (
	"fmt"
	"hash/fnv"
	"time"
)

// Window is the time in which a CA suggests to renew a certificate (RFC 9773 §4.2). The zero value is no suggestion.
type Window struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// Suggestion is what a CA says about the renewal of a certificate. The zero value is nothing.
type Suggestion struct {
	Window      Window
	AskAgain    time.Duration // after which the CA wants to be asked again
	Explanation string        // address of a page for people, such as about an incident; may be empty
}

// How far a window may lie from its certificate. A CA that has to revoke suggests a time that is over: Boulder's begins an hour ago, and a
// certificate of this minute begins an hour ago too. A window at the very end leaves no time for anything that fails.
const (
	earliestWindow = 24 * time.Hour // before the certificate begins
	latestWindow   = 10             // one part in so many of the lifetime must be left at the end of the window
)

// Check returns why the window can't be followed for a certificate with these dates. Whoever gets an error goes by RenewAt: a wrong window
// must neither renew all certificates at once nor let one expire.
func (w Window) Check(notBefore, notAfter time.Time) error {
	switch life := notAfter.Sub(notBefore); {
	case w.Start.IsZero() || w.End.IsZero():
		return fmt.Errorf("it lacks its start or its end")
	case !w.End.After(w.Start):
		return fmt.Errorf("it ends at %s, and does not start before", w.End.UTC().Format(time.RFC3339))
	case w.Start.Before(notBefore.Add(-earliestWindow)):
		return fmt.Errorf("it starts at %s, long before the certificate", w.Start.UTC().Format(time.RFC3339))
	case w.End.After(notAfter.Add(-life / latestWindow)):
		return fmt.Errorf("it ends at %s, when less than a tenth of the lifetime is left", w.End.UTC().Format(time.RFC3339))
	}
	return nil
}

// Pick returns an instant inside the window. It is uniform over certificates, and the same whenever the certificate and the window are:
// another instant is picked only when the window moves (RFC 9773 §4.2).
func (w Window) Pick(serial string) time.Time {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d %d", serial, w.Start.UnixNano(), w.End.UnixNano())
	fraction := float64(h.Sum64()>>11) / (1 << 53)
	return w.Start.Add(time.Duration(fraction * float64(w.End.Sub(w.Start))))
}

// RenewIn is when a certificate is renewed: inside the window that its CA suggests, or else, without one that can be followed, by RenewAt
// with the fraction.
func RenewIn(w Window, serial string, notBefore, notAfter time.Time, fraction float64) time.Time {
	if w.Check(notBefore, notAfter) != nil {
		return RenewAt(notBefore, notAfter, fraction)
	}
	return w.Pick(serial)
}

// The shortest and the longest time after which a CA is asked again for a window, and the time where it names none (RFC 9773 §4.3).
const (
	soonestWindowPoll = time.Minute
	latestWindowPoll  = 24 * time.Hour
	windowPoll        = 6 * time.Hour
)

// NextWindowPoll returns how long to wait before a CA is asked again, by the Retry-After of its answer; said is false if it named none.
func NextWindowPoll(retryAfter time.Duration, said bool) time.Duration {
	if !said {
		return windowPoll
	}
	return max(soonestWindowPoll, min(retryAfter, latestWindowPoll))
}
