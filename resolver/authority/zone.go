package authority

import (
	"net/netip"

	"github.com/miekg/dns"
)

// Zone is what a zone's servers and its parent's say of it. It is shared: don't change it.
type Zone struct {
	Name     string
	Parent   string    // the zone that delegates it; empty for the root
	Registry bool      // above the registered domains: a domain that is found in it is not delegated to anybody
	Servers  []Server  // by name and address
	ParentNS []string  // as the parent delegates, sorted; nil when all its servers hold the zone too and give no referral
	ChildNS  []string  // as the zone itself says, sorted; nil when no server answered that
	DS       []*dns.DS // as they came with the referral, not yet verified; see Tree.CheckZone
	NXDomain bool      // the name that was asked for doesn't exist in it

	// Undelegated means that the zone is a top-level domain's, and has neither a delegation of the name that was asked for nor records at
	// it. Some top-level domains, and many suffixes below them, hold records of their customers in their own zone.
	Undelegated bool

	cut *cut
}

// Answering lists the indexes of the servers that can be asked.
func (z *Zone) Answering() []int {
	var indexes []int
	for i, server := range z.Servers {
		if server.State == Answers {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

// need is a name server whose address is looked for, and for whose sake.
type need struct {
	host  string
	of    *need
	depth int
}

func (n *need) includes(name string) bool {
	for ; n != nil; n = n.of {
		if n.host == name {
			return true
		}
	}
	return false
}

// host is what was found out about a name server's addresses. Without addresses and error it has none.
type host struct {
	addresses []netip.Addr
	err       error
}

// cut is a zone, as its parent's servers show it.
type cut struct {
	name     string
	parent   *cut                    // nil for the root
	registry bool                    // above the registered domains: the root, a top-level domain, co.uk
	fixed    []Server                // of the root
	held     bool                    // lives on a server of its parent, which gave no referral
	ns       []string                // as the parent names its servers or, when held, as it does itself; sorted
	glue     map[string][]netip.Addr // of them, as came with their names
	proof    []dns.RR                // what the referral says about DNSSEC
}

// place is where a name is.
type place struct {
	cut    *cut
	absent bool  // the zone says that the name doesn't exist
	stuck  error // the zone's servers give no answer: the name may as well be in a zone below
}
