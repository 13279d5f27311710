// Package edgefleet has many names for an edge to serve, and an edge as a process, for tests and measurements of what an edge does with a
// large platform.
package edgefleet

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"runtime"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/keyring"
)

// CA issues certificates by an intermediate, as public CAs do.
type CA struct {
	Roots        *x509.CertPool
	intermediate *x509.Certificate
	key          *ecdsa.PrivateKey
}

// NewCA makes a root and an intermediate.
func NewCA() (*CA, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := authority("edgefleet root")
	root, err := sign(template, template, rootKey, rootKey)
	if err != nil {
		return nil, err
	}
	intermediate, err := sign(authority("edgefleet intermediate"), root, key, rootKey)
	if err != nil {
		return nil, err
	}
	ca := &CA{Roots: x509.NewCertPool(), intermediate: intermediate, key: key}
	ca.Roots.AddCert(root)
	return ca, nil
}

// Issue makes a certificate for one name.
func (ca *CA) Issue(name string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf, err := sign(&x509.Certificate{
		SerialNumber: serialNumber(), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca.intermediate, key, ca.key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw, ca.intermediate.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

func authority(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          serialNumber(),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(48 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
}

func sign(template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// serialNumber has 16 octets.
func serialNumber() *big.Int {
	id := uuid.New()
	return new(big.Int).SetBytes(append([]byte{1}, id[:15]...))
}

// Name is the i-th name of a fleet.
func Name(i int) string { return fmt.Sprintf("shop%06d.customers.test", i) }

// batch is how many names are stored at once.
const batch = 2000

// Fill stores n names with a certificate and a sealed key each, served from now on. Edges are not notified: start them after it. The tables
// must be there.
func (ca *CA) Fill(ctx context.Context, databaseURL string, keys *keyring.Keyring, n int) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // what was copied was committed
	for from := 0; from < n; from += batch {
		rows, err := ca.rows(keys, from, min(from+batch, n))
		if err != nil {
			return err
		}
		if err := store(ctx, conn, rows); err != nil {
			return err
		}
	}
	_, err = conn.Exec(ctx, "ANALYZE") // or the first queries are planned for empty tables
	return err
}

// row is one name as the tables have it.
type row struct {
	name, serial, keyID, issuance string
	domain                        uuid.UUID
	sealed, chain                 []byte
	leaf                          *x509.Certificate
}

func (ca *CA) rows(keys *keyring.Keyring, from, to int) ([]row, error) {
	rows := make([]row, to-from)
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	for i := range rows {
		group.Go(func() (err error) {
			rows[i], err = ca.row(keys, Name(from+i))
			return err
		})
	}
	return rows, group.Wait()
}

func (ca *CA) row(keys *keyring.Keyring, name string) (row, error) {
	c, err := ca.Issue(name)
	if err != nil {
		return row{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return row{}, err
	}
	r := row{name: name, serial: cert.SerialOf(c.Leaf), domain: uuid.New(), leaf: c.Leaf}
	r.issuance = r.domain.String() + "/1"
	r.keyID = "leaf:" + r.issuance
	r.chain = slices.Concat(encode(c.Certificate[0]), encode(c.Certificate[1]))
	r.sealed, err = keys.Seal(der, r.keyID)
	return r, err
}

func encode(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// store copies rows into the tables, in one transaction.
func store(ctx context.Context, conn *pgx.Conn, rows []row) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		for _, table := range []struct {
			name    string
			columns []string
			values  func(r row) []any
		}{
			{"keys", []string{"id", "sealed"}, func(r row) []any { return []any{r.keyID, r.sealed} }},
			{"issuances", []string{"id", "domain_id", "names", "key_id", "csr"}, func(r row) []any {
				return []any{r.issuance, r.domain, []string{r.name}, r.keyID, []byte("of no interest to an edge")}
			}},
			{"certificates", []string{
				"serial", "issuance_id", "domain_id", "names", "issuer", "not_before", "not_after", "chain_pem",
			}, func(r row) []any {
				return []any{r.serial, r.issuance, r.domain, []string{r.name}, r.leaf.Issuer.CommonName, r.leaf.NotBefore, r.leaf.NotAfter, r.chain}
			}},
			{"served_names", []string{"name", "serial"}, func(r row) []any { return []any{r.name, r.serial} }},
		} {
			from := pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) { return table.values(rows[i]), nil })
			if _, err := tx.CopyFrom(ctx, pgx.Identifier{table.name}, table.columns, from); err != nil {
				return fmt.Errorf("fill %s: %w", table.name, err)
			}
		}
		return nil
	})
}
