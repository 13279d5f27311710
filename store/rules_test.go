package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/cert/calendar"
)

// withLifetime connects a domain whose live certificate has a lifetime and comes from a directory.
func (db *database) withLifetime(hostname, serial, directory string, lifetime time.Duration) cert.Domain {
	db.t.Helper()
	d := db.connect("acme", hostname)
	from := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	_, err := db.CreateIssuance(
		db.t.Context(), cert.Issuance{ID: d.ID + "/1", DomainID: d.ID, Names: d.Names, KeyID: "leaf:" + d.ID, CSR: []byte("csr")},
		[]byte("sealed"),
	)
	require.NoError(db.t, err)
	require.NoError(db.t, db.SaveCertificate(db.t.Context(), cert.Certificate{
		Serial:     serial,
		IssuanceID: d.ID + "/1",
		DomainID:   d.ID,
		Names:      d.Names,
		Issuer:     "Test CA",
		NotBefore:  from,
		NotAfter:   from.Add(lifetime),
		Directory:  directory,
		ChainPEM:   []byte("pem"),
	}))
	db.record(d, 1, func(s *cert.Snapshot) { s.Serial, s.Status.HasLive = serial, true })
	return d
}

func TestF14_CountsTheLiveCertificatesThatALifetimeRuleTouches(t *testing.T) {
	t.Parallel()
	db := open(t)
	const day = 24 * time.Hour
	db.withLifetime("a.example.com", "0a", calendar.LetsEncryptDirectory, 90*day)
	db.withLifetime("b.example.com", "0b", "https://other.example/directory", 90*day)
	db.withLifetime("c.example.com", "0c", calendar.LetsEncryptDirectory, 64*day)
	gone := db.withLifetime("d.example.com", "0d", calendar.LetsEncryptDirectory, 90*day)
	db.record(gone, 2, removed)
	over := db.withLifetime("e.example.com", "0e", calendar.LetsEncryptDirectory, 90*day)
	db.record(over, 2, func(s *cert.Snapshot) { s.Serial, s.Status.HasLive = "0e", false })
	db.connect("acme", "new.example.com")

	for rule, want := range map[calendar.Touched]int{
		{LongerThan: 64 * day, Directory: calendar.LetsEncryptDirectory}: 1, {LongerThan: 64 * day}: 2, {LongerThan: 45 * day}: 3,
		{LongerThan: 90 * day}: 0,
	} {
		n, err := db.Touched(t.Context(), rule)
		require.NoError(t, err)
		require.Equal(t, want, n, "%+v", rule)
	}
}

func TestF14_CountsTheDomainsWhoseNewestCheckShowsTheProblem(t *testing.T) {
	t.Parallel()
	db := open(t)
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	check := func(d cert.Domain, after time.Duration, codes ...cert.Code) {
		diagnosis := cert.Diagnosis{CheckedAt: at.Add(after), Verdict: cert.Wrong}
		for _, code := range codes {
			diagnosis.Problems = append(diagnosis.Problems, cert.Problem{Code: code})
		}
		_, err := db.KeepCheck(t.Context(), d.ID, diagnosis)
		require.NoError(t, err)
	}
	check(db.connect("acme", "a.example.com"), 0, cert.DNSNoRecords, cert.DNSSECBogus)
	repaired := db.connect("acme", "b.example.com")
	check(repaired, 0, cert.DNSSECBogus)
	check(repaired, time.Hour)
	gone := db.connect("acme", "c.example.com")
	check(gone, 0, cert.DNSSECBogus)
	db.record(gone, 1, removed)
	db.connect("acme", "unchecked.example.com")

	n, err := db.Touched(t.Context(), calendar.Touched{Problem: cert.DNSSECBogus})
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

func TestF14_WhatCannotBeCountedIsNotZero(t *testing.T) {
	t.Parallel()
	_, err := open(t).Touched(t.Context(), calendar.Touched{})
	require.ErrorContains(t, err, "nothing to count by")
}
