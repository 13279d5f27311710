package terminator_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/evercert/evercert/edge/terminator"
)

// TLS alerts (RFC 8446 §6).
const (
	internalError    = 80
	unrecognizedName = 112
)

var errDown = errors.New("the database is down")

func TestA1_AnInstalledNameIsServedWithItsCertificate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	shop, other := b.ca.Issue(t, "shop.test", "www.shop.test"), b.ca.Issue(t, "other.test")
	b.source.Install(shop)
	b.source.Install(other)
	b.serves(t, "shop.test", shop.Serial)
	b.serves(t, "www.shop.test", shop.Serial)
	b.serves(t, "other.test", other.Serial)
	b.serves(t, "ShOp.TeSt", shop.Serial) // names are compared without regard to case (RFC 6066 §3)
}

func TestA6_AWildcardServesOneLabel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	wildcard, own := b.ca.Issue(t, "*.shops.test"), b.ca.Issue(t, "own.shops.test")
	b.source.Install(wildcard)
	b.source.Install(own)
	b.serves(t, "a.shops.test", wildcard.Serial)
	b.serves(t, "own.shops.test", own.Serial)
	for _, name := range []string{"shops.test", "b.a.shops.test"} {
		if code := b.alert(t, &tls.Config{ServerName: name}); code != unrecognizedName {
			t.Errorf("%s got alert %d", name, code)
		}
	}
}

func TestAnUnknownNameGetsTheAlertUnrecognizedName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.source.Install(b.ca.Issue(t, "shop.test"))
	for _, name := range []string{"unknown.test", "sub.shop.test", "*.test", "localhost", ""} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			//nolint:gosec // nothing may be served at all
			config := &tls.Config{ServerName: name, MinVersion: version, MaxVersion: version, InsecureSkipVerify: true}
			if code := b.alert(t, config); code != unrecognizedName {
				t.Errorf("%q by %s got alert %d", name, tls.VersionName(version), code)
			}
		}
	}
}

func TestAWrongCertificateIsNeverServed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	shop, other := b.ca.Issue(t, "shop.test"), b.ca.Issue(t, "other.test")
	for what, m := range map[string]terminator.Material{
		"of another name":  {Serial: other.Serial, ChainPEM: other.ChainPEM, Key: other.Key},
		"with another key": {Serial: shop.Serial, ChainPEM: shop.ChainPEM, Key: other.Key},
		"without key":      {Serial: shop.Serial, ChainPEM: shop.ChainPEM},
		"that is empty":    {Serial: shop.Serial, Key: shop.Key},
		"that is garbled": {
			Serial: shop.Serial, ChainPEM: []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), Key: shop.Key,
		},
	} {
		b.source.Put("shop.test", m)
		if code := b.alert(t, &tls.Config{ServerName: "shop.test"}); code != unrecognizedName {
			t.Errorf("a certificate %s got alert %d", what, code)
		}
	}
	b.source.Install(shop)
	b.serves(t, "shop.test", shop.Serial)
	b.source.Put("shop.test", terminator.Material{Serial: other.Serial, ChainPEM: other.ChainPEM, Key: other.Key})
	b.serves(t, "shop.test", shop.Serial) // a valid certificate stays when the new one is invalid
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	const size = 20
	b := setup(t, func(o *terminator.Options) { o.CacheSize = size })
	serials := map[string]string{}
	for i := range 3 * size {
		c := b.ca.Issue(t, fmt.Sprintf("shop%d.test", i))
		b.source.Install(c)
		serials[c.Names[0]] = c.Serial
	}
	for range 2 { // in the second round most have to be loaded again
		for name, serial := range serials {
			b.serves(t, name, serial)
			b.alert(t, &tls.Config{ServerName: "not." + name})
		}
	}
	if certificates, unknown := b.terminator.Cached(); certificates != size || unknown != size {
		t.Errorf("%d certificates and %d unknown names are kept, of %d each", certificates, unknown, size)
	}
}

func TestAnUnknownNameIsNotAskedForAllTheTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const handshakes = 30
	for range handshakes {
		b.alert(t, &tls.Config{ServerName: "shop.test"})
	}
	if loads := b.source.Loads(); loads > handshakes/2 {
		t.Errorf("%d handshakes for an unknown name made %d questions to the database", handshakes, loads)
	}
	shop := b.ca.Issue(t, "shop.test")
	b.source.Install(shop)
	b.serves(t, "shop.test", shop.Serial) // at once: the announced change replaces what was cached
	for _, name := range []string{"a.shops.test", "b.shops.test"} {
		b.alert(t, &tls.Config{ServerName: name})
	}
	wildcard := b.ca.Issue(t, "*.shops.test")
	b.source.Install(wildcard)
	b.serves(t, "a.shops.test", wildcard.Serial)
}

// TestA9_ANameThatIsKnownToBeUnknownIsNotAskedFor: neither handshakes nor plain HTTP ask the source for it.
func TestA9_ANameThatIsKnownToBeUnknownIsNotAskedFor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.source.Complete()
	for i := range 50 {
		name := fmt.Sprintf("unknown%d.test", i)
		if code := b.alert(t, &tls.Config{ServerName: name}); code != unrecognizedName {
			t.Errorf("%s got alert %d", name, code)
		}
		get(t, b.client(t), "http://"+name+"/")
	}
	if loads := b.source.Loads(); loads > 0 {
		t.Errorf("the source was asked %d times", loads)
	}
	if _, unknown := b.terminator.Cached(); unknown > 0 {
		t.Errorf("%d unknown names are kept in memory", unknown)
	}
	shop := b.ca.Issue(t, "shop.test")
	b.source.Install(shop)
	b.serves(t, "shop.test", shop.Serial)
}

func TestJunkIsNotAskedFor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, name := range []string{"", "localhost", "*.test", "a:b.test", "a_b.test", "\xff.test", strings.Repeat("a.", 130) + "test"} {
		//nolint:gosec // nothing may be served at all
		if code := b.alert(t, &tls.Config{ServerName: name, InsecureSkipVerify: true}); code != unrecognizedName {
			t.Errorf("%q got alert %d", name, code)
		}
	}
	if loads := b.source.Loads(); loads > 0 {
		t.Errorf("the database was asked %d times", loads)
	}
}

func TestClientsThatCameTogetherShareOneLoad(t *testing.T) {
	t.Parallel()
	b := setup(t)
	shop := b.ca.Issue(t, "shop.test")
	b.source.Install(shop)
	release := b.source.Hold()
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			if got, err := b.handshake("shop.test"); err != nil || got != shop.Serial {
				t.Errorf("served with %q, %v", got, err)
			}
		})
	}
	eventually(t, "the database is asked", func() bool { return b.source.Loads() > 0 })
	release()
	clients.Wait()
	if loads := b.source.Loads(); loads != 1 {
		t.Errorf("20 clients made %d questions to the database", loads)
	}
}
