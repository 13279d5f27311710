package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

// issue creates an issuance for a domain, as the first step of an attempt does.
func (db *database) issue(d cert.Domain, n int) cert.Issuance {
	db.t.Helper()
	issuance, err := db.CreateIssuance(db.t.Context(), newIssuance(d, n), []byte("sealed "+d.Hostname))
	require.NoError(db.t, err)
	return issuance
}

func newIssuance(d cert.Domain, n int) cert.Issuance {
	return cert.Issuance{
		ID:       fmt.Sprintf("%s/%d", d.ID, n),
		DomainID: d.ID,
		Names:    d.Names,
		KeyID:    uuid.NewString(),
		CSR:      []byte{0x30, 0x82, 0},
		Replaces: "aki.serial",
	}
}

func newCertificate(i cert.Issuance, serial string) cert.Certificate {
	now := time.Now().UTC().Truncate(time.Second)
	return cert.Certificate{
		Serial: serial, IssuanceID: i.ID, DomainID: i.DomainID, Names: i.Names, Issuer: "Test CA",
		NotBefore: now, NotAfter: now.Add(90 * 24 * time.Hour), Directory: directory, ChainPEM: []byte("-----BEGIN CERTIFICATE-----"),
	}
}

// certify creates an issuance and its certificate.
func (db *database) certify(d cert.Domain, n int, serial string) cert.Certificate {
	db.t.Helper()
	c := newCertificate(db.issue(d, n), serial)
	require.NoError(db.t, db.SaveCertificate(db.t.Context(), c))
	return c
}

func TestB1_IssuanceKeepsTheKeyAndCSRItWasCreatedWith(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := newDomain("acme", "www.example.com", "example.com")
	_, err := db.Issuance(t.Context(), d.ID+"/1")
	require.ErrorIs(t, err, store.ErrNotFound)

	first := newIssuance(d, 1)
	stored, err := db.CreateIssuance(t.Context(), first, []byte("sealed"))
	require.NoError(t, err)
	require.False(t, stored.OrderedAt.IsZero())
	first.OrderedAt = stored.OrderedAt
	require.Equal(t, first, stored)

	second := newIssuance(d, 1) // the activity runs again, with a new key
	second.CSR, second.Names = []byte("other"), []string{"other.example.com"}
	stored, err = db.CreateIssuance(t.Context(), second, []byte("other"))
	require.NoError(t, err)
	require.Equal(t, first, stored)
	stored, err = db.Issuance(t.Context(), first.ID)
	require.NoError(t, err)
	require.Equal(t, first, stored)
	require.Equal(t, 1, db.count(`SELECT count(*) FROM keys WHERE id = $1 AND sealed = 'sealed'`, first.KeyID))
	require.Equal(t, 1, db.count(`SELECT count(*) FROM keys`), "the key of the second run is not stored")
}

func TestIssuancesCreatedAtOnceAreOne(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := newDomain("acme", "www.example.com")
	var wg sync.WaitGroup
	stored, errs := make([]cert.Issuance, 20), make([]error, 20)
	for i := range stored {
		wg.Go(func() { stored[i], errs[i] = db.CreateIssuance(t.Context(), newIssuance(d, 1), []byte(fmt.Sprint(i))) })
	}
	wg.Wait()
	for i := range stored {
		require.NoError(t, errs[i])
		require.Equal(t, stored[0], stored[i])
	}
	require.Equal(t, 1, db.count(`SELECT count(*) FROM keys WHERE id = $1`, stored[0].KeyID))
	require.Equal(t, 1, db.count(`SELECT count(*) FROM keys`))
}

func TestOneKeyServesOneIssuance(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := newDomain("acme", "www.example.com")
	first := db.issue(d, 1)
	second := newIssuance(d, 2)
	second.KeyID = first.KeyID
	_, err := db.CreateIssuance(t.Context(), second, []byte("other"))
	require.ErrorContains(t, err, "issuances_key_id_key")
}

func TestCertificateIsSavedOncePerIssuance(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := newDomain("acme", "www.example.com")
	issuance := db.issue(d, 1)
	_, err := db.Certificate(t.Context(), "00ab12")
	require.ErrorIs(t, err, store.ErrNotFound)

	saved := newCertificate(issuance, "00ab12")
	for range 2 { // the activity runs twice
		require.NoError(t, db.SaveCertificate(t.Context(), saved))
	}
	read, err := db.Certificate(t.Context(), "00ab12")
	require.NoError(t, err)
	require.Equal(t, saved, read)
	issuance, err = db.Issuance(t.Context(), issuance.ID)
	require.NoError(t, err)
	require.Equal(t, "00ab12", issuance.Serial)

	require.ErrorContains(t, db.SaveCertificate(t.Context(), newCertificate(issuance, "00ab13")), "certificates_issuance_id_key")
	other := db.issue(d, 2)
	require.ErrorContains(t, db.SaveCertificate(t.Context(), newCertificate(other, "00ab12")), "belongs to issuance "+issuance.ID)
	require.Equal(t, 1, db.count(`SELECT count(*) FROM certificates`))
}

func TestMalformedCertificatesAreRefusedByTheTables(t *testing.T) {
	t.Parallel()
	db := open(t)
	good := newCertificate(db.issue(newDomain("acme", "www.example.com"), 1), "ab")
	for name, change := range map[string]func(*cert.Certificate){
		"serial in upper case": func(c *cert.Certificate) { c.Serial = "AB" },
		"no serial":            func(c *cert.Certificate) { c.Serial = "" },
		"unknown issuance":     func(c *cert.Certificate) { c.IssuanceID = "x/1" },
		"ends before it began": func(c *cert.Certificate) { c.NotAfter = c.NotBefore },
		"no names":             func(c *cert.Certificate) { c.Names = []string{} },
	} {
		bad := good
		change(&bad)
		require.Error(t, db.SaveCertificate(t.Context(), bad), name)
	}
	require.NoError(t, db.SaveCertificate(t.Context(), good))
}
