package dnstruth

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/dnslab"
	"github.com/evercert/evercert/resolver"
)

// stages is a domain whose records appear server by server.
type stages struct {
	row    row
	lab    *dnslab.Lab
	config resolver.Config
}

// appear puts the records on servers.
func (s stages) appear(t *testing.T, text string, servers ...string) {
	t.Helper()
	for _, server := range servers {
		s.lab.Put(t, server, s.row.domain(), dnslab.NS(a, b, c)+s.row.fill(text))
	}
}

// require diagnoses, and requires of each record the verdict at each server. Resolvers are named by their addresses.
func (s stages) require(t *testing.T, verdict cert.Verdict, at map[string]cert.Verdict) cert.Diagnosis {
	t.Helper()
	d := diagnose(t, s.config, s.row.question())
	t.Logf("%s\n%s", d.Verdict, textOf(d.Problems))
	require.Equal(t, verdict, d.Verdict)
	for _, state := range d.Records {
		seen := map[string]cert.Verdict{}
		for _, sighting := range state.Seen {
			server, _, _ := strings.Cut(sighting.Server, " ")
			server = strings.TrimSuffix(strings.TrimSuffix(server, ".dnshost.net"), ":53")
			role := cert.Authoritative
			if strings.HasPrefix(server, "127.") {
				role = cert.Recursive
			}
			require.Equal(t, role, sighting.Role, sighting.Server)
			seen[server] = sighting.Verdict
			if sighting.Verdict == cert.OK {
				require.NotEmpty(t, sighting.Found, "what %s shows of %s", sighting.Server, state.Name)
			}
		}
		require.Equal(t, at, seen, "%s %s", state.Name, state.Type)
	}
	return d
}

// TestD4_RecordsAppearServerByServer follows three records from nowhere to everywhere and back.
func TestD4_RecordsAppearServerByServer(t *testing.T) {
	t.Parallel()
	const servers = "127.0.64"
	s := stages{row: row{name: "stages", servers: []string{a, b, c}}}
	s.lab = dnslab.Tree{Network: servers, Zones: append(platformZones(), s.row.zones()...)}.Start(t)
	s.config = configOf(s.lab)
	s.config.ProbeTimeout = 0 // no web server runs beside this lab
	all, resolverAddress, late := owned+delegated+pointed, servers+".3", servers+".25"

	no, yes := cert.Wrong, cert.OK
	s.require(t, cert.Wrong, map[string]cert.Verdict{a: no, b: no, c: no, resolverAddress: no})

	s.appear(t, all, a)
	d := s.require(t, cert.Wrong, map[string]cert.Verdict{a: yes, b: no, c: no, resolverAddress: no})
	require.Contains(t, codesOf(d), cert.AnswersDiffer)

	s.appear(t, all, b)
	s.require(t, cert.Wrong, map[string]cert.Verdict{a: yes, b: yes, c: no, resolverAddress: no})

	s.appear(t, all, c)
	s.require(t, cert.OK, map[string]cert.Verdict{a: yes, b: yes, c: yes, resolverAddress: no}) // Unbound remembers that there was nothing

	fresh := dnslab.StartBINDResolver(t, late, s.lab.Recursion())
	s.config.Resolvers = append(s.config.Resolvers, fresh.Address)
	s.require(t, cert.OK, map[string]cert.Verdict{a: yes, b: yes, c: yes, resolverAddress: no, late: yes})

	s.lab.StartResolver(t)
	d = s.require(t, cert.OK, map[string]cert.Verdict{a: yes, b: yes, c: yes, resolverAddress: yes, late: yes})
	require.Empty(t, d.Problems)

	s.appear(t, "", b)
	s.require(t, cert.Wrong, map[string]cert.Verdict{a: yes, b: no, c: yes, resolverAddress: yes, late: yes})
}

func codesOf(d cert.Diagnosis) []cert.Code {
	var of []cert.Code
	for _, p := range d.Problems {
		of = append(of, p.Code)
	}
	return of
}
