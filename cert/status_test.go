package cert_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

var (
	domainAxis = []cert.DomainStatus{
		cert.DomainPendingDNS, cert.DomainPendingOwnership, cert.DomainActive, cert.DomainMoved, cert.DomainBlocked, cert.DomainRemoved,
	}
	certificateAxis = []cert.CertificateStatus{
		cert.CertificateNone, cert.CertificatePendingIssuance, cert.CertificatePendingInstallation, cert.CertificateVerifying,
		cert.CertificateActive, cert.CertificateFailed, cert.CertificateRejected, cert.CertificateExpired,
	}
	renewalAxis = []cert.RenewalStatus{
		cert.RenewalNone, cert.RenewalScheduled, cert.RenewalDue, cert.RenewalRenewing, cert.RenewalOnHold, cert.RenewalEscalated,
	}
)

func TestHeadlineSaysWhereADomainStands(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		when string
		at   cert.Status
		want cert.Headline
	}{
		{
			"connected, no records",
			cert.Status{Domain: cert.DomainPendingDNS, Certificate: cert.CertificateNone, Renewal: cert.RenewalNone},
			cert.Pending,
		},
		{"the ownership record is missing", cert.Status{Domain: cert.DomainPendingOwnership, Certificate: cert.CertificateNone}, cert.Pending},
		{"CSR, order, validation", cert.Status{Domain: cert.DomainActive, Certificate: cert.CertificatePendingIssuance}, cert.Issuing},
		{
			"issued, on its way to the edges",
			cert.Status{Domain: cert.DomainActive, Certificate: cert.CertificatePendingInstallation},
			cert.Installing,
		},
		{"looked for on the edges", cert.Status{Domain: cert.DomainActive, Certificate: cert.CertificateVerifying}, cert.Installing},
		{
			"served",
			cert.Status{Domain: cert.DomainActive, Certificate: cert.CertificateActive, Renewal: cert.RenewalScheduled, HasLive: true},
			cert.InstallationComplete,
		},
		{"an attempt failed", cert.Status{Domain: cert.DomainActive, Certificate: cert.CertificateFailed}, cert.RequestCertificate},
		{"a renewal failed", cert.Status{
			Domain: cert.DomainActive, Certificate: cert.CertificateFailed, Renewal: cert.RenewalRenewing,
			HasLive: true,
		}, cert.RequestCertificate},
		{"3 failures", cert.Status{Domain: cert.DomainActive, Certificate: cert.CertificateFailed, Escalated: true}, cert.ContactSupport},
		{
			"72 hours without the records",
			cert.Status{Domain: cert.DomainPendingDNS, Certificate: cert.CertificateNone, Escalated: true},
			cert.ContactSupport,
		},
		{"a renewal with people", cert.Status{
			Domain: cert.DomainActive, Certificate: cert.CertificateFailed, Renewal: cert.RenewalEscalated,
			HasLive: true, Escalated: true,
		}, cert.ContactSupport},
		{"the CSR was rejected", cert.Status{Domain: cert.DomainActive, Certificate: cert.CertificateRejected}, cert.InvalidSignature},
		{"a renewal's CSR was rejected", cert.Status{
			Domain: cert.DomainActive, Certificate: cert.CertificateRejected,
			Renewal: cert.RenewalRenewing, HasLive: true,
		}, cert.InvalidSignature},
		{"a renewal can't start", cert.Status{
			Domain: cert.DomainMoved, Certificate: cert.CertificateActive, Renewal: cert.RenewalOnHold,
			HasLive: true,
		}, cert.RenewalHeld},
		{
			"expired",
			cert.Status{Domain: cert.DomainMoved, Certificate: cert.CertificateExpired, Renewal: cert.RenewalOnHold, HasLive: true},
			cert.Expired,
		},
		{"expired, with people", cert.Status{
			Domain: cert.DomainActive, Certificate: cert.CertificateExpired, Renewal: cert.RenewalEscalated,
			HasLive: true, Escalated: true,
		}, cert.Expired},
		{
			"removed",
			cert.Status{Domain: cert.DomainRemoved, Certificate: cert.CertificateActive, Renewal: cert.RenewalScheduled, HasLive: true},
			cert.Removed,
		},
	} {
		require.Equal(t, c.want, c.at.Headline(), c.when)
	}
}

func TestWithALiveCertificateARenewalThatRunsIsNotShown(t *testing.T) {
	t.Parallel()
	for _, certificate := range []cert.CertificateStatus{
		cert.CertificatePendingIssuance, cert.CertificatePendingInstallation,
		cert.CertificateVerifying, cert.CertificateActive,
	} {
		for _, renewal := range []cert.RenewalStatus{cert.RenewalScheduled, cert.RenewalDue, cert.RenewalRenewing} {
			s := cert.Status{Domain: cert.DomainActive, Certificate: certificate, Renewal: renewal, HasLive: true}
			require.Equal(t, cert.InstallationComplete, s.Headline(), "%+v", s)
		}
	}
}

// TestEveryStatusHasAHeadline goes through all combinations, also those that should never be: none may show a tenant something that can't
// be true.
func TestEveryStatusHasAHeadline(t *testing.T) {
	t.Parallel()
	seen := map[cert.Headline]bool{}
	for _, d := range domainAxis {
		for _, c := range certificateAxis {
			for _, r := range renewalAxis {
				for n := range 4 {
					s := cert.Status{Domain: d, Certificate: c, Renewal: r, HasLive: n&1 != 0, Escalated: n&2 != 0}
					h := s.Headline()
					seen[h] = true
					require.Equal(t, d == cert.DomainRemoved, h == cert.Removed, "%+v", s)
					if h == cert.InstallationComplete || h == cert.RenewalHeld {
						require.True(t, s.HasLive, "%+v", s)
					}
					if h == cert.Pending || h == cert.Issuing || h == cert.Installing {
						require.False(t, s.HasLive, "a shop with a working certificate is not on its way to one: %+v", s)
					}
					if s.Escalated {
						require.Contains(t, []cert.Headline{cert.ContactSupport, cert.Expired, cert.Removed}, h, "%+v", s)
					}
				}
			}
		}
	}
	require.Len(t, seen, 10, "each headline is reached: %v", seen)
	require.NotContains(t, seen, cert.Headline(""))
}
