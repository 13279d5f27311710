package resolver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/resolver/authority"
)

// maxAliases is how many CNAMEs are followed from one name. Resolvers give up at 8 to 16.
const maxAliases = 8

// view is DNS as one source shows it during one diagnosis.
type view struct {
	source source
	ends   []string // canonical names at which aliases are not followed further, but for CAA, which counts at their end too

	mu       sync.Mutex
	asked    map[dns.Question]*reply
	answered bool // at least one question was
	silent   bool // at least one question timed out
}

type reply struct {
	once sync.Once
	msg  *dns.Msg
	err  error
}

func newView(s source) *view { return &view{source: s, asked: map[dns.Question]*reply{}} }

// ask sends a question, or waits for the answer to the same one sent before.
func (v *view) ask(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	question := dns.Question{Name: name, Qtype: qtype, Qclass: dns.ClassINET}
	v.mu.Lock()
	r := v.asked[question]
	if r == nil {
		r = &reply{}
		v.asked[question] = r
	}
	dead := v.silent && !v.answered // what follows up an unanswered question would wait in vain again
	v.mu.Unlock()
	r.once.Do(func() {
		r.err = errTimeout
		if !dead {
			r.msg, r.err = v.source.ask(ctx, name, qtype)
		}
		v.note(r.err)
		if r.err == nil {
			r.err = refusal(r.msg)
		}
		if _, told := errors.AsType[*bogusError](r.err); r.err != nil && !told {
			r.err = fmt.Errorf("%s: %w", v.source.host(name), r.err)
		}
	})
	return r.msg, r.err
}

func (v *view) note(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answered = v.answered || err == nil
	v.silent = v.silent || errors.Is(err, errTimeout)
}

// refusal is the error of a message that tells nothing about the name: only NOERROR and NXDOMAIN do.
func refusal(m *dns.Msg) error {
	switch {
	case m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError:
		return errors.New(dns.RcodeToString[m.Rcode] + explanation(m))
	case authority.Refers(m):
		return errors.New("a referral in place of an answer") // it does not resolve for us
	}
	return nil
}

// explanation is the reason that some resolvers add to a failure (RFC 8914), such as " (DNSSEC Bogus)".
func explanation(m *dns.Msg) string {
	opt := m.IsEdns0()
	if opt == nil {
		return ""
	}
	for _, option := range opt.Option {
		if ede, ok := option.(*dns.EDNS0_EDE); ok {
			if text := dns.ExtendedErrorCodeToString[ede.InfoCode]; text != "" {
				return " (" + text + ")"
			}
		}
	}
	return ""
}

// answer is what a view shows for a name and a type, with CNAMEs followed.
type answer struct {
	asked   string
	aliases []string // the names that CNAMEs lead to, in order; empty when the name is no alias
	records []dns.RR // of the type asked for, at the end of the aliases
	endless bool     // the aliases form a loop, or are more than maxAliases
	err     error    // nobody told; aliases holds what was told before
}

var errEndless = errors.New("its CNAME records lead in a circle or through too many names")

// lookup asks for a name and type, following CNAMEs further where the resolver left off.
func (v *view) lookup(ctx context.Context, name string, qtype uint16) answer {
	a := answer{asked: dns.CanonicalName(name)}
	for {
		m, err := v.ask(ctx, a.end(), qtype)
		if err != nil {
			a.err = err
			return a
		}
		if finished := a.extend(m, qtype); finished || len(a.aliases) > 0 && qtype != dns.TypeCAA && v.endsAt(a) {
			return a
		}
	}
}

// endsAt tells whether an answer has come to a name where this view looks no further.
func (v *view) endsAt(a answer) bool { return len(a.records) == 0 && slices.Contains(v.ends, a.end()) }

// aliasesOf follows CNAMEs one question at a time. It shows a tenant's records also where what they lead to is broken.
func (v *view) aliasesOf(ctx context.Context, name string) answer {
	a := answer{asked: dns.CanonicalName(name)}
	for {
		m, err := v.ask(ctx, a.end(), dns.TypeCNAME)
		if err != nil {
			a.err = err
			return a
		}
		if next := aliasAt(m, a.end()); next == "" || !a.follow(next) {
			return a
		}
	}
}

// extend follows the message as far as it goes, and tells whether that is the end.
func (a *answer) extend(m *dns.Msg, qtype uint16) (finished bool) {
	before := len(a.aliases)
	for {
		if a.records = recordsAt(m, a.end(), qtype); len(a.records) > 0 {
			return true
		}
		next := aliasAt(m, a.end())
		if next == "" {
			break
		}
		if !a.follow(next) {
			return true
		}
	}
	// A server that stops at a CNAME into a zone it doesn't resolve says neither NXDOMAIN nor, by a SOA, "no such
	// record" (RFC 2308 §2.2): the rest must be asked for.
	concluded := m.Rcode == dns.RcodeNameError || has(m.Ns, dns.TypeSOA)
	return concluded || len(a.aliases) == before
}

// follow goes one CNAME further. It returns false, and marks the answer, when that never ends.
func (a *answer) follow(next string) bool {
	if len(a.aliases) == maxAliases || next == a.asked || slices.Contains(a.aliases, next) {
		a.endless = true
		return false
	}
	a.aliases = append(a.aliases, next)
	return true
}

// end is the name that the aliases followed so far lead to.
func (a *answer) end() string {
	if len(a.aliases) == 0 {
		return a.asked
	}
	return a.aliases[len(a.aliases)-1]
}

// leadsTo tells whether the name is an alias of the target, directly or through others.
func (a *answer) leadsTo(target string) bool {
	return slices.Contains(a.aliases, dns.CanonicalName(target))
}

func recordsAt(m *dns.Msg, name string, qtype uint16) []dns.RR {
	var found []dns.RR
	for _, rr := range m.Answer {
		if h := rr.Header(); h.Rrtype == qtype && h.Class == dns.ClassINET && dns.CanonicalName(h.Name) == name {
			found = append(found, rr)
		}
	}
	return found
}

func aliasAt(m *dns.Msg, name string) string {
	for _, rr := range recordsAt(m, name, dns.TypeCNAME) {
		if alias, ok := rr.(*dns.CNAME); ok {
			return dns.CanonicalName(alias.Target)
		}
	}
	return ""
}

func has(section []dns.RR, rrtype uint16) bool {
	return slices.ContainsFunc(section, func(rr dns.RR) bool { return rr.Header().Rrtype == rrtype })
}

// bare is a name as people write it: no trailing dot.
func bare(name string) string { return strings.TrimSuffix(name, ".") }
