package authority

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// ErrTooManyQueries ends a walk that DNS made longer than Config.MaxQueries allows. No healthy zone does.
var ErrTooManyQueries = errors.New("its DNS leads through too many servers to be followed")

// NoDomainError says that a registered domain, or its top-level domain, doesn't exist.
type NoDomainError struct {
	Name string   // the domain that doesn't exist
	Zone string   // the zone that said so, such as "com."
	SOA  *dns.SOA // of that zone, as it came with the answer (RFC 2308 §3); nil when none did
}

func (e *NoDomainError) Error() string {
	return fmt.Sprintf("%s doesn't exist: %s", bare(e.Name), unknownTo(e.Zone))
}

func unknownTo(zone string) string {
	if zone == "." {
		return "the root of DNS doesn't know it"
	}
	return "the registry of ." + bare(zone) + " doesn't know it"
}

// UnreachableError says that no server of a zone gave an answer that means anything. From Tree.Zone it is about a zone above
// the registered domain, so no tenant's fault.
type UnreachableError struct {
	Zone  string
	Cause error // of one of its servers; nil when there was none to ask
}

func (e *UnreachableError) Error() string {
	if e.Cause == nil {
		return "no server of " + shown(e.Zone) + " could be asked"
	}
	return fmt.Sprintf("no server of %s gave an answer: %v", shown(e.Zone), e.Cause)
}

func (e *UnreachableError) Unwrap() error { return e.Cause }

// ServerError says that a server is not asked, because of the state it was found in.
type ServerError struct{ Server Server }

func (e *ServerError) Error() string {
	if e.Server.Detail == "" {
		return string(e.Server.State)
	}
	return string(e.Server.State) + ": " + e.Server.Detail
}

// Unwrap returns why the server's address is not known.
func (e *ServerError) Unwrap() error { return e.Server.cause }

// serverFailure is why a server of a zone gave no answer that can be used.
type serverFailure struct {
	server Server
	cause  error
}

func (e *serverFailure) Error() string { return fmt.Sprintf("%s: %v", e.server, e.cause) }
func (e *serverFailure) Unwrap() error { return e.cause }

// errNeedsItself is a name server whose address only its own zone's servers have: glue is missing at the parent.
var errNeedsItself = errors.New("its address can only be asked from servers whose own addresses depend on it")

// ours reports whether an error is about this walk, not about DNS: it ends the walk and is not remembered.
func ours(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrTooManyQueries)
}

// bare is a name as people write it: no trailing dot.
func bare(name string) string { return strings.TrimSuffix(name, ".") }

// shown is a zone as people call it.
func shown(zone string) string {
	if zone == "." {
		return "the root of DNS"
	}
	return bare(zone)
}
