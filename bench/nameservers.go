package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/miekg/dns" //nolint:depguard // the name servers that the bench asks are its own

	"github.com/evercert/evercert/cert"
)

// nameserversRole as the only argument makes this program the name servers of the other one, so that their processor time and memory
// are not taken for those of the diagnoses. It ends when its input ends.
const nameserversRole = "nameservers"

// nameserverUse is what the name servers answer to each line of their input.
type nameserverUse struct {
	Port  uint16        `json:"port"`  // of all of them
	Asked int64         `json:"asked"` // datagrams that came
	CPU   time.Duration `json:"cpu"`   // used so far
}

// The servers, on loopback: so many addresses of each kind as a domain has on the internet.
var (
	rootServers     = addresses("127.83.0", 13)
	registryServers = addresses("127.83.1", 8)
	platformServers = addresses("127.83.2", 2)
	hostServers     = addresses("127.83.3", 16) // of healthy domains, each of which has two
	deadServers     = addresses("127.83.4", 4)  // read and never answer
	resolverServers = addresses("127.83.5", 3)
)

const socketBuffer = 4 << 20 // bytes; here a burst must not be lost before it is read

func addresses(network string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s.%d", network, i+1)
	}
	return list
}

// serveNames runs all name servers until the input ends.
func serveNames(in io.Reader, out io.Writer) error {
	tree := newTree()
	servers := map[string]func(*dns.Msg) *dns.Msg{}
	for _, address := range slices.Concat(rootServers, registryServers, platformServers, hostServers) {
		servers[address] = func(q *dns.Msg) *dns.Msg { return tree.authoritative(q, address) }
	}
	for _, address := range deadServers {
		servers[address] = func(*dns.Msg) *dns.Msg { return nil }
	}
	for _, address := range resolverServers {
		servers[address] = tree.recursive
	}
	sockets, err := listenAll(servers)
	if err != nil {
		return err
	}
	ended := make(chan error, len(sockets))
	var asked atomic.Int64
	for address, socket := range sockets {
		answer := servers[address]
		server := &dns.Server{PacketConn: socket, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			asked.Add(1)
			if m := answer(q); m != nil {
				w.WriteMsg(m) //nolint:errcheck // who asked may have gone
			}
		})}
		go func() { ended <- server.ActivateAndServe() }()
	}
	port := uint16(sockets[rootServers[0]].LocalAddr().(*net.UDPAddr).Port) //nolint:errcheck // a UDP socket has such an address
	lines := make(chan struct{})
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(in); scanner.Scan(); {
			lines <- struct{}{}
		}
	}()
	for {
		select {
		case err := <-ended:
			return fmt.Errorf("a name server ended: %w", err)
		case _, more := <-lines:
			if !more {
				return nil
			}
		}
		if err := json.NewEncoder(out).Encode(nameserverUse{Port: port, Asked: asked.Load(), CPU: cpuOfProcess()}); err != nil {
			return err
		}
	}
}

// cpuOfProcess is the processor time that this process has used.
func cpuOfProcess() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// listenAll finds a port that is free at every address.
func listenAll(servers map[string]func(*dns.Msg) *dns.Msg) (map[string]net.PacketConn, error) {
	for range 20 {
		sockets, port := map[string]net.PacketConn{}, "0"
		var err error
		for address := range servers {
			var socket net.PacketConn
			if socket, err = net.ListenPacket("udp", net.JoinHostPort(address, port)); err != nil {
				break
			}
			err = socket.(*net.UDPConn).SetReadBuffer(socketBuffer) //nolint:errcheck // a UDP socket is one
			sockets[address] = socket
			_, port, _ = net.SplitHostPort(socket.LocalAddr().String()) // what a socket says of itself has a port
		}
		if err == nil {
			return sockets, nil
		}
		for _, socket := range sockets {
			_ = socket.Close() // nothing was sent
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, err
		}
	}
	return nil, errors.New("no port is free at every address")
}

// zone is a zone, and where it is served.
type zone struct {
	soa     dns.RR
	ns      []dns.RR
	glue    []dns.RR
	servers []string
}

func (z *zone) dead() bool { return slices.Contains(deadServers, z.servers[0]) }

// tree is all zones. It is written once and read by all servers.
type tree struct {
	zones   map[string]*zone
	records map[string][]dns.RR // of each name that exists; none of some
}

// newTree has the root, the registry of test, the platform, a hosting provider that gives the servers of all domains their names,
// and every domain of the bench with the records that its tenant was asked for.
func newTree() *tree {
	t := &tree{zones: map[string]*zone{}, records: map[string][]dns.RR{}}
	t.zone(".", rootServers)
	t.zone("test.", registryServers)
	t.zone("provider.test.", platformServers)
	t.zone("platform.test.", platformServers)
	t.zone("dcv.platform.test.", platformServers)
	t.record("shops.platform.test. 300 IN A 127.83.2.9")
	for i := range diagnosesAtOnce {
		t.domain(healthyName(i), []string{hostServers[2*i%16], hostServers[(2*i+1)%16]})
		if isDead(i) {
			t.domain(deadName(i), []string{deadServers[i/10*2%4], deadServers[(i/10*2+1)%4]})
		}
	}
	return t
}

