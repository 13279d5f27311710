package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/miekg/dns" //nolint:depguard // the name servers that the bench asks are its own
)

// nameserversRole as the first argument, before the number of domains, makes this program the name servers of the other one, so that their
// processor time and memory are not taken for those of the diagnoses. It ends when its input ends.
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
func serveNames(domains int, in io.Reader, out io.Writer) error {
	tree := newTree(domains)
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
	sockets, port, err := listenAll(servers)
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
		if err := json.NewEncoder(out).Encode(nameserverUse{Port: uint16(port), Asked: asked.Load(), CPU: cpuOfProcess()}); err != nil {
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
func listenAll(servers map[string]func(*dns.Msg) *dns.Msg) (sockets map[string]*net.UDPConn, port int, err error) {
	for range 20 {
		sockets, port, err = map[string]*net.UDPConn{}, 0, nil
		for address := range servers {
			var socket *net.UDPConn
			if socket, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(address), Port: port}); err != nil {
				break
			}
			sockets[address] = socket
			if err = socket.SetReadBuffer(socketBuffer); err != nil {
				break
			}
			port = int(netip.MustParseAddrPort(socket.LocalAddr().String()).Port())
		}
		if err == nil {
			return sockets, port, nil
		}
		for _, socket := range sockets {
			_ = socket.Close() // nothing was sent
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, 0, fmt.Errorf("listen for the name servers on loopback: %w", err)
}

// runNameservers is main in the other role.
func runNameservers() {
	domains, err := strconv.Atoi(os.Args[2])
	if err == nil {
		err = serveNames(domains, os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: name servers:", err)
		os.Exit(1)
	}
}
