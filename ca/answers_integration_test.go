package ca_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/evercert/evercert/cert"
)

// oddAnswers are the ways in which the fault proxy changes an answer. With "garble" the CA has acted; "refuse" and "redirect" answer
// instead of the CA.
var oddAnswers = []string{
	"garble:empty", "garble:null", "garble:list", "garble:object", "garble:text", "garble:html", "garble:cut", "garble:long", "garble:numbers",
	"garble:retyped", "garble:relative", "truncate",
	"refuse:403:empty", "refuse:403:null", "refuse:403:list", "refuse:403:html", "refuse:403:cut", "refuse:403:numbers", "refuse:500:null",
	"redirect:302", "redirect:307", "rate-limit:0", "html-503:0",
}

// steps are all requests of an order. The list of orders is requested when the answer to a newOrder was lost.
var steps = []struct{ name, path string }{
	{"directory", "directory"},
	{"newNonce", "newNonce"},
	{"newAccount", "newAccount"},
	{"account", "/my-account/"},
	{"orders", "/list-orderz/"},
	{"newOrder", "newOrder"},
	{"order", "order"},
	{"authz", "authz"},
	{"challenge", "challenge"},
	{"finalize", "finalize"},
	{"certificate", "certificate"},
}

// takenFor returns how an odd answer to a step must be treated. A fault is retried; "issued" means that the order completed without an
// error.
func takenFor(step, odd string) string {
	kind, _, _ := strings.Cut(odd, ":")
	// What matters of these answers is in a header, or is read again.
	bodyIsIdle := slices.Contains([]string{"newNonce", "newAccount", "newOrder", "challenge", "finalize"}, step)
	switch {
	case kind == "rate-limit", kind == "html-503":
		return string(cert.Wait)
	case odd == "garble:retyped", odd == "garble:relative":
		return "issued"
	case bodyIsIdle && (kind == "garble" || kind == "truncate"):
		return "issued"
	case step == "orders" && (kind == "garble" || strings.HasPrefix(odd, "refuse:403")): // few CAs have such a list
		return "issued"
	}
	return "fault"
}

// TestF21_NoAnswerOfACAEndsAProcessOrCountsAsAFailure gives every odd answer to every request of an order, twice in a row, and then lets
// the CA answer. It prints how each answer was treated, as a table.
func TestF21_NoAnswerOfACAEndsAProcessOrCountsAsAFailure(t *testing.T) {
	t.Parallel()
	p := newPebble(t, "retry-after=0")
	table := map[string][]string{}
	counted := 0
	for s, step := range steps {
		for o, odd := range oddAnswers {
			i := &oddIssuance{p, step.path, odd, fmt.Sprintf("odd-%d-%d.empty.test", s, o)}
			class := i.run(t)
			table[step.name] = append(table[step.name], class)
			if want := takenFor(step.name, odd); class != want {
				t.Errorf("%s at %s was taken for %q; want %q", odd, step.name, class, want)
			}
			if class == string(cert.Refused) || class == string(cert.Parked) || class == string(cert.OrderGone) {
				counted++
			}
		}
	}
	t.Log("\n" + show(table))
	t.Logf("%d cells, 0 processes ended (this one runs), %d false failures or lost orders", len(steps)*len(oddAnswers), counted)
}

// oddIssuance is one issuance at a CA that gives odd answers at one path.
type oddIssuance struct {
	*pebble
	path, odd, name string
}

// run returns how the odd answer was treated. Afterwards the issuance must end with the one certificate of its one order.
func (i *oddIssuance) run(t *testing.T) (class string) {
	t.Helper()
	p := &pebble{t, i.stack, i.config, i.accounts, i.sealer}
	if i.path == "newAccount" {
		p.accounts = newAccounts()
	}
	work := newIssuance(t, p.process(), i.name)
	work.tried = i.path == "/my-account/" || i.path == "/list-orderz/" // as after a lost answer
	p.atCA(http.MethodPost, "reset", nil, nil)
	i.fault(p, i.odd)
	class = "issued"
	for range 2 {
		if _, err := work.attempt(t.Context()); err != nil {
			class = classOf(err)
		}
	}
	i.fault(p, "none")
	if _, err := work.run(t); err != nil {
		t.Errorf("after %s at %s, with the CA well again: %v", i.odd, i.path, err)
	}
	var got caStats
	p.atCA(http.MethodGet, "stats", nil, &got)
	if got.Rejected = 0; got != (caStats{Orders: 1, Finalizes: 1, Certificates: 1}) {
		t.Errorf("after %s at %s the CA counted %+v", i.odd, i.path, got)
	}
	return class
}

func (i *oddIssuance) fault(p *pebble, action string) {
	p.t.Helper()
	p.atCA(http.MethodPost, "faults", map[string]any{"path": i.path, "action": action, "times": 0}, nil)
}

// atCA calls the control endpoint of the CA.
func (p *pebble) atCA(method, what string, order, answer any) {
	p.t.Helper()
	if err := control(p.t.Context(), method, p.stack.Info().CAControl+"/"+what, order, answer); err != nil {
		p.t.Fatal(err)
	}
}

// classOf returns what an error means to the workflow: an outcome, or a fault, which Temporal retries.
func classOf(err error) string {
	if f := (*cert.Failure)(nil); errors.As(err, &f) {
		return string(f.Outcome)
	}
	return "fault"
}

// show formats the table: a row for each odd answer, a column for each step.
func show(table map[string][]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-20s", "")
	for _, step := range steps {
		fmt.Fprintf(&b, " %-11s", step.name)
	}
	for o, odd := range oddAnswers {
		fmt.Fprintf(&b, "\n%-20s", odd)
		for _, step := range steps {
			fmt.Fprintf(&b, " %-11s", table[step.name][o])
		}
	}
	return b.String()
}
