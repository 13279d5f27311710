package authority

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// messages are replies to begin with, as zone files: answer, authority and additional section, with a line of dashes between.
var messages = []string{
	"--\nexample.com. 60 NS ns.example.com.\n--\nns.example.com. 60 A 192.0.2.1\nns.example.com. 60 AAAA 2001:db8::1\nns.elsewhere. 60 A " +
		"192.0.2.2",
	"--\ncom. 60 NS ns.com.", "--\n. 60 NS ns.", "--\nwww.example.com. 60 NS a.\nexample.com. 60 DS 1 13 2 00\nexample.com. 60 NSEC z.com. " +
		"NS RRSIG NSEC",
	"example.com. 60 SOA a. b. 1 1 1 1 1", "--\nshop.example.com. 60 SOA a. b. 1 1 1 1 1",
	"www.shop.example.com. 60 CNAME a.example.\n--\na.example. 60 SOA a. b. 1 1 1 1 1",
	"www.shop.example.com. 60 TXT a\nwww.shop.example.com. 60 RRSIG TXT 13 4 60 20300101000000 20200101000000 1 com. AAAA",
	"shop.example.com. 60 DNAME a.example.\nwww.shop.example.com. 60 CNAME www.a.example.",
	"com. 60 DNSKEY 257 3 13 AAAA\ncom. 60 DNSKEY 257 3 8 AwEAAQ==\ncom. 60 RRSIG DNSKEY 8 1 60 20300101000000 20200101000000 1 com. AAAA",
}

func packed(t testing.TB, text string) []byte {
	m := new(dns.Msg).SetQuestion("www.shop.example.com.", dns.TypeSOA)
	m.Response, m.Authoritative = true, !strings.Contains(text, "NS ")
	sections := []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "--" {
			sections = sections[1:]
			continue
		}
		rr, err := dns.NewRR(line)
		require.NoError(t, err)
		*sections[0] = append(*sections[0], rr)
	}
	packet, err := m.Pack()
	require.NoError(t, err)
	return packet
}

// FuzzReply feeds what a server of com. might send. Whatever it is, a walk must go down only, towards the name, and believe
// addresses of names in com. only.
func FuzzReply(f *testing.F) {
	for _, text := range messages {
		f.Add(packed(f, text))
	}
	const zone, name = "com.", "www.shop.example.com."
	f.Fuzz(func(t *testing.T, packet []byte) {
		m := new(dns.Msg)
		if err := m.Unpack(packet); err != nil {
			return
		}
		tidy(m, name)
		got := understand(m, zone, name)
		if got.cut != "" && (!strictlyBelow(zone, got.cut) || !dns.IsSubDomain(got.cut, name)) {
			t.Errorf("led to %q", got.cut)
		}
		if got.kind == lame && (got.why == "" || got.cut != "") {
			t.Errorf("lame without a reason: %+v", got)
		}
		if got.kind == referral {
			tree := NewTree(Config{})
			c := tree.referred(m, tree.root, got.cut)
			if len(c.ns) > maxNameservers || !slices.IsSorted(c.ns) {
				t.Errorf("name servers %v", c.ns)
			}
			for host, addresses := range glueOf(m, zone, c.ns) {
				if !dns.IsSubDomain(zone, host) || len(addresses) > maxAddresses {
					t.Errorf("believed %v of %s", addresses, host)
				}
			}
		}
		held := &cut{name: "example.com.", held: true}
		if state, detail := held.judge(m); (state == Answers) != (detail == "") {
			t.Errorf("%s: %q", state, detail)
		}
	})
}

// FuzzSignatures feeds messages to the checks of DNSSEC. Nobody who lacks the key may get anything past them.
func FuzzSignatures(f *testing.F) {
	key := &dns.DNSKEY{
		Hdr: dns.RR_Header{Name: "com.", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 60}, Flags: dns.ZONE | dns.SEP,
		Protocol: 3, Algorithm: dns.ED25519,
	}
	_, err := key.Generate(256) // its private half is thrown away: nothing can be signed
	require.NoError(f, err)
	for _, text := range messages {
		f.Add(packed(f, text), true)
		f.Add(packed(f, text), false)
	}
	f.Fuzz(func(t *testing.T, packet []byte, ours bool) {
		m := new(dns.Msg)
		if err := m.Unpack(packet); err != nil {
			return
		}
		tidy(m, "www.shop.example.com.")
		for _, section := range [][]dns.RR{m.Answer, m.Ns} {
			for _, rr := range section { // as if the forger knew our key's tag
				if signature, ok := rr.(*dns.RRSIG); ok && ours {
					signature.SignerName, signature.KeyTag, signature.Algorithm = "com.", key.KeyTag(), key.Algorithm
				}
			}
		}
		now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		if len(m.Question) == 1 {
			if _, b := verifyAnswer(m, "com.", []*dns.DNSKEY{key}, now); b == nil || b.detail == "" || b.fault == "" {
				t.Errorf("%v passes", m)
			}
		}
		ds := supported([]*dns.DS{key.ToDS(dns.SHA256)})
		if keys, b := trusted(newRRset(m.Answer, "com.", dns.TypeDNSKEY), ds, now); b == nil {
			t.Errorf("keys %v pass", keys)
		}
	})
}

// FuzzPacket feeds packets that arrive in answer to a question.
func FuzzPacket(f *testing.F) {
	q, err := newQuestion(randomCase("www.shop.example.com."), dns.TypeSOA, true)
	require.NoError(f, err)
	for _, text := range messages {
		f.Add(packed(f, text))
	}
	f.Add(q.packet)
	f.Fuzz(func(t *testing.T, packet []byte) {
		if len(packet) > 2 { // as if the forger had guessed the id
			packet = slices.Concat(q.packet[:2], packet[2:])
		}
		echoed := q.echoedIn(packet)
		reply := q.answeredBy(packet)
		if reply == nil {
			return
		}
		if !reply.Response || reply.Id != q.msg.Id || len(reply.Question) > 1 {
			t.Errorf("took %v for an answer", reply)
		}
		if len(reply.Question) == 1 && echoed && reply.Question[0].Name != q.msg.Question[0].Name {
			t.Errorf("took %q for %q", reply.Question[0].Name, q.msg.Question[0].Name)
		}
	})
}
