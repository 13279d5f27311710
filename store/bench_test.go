package store_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/cert/budget"
)

// What a platform does all the time: three or four RecordStatus for each certificate, Served for each name that an edge does not have in
// memory, TXT and HTTPToken for each validation of a CA.

func BenchmarkRecordStatus(b *testing.B) {
	db := open(b)
	domains := make([]cert.Domain, 1000)
	for i := range domains {
		domains[i] = db.connect("acme", fmt.Sprintf("%d.example.com", i), fmt.Sprintf("www.%d.example.com", i))
	}
	var n atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			snap := full(domains[i%1000], i)
			statuses := []cert.CertificateStatus{cert.CertificatePendingIssuance, cert.CertificateVerifying, cert.CertificateActive}
			snap.Status.Certificate = statuses[i%3]
			snap.Events = []cert.Event{{Type: cert.IssuanceSucceeded}}
			if err := db.RecordStatus(b.Context(), snap); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkServed(b *testing.B) {
	db := open(b)
	for i := range 1000 {
		d := db.connect("acme", fmt.Sprintf("%d.example.com", i))
		db.certify(d, 1, fmt.Sprintf("%04x", i))
		require.NoError(b, db.Install(b.Context(), d.Names, fmt.Sprintf("%04x", i)))
	}
	read(b, func(ctx context.Context, i int64) error {
		_, err := db.Served(ctx, fmt.Sprintf("%d.example.com", i%1000))
		return err
	})
}

func BenchmarkTXT(b *testing.B) {
	db := open(b)
	for i := range 1000 {
		require.NoError(b, db.PutTXT(b.Context(), fmt.Sprint(i), "value", time.Hour))
	}
	read(b, func(ctx context.Context, i int64) error {
		_, err := db.TXT(ctx, fmt.Sprint(i%1000))
		return err
	})
}

func BenchmarkReserve(b *testing.B) {
	db := open(b)
	read(b, func(ctx context.Context, i int64) error {
		charges := []budget.Charge{
			orders(1 << 30),
			perDomain(fmt.Sprint(i)),
			{CA: "test-ca", Account: accountURL, Bucket: "exact set", Key: fmt.Sprint(i), Capacity: 5, Refill: time.Hour},
		}
		_, err := db.Reserve(ctx, cert.Reservation{IssuanceID: fmt.Sprint(i), Tenant: "acme"}, charges)
		return err
	})
}

func read(b *testing.B, f func(ctx context.Context, i int64) error) {
	var n atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := f(b.Context(), n.Add(1)); err != nil {
				b.Error(err)
			}
		}
	})
}
