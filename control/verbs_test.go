package control_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/workflows"
)

func TestE3_VerbsReachTheWorkflowOfTheDomainThatHasTheName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com", "shop.example.org")
	verbs := []struct {
		verb string
		call func(context.Context, control.Request) (cert.Answer, error)
	}{
		{workflows.CheckNow, b.Check},
		{workflows.RequestCertificate, b.RequestCertificate},
		{workflows.Pause, b.Pause},
		{workflows.Resume, b.Resume},
		{workflows.Remove, b.Remove},
	}
	var want []string
	for _, v := range verbs {
		answer, err := v.call(t.Context(), control.Request{Name: "SHOP.example.org.", By: "ann", Reason: "asked by phone"})
		if err != nil || answer.Hostname != "shop.example.com" || answer.Message != "done" {
			t.Errorf("%s: %+v, %v", v.verb, answer, err)
		}
		want = append(want, v.verb+" shop.example.com {ID: By:ann Reason:asked by phone}")
	}
	if got := b.workflows.Asked(); !slices.Equal(got, want) {
		t.Errorf("asked %q", got)
	}
}

func TestA3_TheWorkflowsRefusalOfARedirectReachesThePerson(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com")
	b.workflows.Reply = func(_, verb string, argument any) (cert.Answer, error) {
		if r, ok := argument.(workflows.RedirectRequest); verb == workflows.SetRedirect && ok && r.On {
			return cert.Answer{}, cert.Problem{Code: cert.RequestRefused, Message: "only after Installation complete"}
		}
		return cert.Answer{Message: "off"}, nil
	}
	request := control.Request{Name: "shop.example.com", By: "ann"}
	if _, err := b.SetRedirect(t.Context(), request, true); code(t, err) != cert.RequestRefused || control.IsFault(err) {
		t.Errorf("on: %v", err)
	}
	if answer, err := b.SetRedirect(t.Context(), request, false); err != nil || answer.Message != "off" {
		t.Errorf("off: %+v, %v", answer, err)
	}
}

func TestVerbsToARemovedDomainAreRefusedAndRemovingAgainIsNot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com")
	b.store.Record("shop.example.com", func(s *cert.Snapshot) { s.Status.Domain = cert.DomainRemoved })
	b.workflows.Stop("shop.example.com")
	request := control.Request{Name: "shop.example.com", By: "ann"}
	if _, err := b.Check(t.Context(), request); code(t, err) != cert.RequestRefused || !strings.Contains(err.Error(), "was removed") {
		t.Errorf("check: %v", err)
	}
	if answer, err := b.Remove(t.Context(), request); err != nil || answer.Headline != cert.Removed {
		t.Errorf("remove: %+v, %v", answer, err)
	}
}

func TestF22_AVerbStartsAWorkflowThatSomebodyEndedFromWhatItKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com")
	request := control.Request{Name: "shop.example.com", By: "ann"}
	for verb, ask := range map[string]func(context.Context, control.Request) (cert.Answer, error){
		"check-now": b.Check, "pause": b.Pause, "remove": b.Remove,
	} {
		b.workflows.Stop("shop.example.com")
		if answer, err := ask(t.Context(), request); err != nil || answer.Hostname != "shop.example.com" {
			t.Errorf("%s: %+v, %v", verb, answer, err)
		}
		asked := b.workflows.Asked()
		if n := len(asked); n < 2 || asked[n-2] != "resume shop.example.com: its workflow was not running when somebody asked for "+verb ||
			!strings.HasPrefix(asked[n-1], verb) {
			t.Errorf("%s: asked %q", verb, asked)
		}
	}
}

func TestF22_AWorkflowThatEndsAtOnceIsSaidToBeMissing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com")
	b.workflows.Reply = func(string, string, any) (cert.Answer, error) { return cert.Answer{}, control.ErrNotRunning }
	_, err := b.Check(t.Context(), control.Request{Name: "shop.example.com"})
	if !errors.Is(err, control.ErrNotRunning) || code(t, err) != cert.InternalError ||
		!strings.Contains(err.Error(), "domain:shop.example.com") {
		t.Errorf("got %v", err)
	}
}

func TestNamesThatNobodyConnectedAreUnknown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, want := range map[string]cert.Code{
		"other.example.com":  cert.DomainUnknown,
		"shop..example.com":  cert.NameInvalid,
		"edge.example.net":   cert.NameReserved, // says more than "unknown"
		"no.such.suffix.foo": cert.DomainUnknown,
	} {
		if _, err := b.Status(t.Context(), name); code(t, err) != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

func TestADomainThatTheRulesNoLongerAllowCanStillBeManaged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.store.Connect(t.Context(), cert.Domain{
		ID: "1", Hostname: "old.internal", Names: []string{"old.internal"},
		Tenant: "acme",
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Remove(t.Context(), control.Request{Name: "OLD.internal."}); err != nil {
		t.Error(err)
	}
}

func TestA5_SupportHandsBackADomainWithAnOpenCaseOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com", "shop.example.org")
	request := control.Request{Name: "shop.example.org", By: "sue", Reason: "CAA fixed"}
	if _, err := b.HandBack(t.Context(), request); code(t, err) != cert.RequestRefused || !strings.Contains(err.Error(), "no open case") {
		t.Errorf("without a case: %v", err)
	}
	b.store.Record("shop.example.com", func(s *cert.Snapshot) { s.Status.Escalated = true })
	b.store.OpenCases = []cert.Case{{ID: "7/1", Hostname: "other.example.com"}, {ID: "8/3", Hostname: "shop.example.com"}}
	if answer, err := b.HandBack(t.Context(), request); err != nil || answer.Hostname != "shop.example.com" {
		t.Errorf("with a case: %+v, %v", answer, err)
	}
	if got := b.workflows.Asked(); !slices.Equal(
		got,
		[]string{"handed-back shop.example.com {Request:{ID: By:sue Reason:CAA fixed} Case:8/3}"},
	) {
		t.Errorf("asked %q", got)
	}
}

func TestFaultsAndAnswersAreToldApart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com")
	b.workflows.SetDown(true)
	_, err := b.Check(t.Context(), control.Request{Name: "shop.example.com"})
	if code(t, err) != cert.Unavailable || !control.IsFault(err) {
		t.Errorf("Temporal is down: %v", err)
	}
	if err := b.Ready(t.Context()); code(t, err) != cert.Unavailable || !strings.Contains(err.Error(), "Temporal does not answer") {
		t.Errorf("ready: %v", err)
	}
	b.store.Fail(errors.New("connection refused"))
	if err := b.Ready(t.Context()); !strings.Contains(err.Error(), "PostgreSQL does not answer") {
		t.Errorf("ready: %v", err)
	}
	if _, err := b.Status(t.Context(), "shop.example.com"); !control.IsFault(err) || cert.AsProblem(err).Code != cert.InternalError {
		t.Errorf("PostgreSQL is down: %v", err)
	}
}
