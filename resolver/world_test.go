package resolver_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// world is a recursive resolver on loopback with records and faults to order. It follows CNAMEs as resolvers do, answers
// below wildcards, and truncates what is too long for UDP. It does not simulate caches, zones cut apart, or DNSSEC.
type world struct {
	mu      sync.Mutex
	records map[string][]dns.RR
	names   map[string]bool   // those of records and all above them; nil after a change
	faults  map[string]string // kind by "name" or "name TYPE"
	lost    map[string]bool   // questions of which the first datagram was dropped
	asked   map[string]int    // times by "name TYPE network"
	lazy    bool              // leaves it to the client to follow CNAMEs
	dead    bool              // never answers
	address string
}

// newWorld starts the resolver; it ends with the test.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{records: map[string][]dns.RR{}, faults: map[string]string{}, lost: map[string]bool{}, asked: map[string]int{}}
	packets, listener := listenBoth(t)
	w.address = packets.LocalAddr().String()
	serve(t, packets, listener, w)
	return w
}

// serve answers over UDP and TCP until the test ends.
func serve(t testing.TB, packets net.PacketConn, listener net.Listener, handler dns.Handler) {
	t.Helper()
	for _, srv := range []*dns.Server{{PacketConn: packets, Handler: handler}, {Listener: listener, Handler: handler}} {
		started, ended := make(chan struct{}), make(chan error, 1)
		srv.NotifyStartedFunc = func() { close(started) }
		go func() { ended <- srv.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if err := srv.ShutdownContext(ctx); err != nil {
				t.Errorf("shut the test's DNS server down: %v", err)
			}
			if err := <-ended; err != nil {
				t.Errorf("the test's DNS server ended: %v", err)
			}
		})
	}
}

