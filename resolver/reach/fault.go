package reach

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/evercert/evercert/cert"
)

// fault is what is wrong at one address, in the parts that a problem is put together from.
type fault struct {
	verdict  cert.Verdict
	code     cert.Code
	severity cert.Severity
	who      cert.Actor
	cause    string // "the connection is refused", without a full stop
	step     string // what fixes it, with {name}, {named} and {where} to fill in
	found    string // what was seen, for who fixes it
	late     bool   // no answer came in time
	unknown  bool   // nothing was seen of the address
	visitor  bool   // it is a visitor who meets it
	undialed bool   // no connection was made
	passed   bool   // a CA does without the address
}

// What is kept of one answer, in characters: problems are kept and shown.
const (
	maxTold  = 160
	maxFound = 500
)

const protocolHTTP, protocolHTTPS = "HTTP", "HTTPS"

// The steps at addresses that are the platform's, and where this machine can't see what answers.
const (
	stepWait = cert.NothingToDo
	stepEdge = "There is nothing to change at the DNS provider: {where} is the platform's own, and whoever runs the platform looks after " +
		"the edge there."
	stepElsewhere = "Check again in a minute, and from another machine: from this one the answer can't be seen."
)

func wrong(code cert.Code, cause, step string) *fault {
	return &fault{verdict: cert.Wrong, code: code, severity: cert.Blocks, who: cert.TenantActs, cause: cause, step: step}
}

// unknown is the fault of a probe that saw nothing of the address.
func unknown(code cert.Code, cause string) *fault {
	return &fault{verdict: cert.Unknown, code: code, severity: cert.Warns, who: cert.PlatformActs, cause: cause, step: stepWait, unknown: true}
}

func reserved(why string) *fault {
	return wrong(cert.ReservedAddress, why,
		"At your DNS provider, delete the record {named} that leads to {where}, and give {name} the records that we ask for.")
}

// with adds what was seen.
func (f *fault) with(found string) *fault {
	f.found = cert.Line(found, maxTold)
	return f
}

// platforms is the fault where the address is the platform's: it isn't held against the tenant.
func (f *fault) platforms() *fault {
	g := *f
	g.verdict, g.who, g.step = cert.Unknown, cert.PlatformActs, stepWait
	return &g
}

// passedOver is the fault at an address that a CA does without: it only warns.
func (f *fault) passedOver() *fault {
	g := *f
	g.passed, g.severity = true, cert.Warns
	return &g
}

// visitors is the fault as a visit reports it, which people ask for and which decides nothing: it only warns, and at the platform's
// own address the platform fixes it.
func (f *fault) visitors(own bool) *fault {
	g := *f
	g.visitor, g.severity = true, cert.Warns
	switch {
	case f.unknown:
		g.step = stepElsewhere
	case own:
		g.who, g.step = cert.PlatformActs, stepEdge
	}
	return &g
}

func (f *fault) unreachable() bool {
	return f.code == cert.HTTPUnreachable || f.code == cert.HTTPSUnreachable
}

// kind is equal for faults that make one problem.
func (f *fault) kind() string {
	return strings.Join([]string{string(f.code), string(f.verdict), string(f.severity), f.cause, f.step}, "\x00")
}

// list formats addresses, a few of them by name.
func list(addresses []netip.Addr) string {
	const most = 4
	var said []string
	for _, addr := range addresses[:min(len(addresses), most)] {
		said = append(said, addr.String())
	}
	switch more := len(addresses) - most; {
	case more > 0:
		return fmt.Sprintf("%s and %d more", strings.Join(said, ", "), more)
	case len(said) > 1:
		return strings.Join(said[:len(said)-1], ", ") + " and " + said[len(said)-1]
	default:
		return strings.Join(said, "")
	}
}

// withStep replaces what fixes it.
func (f *fault) withStep(step string) *fault {
	f.step = step
	return f
}
