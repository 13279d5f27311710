package dnslab

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Quirk is how the odd server (Odd) departs from the standards for a zone. It gets the question and the right answer, which it may change,
// and returns what is sent; nil: nothing is sent.
type Quirk func(asked, right *dns.Msg) *dns.Msg

// Quirks applies several, in order.
func Quirks(quirks ...Quirk) Quirk {
	return func(asked, right *dns.Msg) *dns.Msg {
		for _, quirk := range quirks {
			if right = quirk(asked, right); right == nil {
				return nil
			}
		}
		return right
	}
}

// RefusesTypes answers REFUSED to questions of these types, as some load balancers do to all that they don't balance.
func RefusesTypes(types ...uint16) Quirk {
	return func(asked, right *dns.Msg) *dns.Msg {
		if slices.Contains(types, asked.Question[0].Qtype) {
			return new(dns.Msg).SetRcode(asked, dns.RcodeRefused)
		}
		return right
	}
}

// SilentTo never answers questions of these types.
func SilentTo(types ...uint16) Quirk {
	return func(asked, right *dns.Msg) *dns.Msg {
		if slices.Contains(types, asked.Question[0].Qtype) {
			return nil
		}
		return right
	}
}

// WithoutAA leaves out the bit that says that the server is responsible for the zone.
func WithoutAA(_, right *dns.Msg) *dns.Msg {
	right.Authoritative = false
	return right
}

// LowersCase answers about names in lower case, however they were asked for.
func LowersCase(_, right *dns.Msg) *dns.Msg {
	right.Question[0].Name = strings.ToLower(right.Question[0].Name)
	for _, rr := range slices.Concat(right.Answer, right.Ns) {
		rr.Header().Name = strings.ToLower(rr.Header().Name)
	}
	return right
}

// Takes answers after that time.
func Takes(d time.Duration) Quirk {
	return func(_, right *dns.Msg) *dns.Msg {
		<-time.After(d)
		return right
	}
}

// FailsToValidate answers SERVFAIL unless the question is to be left unchecked (RFC 4035 §3.2.2), as a resolver does whose validation is
// broken.
func FailsToValidate(asked, right *dns.Msg) *dns.Msg {
	if asked.CheckingDisabled {
		return right
	}
	return new(dns.Msg).SetRcode(asked, dns.RcodeServerFailure)
}

// byZone applies to each question the quirk of the smallest zone that the name is in.
func byZone(quirks map[string]Quirk) Quirk {
	return func(asked, right *dns.Msg) *dns.Msg {
		for name := strings.ToLower(strings.TrimSuffix(asked.Question[0].Name, ".")); name != ""; _, name, _ = strings.Cut(name, ".") {
			if quirk := quirks[name]; quirk != nil {
				return quirk(asked, right)
			}
		}
		return right
	}
}

// StartOdd listens on port 53 of the address until the test ends. The server behind, as host:port, gives the right answers.
func StartOdd(t testing.TB, address, behind string, quirk Quirk) {
	t.Helper()
	at := net.JoinHostPort(address, "53")
	packets, err := net.ListenPacket("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	handler := func(network string) dns.HandlerFunc {
		client := &dns.Client{Net: network, Timeout: patience}
		return func(w dns.ResponseWriter, asked *dns.Msg) {
			right, _, err := client.Exchange(asked, behind)
			if err != nil {
				return // who asked shows in the test that nothing came
			}
			if sent := quirk(asked, right); sent != nil {
				_ = w.WriteMsg(sent) // as above
			}
		}
	}
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: handler("udp")}, {Listener: listener, Handler: handler("tcp")}} {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = server.ActivateAndServe() // it ends when its socket is closed
		}()
		t.Cleanup(func() {
			_ = packets.Close()
			_ = listener.Close()
			<-ended
		})
	}
}
