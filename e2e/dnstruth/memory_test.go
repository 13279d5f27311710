package dnstruth

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/dnslab"
)

// lastAnswers is what the store keeps of a check for the next one.
func lastAnswers(d cert.Diagnosis, at time.Time) []cert.LastAnswer {
	var all []cert.LastAnswer
	for _, r := range d.Records {
		for _, s := range r.Seen {
			if s.Verdict != cert.Unknown {
				all = append(all, cert.LastAnswer{Record: r.Record, Sighting: s, At: at})
			}
		}
	}
	return all
}

// TestD4_AServerThatShowedSomethingWrongAndIsSilentNowIsWaitedFor: a CA may reach the server, or it may come back as it was.
func TestD4_AServerThatShowedSomethingWrongAndIsSilentNowIsWaitedFor(t *testing.T) {
	t.Parallel()
	for method, third := range map[cert.Method]string{
		cert.DNS01:  owned + pointed + "_acme-challenge.shop CNAME old.stranger.org.\n",
		cert.HTTP01: owned + delegated + elsewhere,
	} {
		t.Run(string(method), func(t *testing.T) {
			t.Parallel()
			f := startFaulty(t, map[cert.Method]string{cert.DNS01: "127.0.65", cert.HTTP01: "127.0.66"}[method], third)
			f.row.methods = []cert.Method{method}
			f.config.ProbeTimeout = 0 // no web server runs beside this lab
			check := func(before []cert.LastAnswer) cert.Diagnosis {
				q := f.row.question()
				q.Before = before
				d := diagnose(t, f.config, q)
				t.Logf("%s\n%s", d.Verdict, textOf(d.Problems))
				return d
			}
			first := check(nil)
			require.Equal(t, cert.Wrong, first.Verdict, "the third server shows another record")

			f.set(dnslab.Silent, 2)
			require.Equal(t, cert.OK, check(nil).Verdict, "nothing is known of the silent server")
			at := time.Now().Add(-5 * time.Hour)
			d := check(lastAnswers(first, at))
			require.Equal(t, cert.Unknown, d.Verdict)
			require.Empty(t, d.Methods())
			blocking := d.Problems[0]
			for _, p := range d.Problems {
				requireFitForPeople(t, p)
				if p.Severity != cert.Warns {
					blocking = p
				}
			}
			require.Equal(t, cert.NameserverUnreachable, blocking.Code)
			require.Equal(t, cert.PlatformActs, blocking.WhoActs)
			require.Contains(t, blocking.Message, "ns3."+f.row.domain())
			require.Contains(t, blocking.Remediation, at.Add(6*time.Hour).UTC().Format("2006-01-02 15:04 UTC"), "until when")

			require.Equal(t, cert.OK, check(lastAnswers(first, time.Now().Add(-7*time.Hour))).Verdict, "not for ever")
			f.resolver.Set(dnslab.Silent)
			byResolvers := slices.DeleteFunc(lastAnswers(first, at), func(last cert.LastAnswer) bool {
				return last.Sighting.Role == cert.Authoritative
			})
			for i := range byResolvers {
				byResolvers[i].Sighting.Verdict = cert.Wrong
			}
			require.Equal(t, cert.OK, check(byResolvers).Verdict, "no CA asks a public resolver")
			f.config.SilentWait = 0
			require.Equal(t, cert.OK, check(lastAnswers(first, at)).Verdict, "and not where the setting says so")
		})
	}
}
