package authority_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/resolver/authority"
)

// world is a tree of DNS on loopback: name servers at addresses of their own that share one port, over UDP and TCP. They give
// referrals, answer below wildcards, sign with DNSSEC, and misbehave to order. They don't simulate caches.
type world struct {
	t       testing.TB
	network string // "127.1.2."
	port    int
	hosts   []*nameserver
	mu      sync.Mutex // for all that a test changes while servers run
}

var worlds atomic.Int64

// newWorld starts that many name servers without zones; $1 in zones is the address of the first. They end with the test.
func newWorld(t testing.TB, hosts int) *world {
	t.Helper()
	n := worlds.Add(1)
	w := &world{t: t, network: fmt.Sprintf("127.%d.%d.", 20+n/200, 1+n%200)}
	for range 20 {
		if w.open(hosts) {
			for _, h := range w.hosts {
				h.start(t)
			}
			return w
		}
	}
	t.Fatal("no port is free on all addresses")
	return nil
}

// open finds a port that is free on all addresses, for UDP and TCP.
func (w *world) open(hosts int) bool {
	w.port, w.hosts = 0, nil
	for i := range hosts {
		packets, err := net.ListenPacket("udp", fmt.Sprintf("%s%d:%d", w.network, i+1, w.port))
		if err == nil {
			w.port = packets.LocalAddr().(*net.UDPAddr).Port
			h := &nameserver{world: w, packets: packets, zones: map[string]*zone{}, asked: map[string]int{}}
			w.hosts = append(w.hosts, h)
			h.listener, err = net.Listen("tcp", packets.LocalAddr().String())
		}
		if err != nil {
			for _, h := range w.hosts {
				_ = h.packets.Close()
				if h.listener != nil {
					_ = h.listener.Close()
				}
			}
			return false
		}
	}
	return true
}

func (w *world) fill(text string) string {
	for i := len(w.hosts); i > 0; i-- {
		text = strings.ReplaceAll(text, fmt.Sprintf("$%d", i), fmt.Sprintf("%s%d", w.network, i))
	}
	return text
}

// zone puts a zone onto servers, the first being number 1. It gets a SOA record unless it has one.
func (w *world) zone(name, text string, hosts ...int) *zone {
	w.t.Helper()
	z := &zone{t: w.t, mu: &w.mu, name: name, sets: map[string][]dns.RR{}, exists: map[string]bool{name: true}}
	z.add(name + " 60 SOA ns hostmaster 1 60 60 60 60")
	z.add(w.fill(text))
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range hosts {
		w.hosts[h-1].zones[name] = z
	}
	return z
}

// twist makes servers do something else with every reply; nil is silence.
func (w *world) twist(how func(m *dns.Msg, network string) *dns.Msg, hosts ...int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range hosts {
		w.hosts[h-1].twist = how
	}
}

// config is of a diagnosis in this world, whose first server is the root.
func (w *world) config() authority.Config {
	return authority.Config{
		Roots: []string{fmt.Sprintf("%s1:%d", w.network, w.port)}, Port: uint16(w.port), QueryTimeout: 10 * time.Second, // a busy machine is slow
	}
}

// impatient is for tests with servers that never answer.
func impatient(config *authority.Config) { config.QueryTimeout = 2 * time.Second }

func (w *world) tree(change ...func(*authority.Config)) *authority.Tree {
	config := w.config()
	for _, c := range change {
		c(&config)
	}
	require.NoError(w.t, config.Validate())
	return authority.NewTree(config)
}

func (w *world) find(name string, change ...func(*authority.Config)) *authority.Zone {
	w.t.Helper()
	z, err := w.tree(change...).Zone(w.context(), name)
	require.NoError(w.t, err)
	return z
}

func (w *world) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	w.t.Cleanup(cancel)
	return ctx
}

// asked counts the packets that a server got, for all questions or those given as "name TYPE" or "name TYPE network".
func (w *world) asked(host int, questions ...string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for key, times := range w.hosts[host-1].asked {
		match := func(q string) bool { return key == q || strings.HasPrefix(key, q+" ") }
		if len(questions) == 0 || slices.ContainsFunc(questions, match) {
			n += times
		}
	}
	return n
}

// nameserver is one of them.
type nameserver struct {
	world    *world
	packets  net.PacketConn
	listener net.Listener
	zones    map[string]*zone
	twist    func(m *dns.Msg, network string) *dns.Msg
	asked    map[string]int // packets by "name TYPE network"
}

func (h *nameserver) start(t testing.TB) {
	for _, srv := range []*dns.Server{{PacketConn: h.packets, Handler: h}, {Listener: h.listener, Handler: h}} {
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

// ServeDNS answers as the zones and the twist have it.
func (h *nameserver) ServeDNS(rw dns.ResponseWriter, q *dns.Msg) {
	network := rw.LocalAddr().Network()
	name := dns.CanonicalName(q.Question[0].Name)
	m := new(dns.Msg).SetReply(q)
	m.Compress = true
	if opt := q.IsEdns0(); opt != nil {
		m.SetEdns0(opt.UDPSize(), opt.Do())
	}
	h.world.mu.Lock()
	defer h.world.mu.Unlock()
	h.asked[name+" "+dns.TypeToString[q.Question[0].Qtype]+" "+network]++
	if z := h.holder(name, q.Question[0].Qtype); z != nil {
		z.answer(m, name, q.Question[0].Qtype)
	} else {
		m.Rcode = dns.RcodeRefused
	}
	if h.twist != nil {
		if m = h.twist(m, network); m == nil {
			return
		}
	}
	if opt := q.IsEdns0(); network == "udp" && opt != nil {
		m.Truncate(int(opt.UDPSize()))
	} else if network == "udp" {
		m.Truncate(dns.MinMsgSize)
	}
	if _, err := m.Pack(); err != nil {
		h.world.t.Errorf("the test's DNS server has no answer about %s: %v", name, err)
	}
	_ = rw.WriteMsg(m) // whoever has gone needs no answer
}

// holder is the zone that the name is answered from: the deepest, and for DS the one above it (RFC 4035 §3.1.4.1).
func (h *nameserver) holder(name string, qtype uint16) *zone {
	for first := true; ; first = false {
		z := h.zones[name]
		if z != nil && (qtype != dns.TypeDS || !first || name == ".") {
			return z
		}
		if name == "." {
			return nil
		}
		next, end := dns.NextLabel(name, 0)
		if name = name[next:]; end {
			name = "."
		}
	}
}
