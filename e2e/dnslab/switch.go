package dnslab

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Fault is how a Switch treats what it is asked.
type Fault int32

// The faults.
const (
	Healthy  Fault = iota // questions go to the server behind, and its answers back
	Silent                // questions vanish, as behind a firewall that drops them
	ServFail              // SERVFAIL, as of a server that has lost its zones
	Refuses               // REFUSED, as of a server that was never told of the zone
)

// Switch stands in front of a server, over UDP and TCP, and can break what passes.
type Switch struct {
	Address string // host:port

	behind string // host:port; empty: nothing is there
	fault  atomic.Int32
	asked  atomic.Int64
	ctx    context.Context // the life of what the listeners started
	wg     sync.WaitGroup
}

// StartSwitch listens on port 53 of the address until the test ends. Behind is the host:port of a server.
func StartSwitch(t testing.TB, address, behind string, fault Fault) *Switch {
	t.Helper()
	s := &Switch{Address: net.JoinHostPort(address, "53"), behind: behind}
	s.Set(fault)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	s.ctx = ctx
	packets, err := net.ListenPacket("udp", s.Address)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", s.Address)
	if err != nil {
		t.Fatal(err)
	}
	context.AfterFunc(ctx, func() {
		_ = packets.Close() // both end the loops below
		_ = listener.Close()
	})
	s.wg.Go(func() { s.servePackets(packets) })
	s.wg.Go(func() { s.serveStreams(listener) })
	t.Cleanup(func() {
		cancel()
		s.wg.Wait()
	})
	return s
}

// StartSilent stands for a server that is down: port 53 of the address takes questions and never answers. Without it the
// kernel would say at once that nobody listens, which hosts on the internet seldom do.
func StartSilent(t testing.TB, address string) *Switch {
	t.Helper()
	return StartSwitch(t, address, "", Silent)
}

// Set changes what happens to the questions that come from now on.
func (s *Switch) Set(fault Fault) { s.fault.Store(int32(fault)) }

// Asked counts the questions that came.
func (s *Switch) Asked() int64 { return s.asked.Load() }

func (s *Switch) servePackets(packets net.PacketConn) {
	buffer := make([]byte, dns.MaxMsgSize)
	for {
		n, from, err := packets.ReadFrom(buffer)
		if err != nil {
			return // the test has ended
		}
		question := append([]byte(nil), buffer[:n]...)
		s.wg.Go(func() {
			if answer := s.answer("udp", question); answer != nil {
				_, _ = packets.WriteTo(answer, from) // who asked shows in the test when nothing came
			}
		})
	}
}

func (s *Switch) serveStreams(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return // the test has ended
		}
		s.wg.Go(func() {
			defer conn.Close() //nolint:errcheck // nothing is left to flush
			stop := context.AfterFunc(s.ctx, func() { _ = conn.Close() })
			defer stop()
			for {
				question, err := readFrame(conn)
				if err != nil {
					return
				}
				if answer := s.answer("tcp", question); answer != nil {
					_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)) //nolint:gosec // no frame is longer
				}
			}
		})
	}
}

// answer passes a question on, or does as the fault says. Nil is no answer.
func (s *Switch) answer(network string, question []byte) []byte {
	s.asked.Add(1)
	switch Fault(s.fault.Load()) {
	case ServFail:
		return failure(question, dns.RcodeServerFailure)
	case Refuses:
		return failure(question, dns.RcodeRefused)
	case Healthy:
		answer, err := s.pass(network, question)
		if err != nil {
			return nil // as if the server behind were down
		}
		return answer
	case Silent:
	}
	return nil
}

func failure(question []byte, rcode int) []byte {
	asked := new(dns.Msg)
	if asked.Unpack(question) != nil {
		return nil
	}
	answer, err := new(dns.Msg).SetRcode(asked, rcode).Pack()
	if err != nil {
		return nil
	}
	return answer
}

// pass asks the server behind, byte for byte.
func (s *Switch) pass(network string, question []byte) ([]byte, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(s.ctx, network, s.behind)
	if err != nil {
		return nil, err
	}
	defer conn.Close() //nolint:errcheck // nothing is left to flush
	stop := context.AfterFunc(s.ctx, func() { _ = conn.Close() })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, err
	}
	if network == "tcp" {
		length := uint16(len(question)) //nolint:gosec // it came in a frame
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, length), question...)); err != nil {
			return nil, err
		}
		return readFrame(conn)
	}
	if _, err := conn.Write(question); err != nil {
		return nil, err
	}
	buffer := make([]byte, dns.MaxMsgSize)
	n, err := conn.Read(buffer)
	return buffer[:n], err
}

// readFrame reads a message with its length in front (RFC 1035 §4.2.2).
func readFrame(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(r, message)
	return message, err
}