func (t *tree) domain(name string, servers []string) {
	t.zone(cert.RegisteredDomain(name)+".", servers)
	for _, r := range expectedOf(name) {
		value := r.Value
		switch r.Type {
		case "TXT":
			value = `"` + value + `"`
		case "CNAME":
			value += "."
			if r.Purpose == cert.ForDelegation {
				t.exists(value)
			}
		}
		t.record(fmt.Sprintf("%s. 300 IN %s %s", r.Name, r.Type, value))
	}
}

// zone adds one; its servers are named after their addresses, in the provider's zone.
func (t *tree) zone(name string, servers []string) {
	z := &zone{servers: servers}
	z.soa = t.record(name + " 300 IN SOA ns.provider.test. hostmaster.provider.test. 1 3600 600 86400 60")
	for _, address := range servers {
		ip := net.ParseIP(address).To4()
		host := fmt.Sprintf("ns%d-%d.provider.test.", ip[2], ip[3])
		z.ns = append(z.ns, t.record(name+" 300 IN NS "+host))
		if len(t.records[host]) == 0 {
			t.record(host + " 300 IN A " + address)
		}
		z.glue = append(z.glue, t.records[host][0])
	}
	t.zones[name] = z
}

func (t *tree) record(text string) dns.RR {
	rr, err := dns.NewRR(text)
	if err != nil {
		panic(err) // the bench wrote it
	}
	name := rr.Header().Name
	t.exists(name)
	t.records[name] = append(t.records[name], rr)
	return rr
}

// exists notes that a name, and all above it, exist.
func (t *tree) exists(name string) {
	for _, at := range dns.Split(name) {
		if _, known := t.records[name[at:]]; !known {
			t.records[name[at:]] = nil
		}
	}
}

// find is the smallest zone that a name is in, of those that ok accepts.
func (t *tree) find(name string, ok func(zone string, z *zone) bool) (string, *zone) {
	for _, at := range append(dns.Split(name), len(name)-1) {
		if z := t.zones[name[at:]]; z != nil && ok(name[at:], z) {
			return name[at:], z
		}
	}
	return "", nil
}

// authoritative answers as the server at that address does: with what is in its zones, or a referral to the zone below.
func (t *tree) authoritative(q *dns.Msg, address string) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	if q.IsEdns0() != nil {
		m.SetEdns0(1232, q.IsEdns0().Do())
	}
	name, qtype := dns.CanonicalName(q.Question[0].Name), q.Question[0].Qtype
	above := func(zone string) bool { return qtype == dns.TypeDS && zone == name && zone != "." } // DS stands with the parent (RFC 4035 §3.1.4.1)
	_, mine := t.find(name, func(zone string, z *zone) bool { return slices.Contains(z.servers, address) && !above(zone) })
	_, deepest := t.find(name, func(zone string, _ *zone) bool { return !above(zone) })
	switch {
	case mine == nil:
		m.Rcode = dns.RcodeRefused
	case deepest != mine:
		m.Ns, m.Extra = deepest.ns, append(m.Extra, deepest.glue...)
	default:
		m.Authoritative = true
		t.answer(m, name, qtype, mine)
	}
	return m
}

// answer puts in what stands at a name, and returns where it leads.
func (t *tree) answer(m *dns.Msg, name string, qtype uint16, z *zone) (alias string) {
	records, exists := t.records[name]
	for _, rr := range records {
		if kind := rr.Header().Rrtype; kind == qtype || kind == dns.TypeCNAME {
			m.Answer = append(m.Answer, rr)
			if cname, ok := rr.(*dns.CNAME); ok && qtype != dns.TypeCNAME {
				return cname.Target
			}
		}
	}
	if !exists {
		m.Rcode = dns.RcodeNameError
	}
	if len(m.Answer) == 0 || m.Answer[len(m.Answer)-1].Header().Rrtype != qtype {
		m.Ns = []dns.RR{z.soa}
	}
	return ""
}

// recursive answers as a resolver does that knows everything, and says nothing of zones whose servers are dead: on the internet it
// would say SERVFAIL, after longer than anybody waits.
func (t *tree) recursive(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	if q.IsEdns0() != nil {
		m.SetEdns0(1232, false)
	}
	name, qtype := dns.CanonicalName(q.Question[0].Name), q.Question[0].Qtype
	for name != "" {
		_, z := t.find(name, func(string, *zone) bool { return true })
		if z.dead() {
			return nil
		}
		name = t.answer(m, name, qtype, z)
	}
	return m
}

// runNameservers is main in the other role.
func runNameservers() {
	if err := serveNames(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench: name servers:", err)
		os.Exit(1)
	}
}
