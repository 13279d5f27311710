package lookup

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
)

// View is DNS as one source shows it during one diagnosis. It is safe for concurrent use: a question is sent once, however many
// checks need its answer.
type View struct {
	source source
	probe  string   // a label that nobody has added
	stops  []string // canonical names at which aliases are not followed further, see StopsAt

	mu       sync.Mutex
	asked    map[dns.Question]*reply
	answered map[string]bool // servers that answered a question
	silent   map[string]bool // servers that a question timed out at
}

// source is whom a View asks.
type source interface {
	// ask returns any message that answers the question, whatever its rcode. Errors are ErrTimeout, *BogusError and others that
	// a tenant may read.
	ask(ctx context.Context, name string, qtype uint16) (*dns.Msg, error)
	role() cert.ServerRole
	// server names who is asked about a name.
	server(name string) string
	// delegatedTo returns the name servers of a name that was asked for before and is a zone of its own; nil where it isn't, or nothing is
	// known.
	delegatedTo(name string) []string
}

// reply is the result of one question.
type reply struct {
	once sync.Once
	msg  *dns.Msg
	err  error
}

func newView(s source, stops []string) *View {
	return &View{
		source: s, probe: "evercert-" + strings.ToLower(rand.Text()), stops: stops,
		asked: map[dns.Question]*reply{}, answered: map[string]bool{}, silent: map[string]bool{},
	}
}

// Role returns which kind of servers this View asks.
func (v *View) Role() cert.ServerRole { return v.source.role() }

// Server returns the server that this View asks about a name, for people who compare servers: "ns1.example.net (192.0.2.53)", or a
// resolver's address.
func (v *View) Server(name string) string { return v.source.server(name) }

// Beside returns a name beside another that nobody has added: it has records only where a wildcard record answers for it (RFC 4592).
func (v *View) Beside(name string) string {
	_, above, _ := strings.Cut(name, ".")
	return v.probe + "." + above
}

// Below returns a name below another that nobody has added, as Beside does.
func (v *View) Below(name string) string { return v.probe + "." + name }

// DelegatedTo returns the name servers of a name that this View was asked for before and that is a zone of its own, below the zones of the
// tenant's names; nil where it isn't, and from resolvers.
func (v *View) DelegatedTo(name string) []string { return v.source.delegatedTo(name) }

// Lookup asks for a name and type, and follows CNAME records further where the server stopped. Failures are in Answer.Err.
func (v *View) Lookup(ctx context.Context, name string, qtype uint16) Answer {
	a := Answer{Name: dns.CanonicalName(name)}
	for {
		m, err := v.ask(ctx, a.End(), qtype)
		if err != nil {
			a.Err = err
			return a
		}
		if finished := a.extend(m, qtype); finished || len(a.Aliases) > 0 && qtype != dns.TypeCAA && v.StopsAt(a) {
			return a
		}
	}
}

// LookupAddresses asks for both families of a name's addresses, at once.
func (v *View) LookupAddresses(ctx context.Context, name string) Addresses {
	var found Addresses
	var wg sync.WaitGroup
	wg.Go(func() { found.A = v.Lookup(ctx, name, dns.TypeA) })
	wg.Go(func() { found.AAAA = v.Lookup(ctx, name, dns.TypeAAAA) })
	wg.Wait()
	return found
}

// LookupAliases follows CNAME records one question at a time. It shows a tenant's records also where the servers of what they lead to
// give no answer: Answer.Err is set then, and Aliases has the way to there.
func (v *View) LookupAliases(ctx context.Context, name string) Answer {
	a := Answer{Name: dns.CanonicalName(name)}
	for {
		m, err := v.ask(ctx, a.End(), dns.TypeCNAME)
		if err != nil {
			a.Err = err
			return a
		}
		if next := aliasAt(m, a.End()); next == "" || !a.follow(next) {
			return a
		}
	}
}

// Exists reports whether the name exists, with records of the type or without. The error is Answer.Err's.
func (v *View) Exists(ctx context.Context, name string, qtype uint16) (bool, error) {
	m, err := v.ask(ctx, dns.CanonicalName(name), qtype)
	return err == nil && m.Rcode == dns.RcodeSuccess, err
}

// StopsAt reports whether an answer ended at one of the platform's own names, where this View does not ask further: one View of
// several is enough for what is there. CAA records are an exception, because those at the end of an alias count for the alias
// (RFC 8659 §3).
func (v *View) StopsAt(a Answer) bool {
	return len(a.Records) == 0 && slices.Contains(v.stops, a.End())
}

// Complete reports whether this View follows every alias to its end.
func (v *View) Complete() bool { return len(v.stops) == 0 }

// ask sends a question, or waits for the answer to the same one sent before.
func (v *View) ask(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	question := dns.Question{Name: name, Qtype: qtype, Qclass: dns.ClassINET}
	server := v.source.server(name)
	v.mu.Lock()
	r := v.asked[question]
	if r == nil {
		r = &reply{}
		v.asked[question] = r
	}
	// A server that timed out and has answered nothing is not asked again: the checks that follow would each wait for the whole limit.
	dead := v.silent[server] && !v.answered[server]
	v.mu.Unlock()
	r.once.Do(func() {
		r.err = ErrTimeout
		if !dead {
			r.msg, r.err = v.source.ask(ctx, name, qtype)
		}
		v.note(server, r.err)
		if r.err == nil {
			r.err = noAnswer(r.msg)
		}
		if _, bogus := errors.AsType[*BogusError](r.err); r.err != nil && !bogus {
			r.err = &ServerError{Asked: fmt.Sprintf("%s (%s)", NoDot(name), dns.TypeToString[qtype]), Server: v.source.server(name), Err: r.err}
		}
	})
	return r.msg, r.err
}

func (v *View) note(server string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case err == nil:
		v.answered[server] = true
	case errors.Is(err, ErrTimeout):
		v.silent[server] = true
	}
}