// listenBoth finds a port that is free for UDP and TCP.
func listenBoth(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 20 {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, listener
		}
		if err := packets.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

// change applies lines "add RECORD" (zone file form), "del NAME TYPE", "fault NAME [TYPE] KIND", "lazy" and "dead".
// Kinds are those of misbehave.
func (w *world) change(t testing.TB, lines string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names = nil
	for line := range strings.Lines(lines) {
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		fields := strings.Fields(rest)
		switch verb {
		case "":
		case "lazy":
			w.lazy = true
		case "dead":
			w.dead = true
		case "add":
			rr, err := dns.NewRR(rest)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			name := dns.CanonicalName(rr.Header().Name)
			w.records[name] = append(w.records[name], rr)
		case "del":
			name, kept := dns.CanonicalName(fields[0]), []dns.RR(nil)
			for _, rr := range w.records[name] {
				if rr.Header().Rrtype != dns.StringToType[fields[1]] {
					kept = append(kept, rr)
				}
			}
			if len(kept) == len(w.records[name]) {
				t.Fatalf("%q: there is none", line)
			}
			if w.records[name] = kept; len(kept) == 0 {
				delete(w.records, name)
			}
		case "fault":
			key := append([]string{dns.CanonicalName(fields[0])}, fields[1:len(fields)-1]...)
			w.faults[strings.Join(key, " ")] = fields[len(fields)-1]
		default:
			t.Fatalf("%q is no change", line)
		}
	}
}

func (w *world) ServeDNS(rw dns.ResponseWriter, req *dns.Msg) {
	w.mu.Lock()
	defer w.mu.Unlock()
	q, network := req.Question[0], rw.LocalAddr().Network()
	w.asked[fmt.Sprintf("%s %s %s", dns.CanonicalName(q.Name), dns.TypeToString[q.Qtype], network)]++
	if w.dead {
		return
	}
	m := new(dns.Msg).SetReply(req)
	m.RecursionAvailable = true
	if kind := w.resolve(m, q); kind != "" && !w.misbehave(rw, m, kind, network) {
		return
	}
	if network == "udp" {
		m.Truncate(int(req.IsEdns0().UDPSize()))
	}
	rw.WriteMsg(m) //nolint:errcheck // a client that left shows in the test
}

// resolve fills m, and returns the fault of the first faulty name on the way.
func (w *world) resolve(m *dns.Msg, q dns.Question) (fault string) {
	name := dns.CanonicalName(q.Name)
	for range 20 {
		for _, key := range []string{name, name + " " + dns.TypeToString[q.Qtype]} {
			if kind := w.faults[key]; kind != "" {
				return kind
			}
		}
		records, exists := w.at(name)
		var alias string
		for _, rr := range records {
			if h := rr.Header(); h.Rrtype == q.Qtype || h.Rrtype == dns.TypeCNAME {
				m.Answer = append(m.Answer, rr)
			}
			if cname, ok := rr.(*dns.CNAME); ok && q.Qtype != dns.TypeCNAME {
				alias = dns.CanonicalName(cname.Target)
			}
		}
		if alias == "" {
			if !exists {
				m.Rcode = dns.RcodeNameError
			}
			if len(m.Answer) == 0 || m.Answer[len(m.Answer)-1].Header().Rrtype != q.Qtype {
				soa, _ := dns.NewRR("example. 60 SOA ns.example. hostmaster.example. 1 60 60 60 60")
				m.Ns = []dns.RR{soa}
			}
			return ""
		}
		if name = alias; w.lazy {
			return ""
		}
	}
	return "" // a circle: what was followed of it
}

// at returns a name's records, those of the nearest wildcard in their place, and whether the name exists.
func (w *world) at(name string) (records []dns.RR, exists bool) {
	if w.names == nil {
		w.names = map[string]bool{}
		for owner := range w.records {
			for _, at := range dns.Split(owner) {
				w.names[owner[at:]] = true
			}
		}
	}
	if w.names[name] {
		return w.records[name], true
	}
	for _, at := range dns.Split(name) {
		_, parent, _ := strings.Cut(name[at:], ".")
		for _, rr := range w.records["*."+parent] {
			rr = dns.Copy(rr)
			rr.Header().Name = name
			records = append(records, rr)
		}
		if len(records) > 0 {
			return records, true
		}
		if w.names[parent] { // the closest encloser (RFC 4592 §3.3.1): wildcards above it don't count
			return nil, false
		}
	}
	return nil, false
}

// misbehave changes m as ordered, and reports whether to send it.
func (w *world) misbehave(rw dns.ResponseWriter, m *dns.Msg, kind, network string) bool {
	key := m.Question[0].String()
	switch kind {
	case "silent":
		return false
	case "servfail":
		m.Rcode, m.Answer = dns.RcodeServerFailure, nil
	case "refused":
		m.Rcode, m.Answer = dns.RcodeRefused, nil
	case "bogus":
		m.Rcode, m.Answer = dns.RcodeServerFailure, nil
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeDNSBogus}}
	case "referral":
		ns, _ := dns.NewRR("com. 60 NS ns.gtld.example.")
		m.Answer, m.Ns, m.RecursionAvailable = nil, []dns.RR{ns}, false
	case "garbage":
		rw.Write([]byte("\x00\x01 this is no DNS message")) //nolint:errcheck // see ServeDNS
		return false
	case "lose-first":
		if !w.lost[key] {
			w.lost[key] = true
			return false
		}
		return w.again(m)
	case "forge-first": // an answer to another question arrives before the true one
		forged := m.Copy()
		forged.Id++
		rw.WriteMsg(forged) //nolint:errcheck // see ServeDNS
		return w.again(m)
	case "tcp-only":
		if m.Truncated = network == "udp"; !m.Truncated {
			return w.again(m)
		}
	}
	return true
}

// again fills m as if there were no fault.
func (w *world) again(m *dns.Msg) bool {
	kept := w.faults
	w.faults = nil
	w.resolve(m, m.Question[0])
	w.faults = kept
	return true
}

// questions is how often each question was asked, whatever the network.
func (w *world) questions() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	times := map[string]int{}
	for key, n := range w.asked {
		times[key[:strings.LastIndex(key, " ")]] += n
	}
	return times
}
