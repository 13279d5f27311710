package lookup

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/resolver/authority"
)

// MaxAliases is the number of CNAME records that are followed from one name. Resolvers of CAs answer SERVFAIL at the twelfth: so do
// Unbound, which Let's Encrypt uses (max-query-restarts), BIND and the PowerDNS Recursor.
const MaxAliases = 11

// Answer is what a View shows for a name and a type, with CNAME records followed.
type Answer struct {
	Name    string   // that was asked for: lower case, with trailing dot, as all names here
	Aliases []string // the names that CNAME records lead to, in order; empty when the name has no CNAME record
	Records []dns.RR // of the type asked for, at the end of the aliases
	Endless bool     // the aliases form a loop, or are more than MaxAliases
	Absent  bool     // the name at the end of the aliases doesn't exist: it has records of no type, and no name below it has
	Err     error    // why no answer came: ErrTimeout, *BogusError or another; Aliases then holds those that were found before
}

// End returns the name that the aliases lead to: where the records are, or would be.
func (a Answer) End() string {
	if len(a.Aliases) == 0 {
		return a.Name
	}
	return a.Aliases[len(a.Aliases)-1]
}

// LeadsTo reports whether the name is an alias of the target, directly or through others.
func (a Answer) LeadsTo(target string) bool {
	return slices.Contains(a.Aliases, dns.CanonicalName(target))
}

// Empty reports whether there is neither a record of the type nor an alias. It says nothing where Err is set.
func (a Answer) Empty() bool { return len(a.Aliases) == 0 && len(a.Records) == 0 }

// Text lists the aliases and records as a zone file has them: "CNAME other.example". It is short enough to keep (Distinct).
func (a Answer) Text() []string {
	found := a.AliasText()
	for _, rr := range a.Records {
		found = append(found, RecordText(rr))
	}
	return Distinct(found)
}

// AliasText lists the aliases alone, for answers whose records are evercert's own and change with every challenge.
func (a Answer) AliasText() []string {
	var found []string
	for _, alias := range a.Aliases {
		found = append(found, "CNAME "+NoDot(alias))
	}
	return Distinct(found)
}

// HasText reports whether one of the TXT records has the value. Quotes and blanks that slip in by copying don't count.
func (a Answer) HasText(value string) bool { return slices.Contains(a.Texts(), value) }

// Texts returns the values of the TXT records, without the quotes and blanks around them.
func (a Answer) Texts() []string {
	var values []string
	for _, rr := range a.Records {
		if txt, ok := rr.(*dns.TXT); ok {
			values = append(values, strings.Trim(strings.ReplaceAll(strings.Join(txt.Txt, ""), `\"`, `"`), "\" \t"))
		}
	}
	return values
}

// Addresses are the answers to the two questions for a name's addresses.
type Addresses struct{ A, AAAA Answer }

// All returns the addresses of both families. One family is enough for a CA, whatever became of the other question.
func (a Addresses) All() []netip.Addr {
	var found []netip.Addr
	for _, rr := range slices.Concat(a.A.Records, a.AAAA.Records) {
		if address := authority.AddressOf(rr); address.IsValid() {
			found = append(found, address)
		}
	}
	return found
}

// Err returns why one of the questions has no answer, nil when both have one.
func (a Addresses) Err() error {
	if a.A.Err != nil {
		return a.A.Err
	}
	return a.AAAA.Err
}

// Text lists the aliases and records of both answers, as Answer.Text does.
func (a Addresses) Text() []string { return Distinct(slices.Concat(a.A.Text(), a.AAAA.Text())) }

// extend follows the message as far as it goes, and reports whether that is the end.
func (a *Answer) extend(m *dns.Msg, qtype uint16) (finished bool) {
	before := len(a.Aliases)
	for {
		if a.Records = recordsAt(m, a.End(), qtype); len(a.Records) > 0 {
			return true
		}
		next := aliasAt(m, a.End())
		if next == "" {
			break
		}
		if !a.follow(next) {
			return true
		}
	}
	// A server that stops at a CNAME into a zone that it doesn't resolve sends neither NXDOMAIN nor a SOA record, which would mean "no such
	// record" (RFC 2308 §2.2). The rest must be asked for.
	a.Absent = m.Rcode == dns.RcodeNameError
	concluded := a.Absent || slices.ContainsFunc(m.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA })
	return concluded || len(a.Aliases) == before
}

// follow goes one CNAME further. It returns false, and sets Endless, when that never ends.
func (a *Answer) follow(next string) bool {
	if len(a.Aliases) == MaxAliases || next == a.Name || slices.Contains(a.Aliases, next) {
		a.Endless = true
		return false
	}
	a.Aliases = append(a.Aliases, next)
	return true
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
