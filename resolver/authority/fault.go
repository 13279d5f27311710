package authority

import "slices"

// FaultKind is a way in which the servers of a zone are not as they should be.
type FaultKind string

// The kinds of faults.
const (
	LameServer        FaultKind = "lame server"
	FailingServer     FaultKind = "failing server"
	UnreachableServer FaultKind = "unreachable server"
	ServerNoAddress   FaultKind = "server without address"
	ForbiddenServer   FaultKind = "server at a forbidden address"
	NameserversDiffer FaultKind = "parent and zone name different servers"
	SerialsDiffer     FaultKind = "servers hold different versions" // may be so for a while after each change of the zone
)

// Fault is one of them. Callers decide who acts.
type Fault struct {
	Kind     FaultKind
	Zone     string
	Server   Server   // of the first five kinds
	AtParent []string // of NameserversDiffer: those that only the parent names
	InZone   []string // of NameserversDiffer: those that only the zone names
	Serials  []Serial // of SerialsDiffer: every server that has a SOA record
}

// Serial is the version of the zone that a server holds.
type Serial struct {
	Server Server
	Serial uint32
}

// Faults lists what is not as it should be, server by server and then of them all.
func (z *Zone) Faults() []Fault {
	var faults []Fault
	kinds := map[State]FaultKind{
		Lame: LameServer, Failing: FailingServer, Unreachable: UnreachableServer, NoAddress: ServerNoAddress, Forbidden: ForbiddenServer,
	}
	differ := Fault{Kind: SerialsDiffer, Zone: z.Name}
	for _, server := range z.Servers {
		if kind, ok := kinds[server.State]; ok {
			faults = append(faults, Fault{Kind: kind, Zone: z.Name, Server: server})
		}
		if server.SOA != nil {
			differ.Serials = append(differ.Serials, Serial{Server: server, Serial: server.SOA.Serial})
		}
	}
	if z.ParentNS != nil && z.ChildNS != nil && !slices.Equal(z.ParentNS, z.ChildNS) {
		faults = append(faults, Fault{
			Kind: NameserversDiffer, Zone: z.Name,
			AtParent: without(z.ParentNS, z.ChildNS), InZone: without(z.ChildNS, z.ParentNS),
		})
	}
	for _, serial := range differ.Serials {
		if serial.Serial != differ.Serials[0].Serial {
			return append(faults, differ)
		}
	}
	return faults
}

func without(names, others []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(others, name) })
}
