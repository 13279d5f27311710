package cert_test

import (
	"strings"
	"testing"

	"github.com/evercert/evercert/cert"
)

// TestF12_ADomainThatCannotFailOverIsToldAtOnce, and one that can, or that cannot be ordered for at all, is not.
func TestF12_ADomainThatCannotFailOverIsToldAtOnce(t *testing.T) {
	t.Parallel()
	record := &cert.Record{Name: "example.com", Type: "CAA", Value: `0 issue "two.example"`}
	of := func(verdict cert.Verdict, first, second cert.Verdict) cert.Diagnosis {
		return cert.Diagnosis{Verdict: verdict, CAA: []cert.CAAState{{CA: "one", Verdict: first}, {CA: "two", Verdict: second, Record: record}}}
	}
	p, only := cert.OneCAOnly(of(cert.OK, cert.OK, cert.Wrong))
	if !only || p.Severity != cert.Warns || p.Record != record || !strings.Contains(p.Message, "can't fail over") ||
		!strings.Contains(p.Remediation, record.Value) {
		t.Errorf("got %+v", p)
	}
	for name, d := range map[string]cert.Diagnosis{
		"both may issue":       of(cert.OK, cert.OK, cert.OK),
		"one is not known":     of(cert.OK, cert.OK, cert.Unknown),
		"nothing is ordered":   of(cert.Wrong, cert.OK, cert.Wrong),
		"one CA is configured": {Verdict: cert.OK, CAA: []cert.CAAState{{CA: "one", Verdict: cert.OK}}},
	} {
		if p, only := cert.OneCAOnly(d); only {
			t.Errorf("%s: got %+v", name, p)
		}
	}
}
