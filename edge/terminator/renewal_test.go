package terminator_test

import (
	"crypto/tls"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/evercert/evercert/edge/edgetest"
	"github.com/evercert/evercert/edge/terminator"
)

func TestANewCertificateIsServedWithoutAMissedHandshake(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.ca.Issue(t, "shop.test")
	b.source.Install(first)

	old, err := tls.Dial("tcp", b.https, &tls.Config{ServerName: "shop.test", RootCAs: b.ca.Roots, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close() //nolint:errcheck // the test's end

	var clients sync.WaitGroup
	stop := make(chan struct{})
	for range 4 { // clients that connect all the time
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := b.handshake("shop.test"); err != nil {
					t.Errorf("a client was turned away: %v", err)
					return
				}
			}
		})
	}
	for range 20 {
		renewed := b.ca.Issue(t, "shop.test")
		b.source.Install(renewed)
		b.eventuallyServes(t, "shop.test", renewed.Serial)
	}
	close(stop)
	clients.Wait()

	request := "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"
	answer := make([]byte, len("HTTP/1.1 200 OK"))
	if _, err := old.Write([]byte(request)); err != nil {
		t.Fatalf("the connection from before the renewals: %v", err)
	}
	if _, err := old.Read(answer); err != nil || string(answer) != "HTTP/1.1 200 OK" {
		t.Errorf("the connection from before the renewals answered %q, %v", answer, err)
	}
}

func TestARenewalIsLoadedBeforeAnyoneAsks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.source.Install(b.ca.Issue(t, "shop.test", "www.shop.test"))
	b.source.Install(b.ca.Issue(t, "*.shops.test"))
	for _, name := range []string{"shop.test", "a.shops.test", "b.shops.test"} {
		if _, err := b.handshake(name); err != nil {
			t.Fatal(err)
		}
	}
	b.source.Install(b.ca.Issue(t, "shop.test", "www.shop.test")) // no client has asked for www yet
	eventually(t, "the renewed certificate is loaded", func() bool { return b.source.Loads() == 3+1 })
	b.source.Install(b.ca.Issue(t, "*.shops.test"))
	eventually(t, "the renewed wildcard is loaded for both names below", func() bool { return b.source.Loads() == 3+1+2 })
}

func TestCachedNamesAreServedWhileTheDatabaseIsDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	shop := b.ca.Issue(t, "shop.test")
	b.source.Install(shop)
	b.serves(t, "shop.test", shop.Serial)

	b.source.Break(errDown)
	b.source.Announce("shop.test") // the source can't answer what has changed
	b.source.Announce("")
	const handshakes = 50
	before := b.source.Loads()
	for range handshakes {
		b.serves(t, "shop.test", shop.Serial)
	}
	if loads := b.source.Loads() - before; loads > handshakes/2 {
		t.Errorf("a database that is down was asked %d times in %d handshakes", loads, handshakes)
	}
	if code := b.alert(t, &tls.Config{ServerName: "uncached.test"}); code != internalError {
		t.Errorf("a name that can't be looked up got alert %d", code)
	}

	renewed := b.ca.Issue(t, "shop.test")
	b.source.Replace("shop.test", terminator.Material{Serial: renewed.Serial, ChainPEM: renewed.ChainPEM, Key: renewed.Key})
	b.source.Break(nil)
	b.eventuallyServes(t, "shop.test", renewed.Serial) // the refresh that failed is repeated
}

func TestAnInstallationDuringALoadIsServedAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	release := b.source.Hold()
	early := make(chan error, 1)
	go func() {
		_, err := b.handshake("shop.test")
		early <- err
	}()
	eventually(t, "the database is asked", func() bool { return b.source.Loads() == 1 })
	shop := b.ca.Issue(t, "shop.test")
	b.source.Install(shop)
	release()
	if err := <-early; err == nil {
		t.Error("the client that came before the installation was served")
	}
	b.serves(t, "shop.test", shop.Serial)
}

func TestARenewalDuringALoadIsNotLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.ca.Issue(t, "shop.test")
	b.source.Install(first)
	b.serves(t, "shop.test", first.Serial)
	b.source.Announce("shop.test")
	eventually(t, "the refresh is over", func() bool { return b.source.Loads() == 2 })
	release := b.source.Hold()
	b.source.Announce("shop.test") // a refresh begins, and waits
	eventually(t, "the refresh has begun", func() bool { return b.source.Loads() == 3 })
	second := b.ca.Issue(t, "shop.test")
	b.source.Install(second)
	b.serves(t, "shop.test", first.Serial) // no client waits for the refresh
	release()
	eventually(t, "the answer that came too late is asked for again", func() bool { return b.source.Loads() == 4 })
	b.eventuallyServes(t, "shop.test", second.Serial)
}

func TestMissedNewsAreCaughtUpWithoutAStampede(t *testing.T) {
	t.Parallel()
	b := setup(t)
	serials := map[string]string{}
	for i := range 50 {
		c := b.ca.Issue(t, fmt.Sprintf("shop%d.test", i))
		b.source.Install(c)
		b.serves(t, c.Names[0], c.Serial)
		renewed := b.ca.Issue(t, c.Names...)
		b.source.Replace(c.Names[0], terminator.Material{Serial: renewed.Serial, ChainPEM: renewed.ChainPEM, Key: renewed.Key})
		serials[c.Names[0]] = renewed.Serial
	}
	before := b.source.Loads()
	b.source.Announce("")
	if after := b.source.Loads(); after != before {
		t.Errorf("%d names were asked for that no client wanted", after-before)
	}
	for name, serial := range serials {
		b.eventuallyServes(t, name, serial)
	}
}

// TestF21_AnExpiredCertificateIsNotGivenToTheFirstVisitor: the announcement of its renewal was lost.
func TestF21_AnExpiredCertificateIsNotGivenToTheFirstVisitor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old := b.ca.IssueUntil(t, time.Now().Add(-time.Minute), "shop.test")
	b.source.Install(old)
	expired := &tls.Config{ServerName: "shop.test", InsecureSkipVerify: true} //nolint:gosec // the test checks expired certificates too
	if state := b.request(t, expired); fmt.Sprintf("%x", state.PeerCertificates[0].SerialNumber.Bytes()) != old.Serial {
		t.Fatal("without a newer one the expired one is served")
	}
	b.source.Break(errDown)
	const handshakes = 20
	before := b.source.Loads()
	for range handshakes {
		if state := b.request(t, expired); fmt.Sprintf("%x", state.PeerCertificates[0].SerialNumber.Bytes()) != old.Serial {
			t.Fatal("with the database down the expired one is served")
		}
	}
	if loads := b.source.Loads() - before; loads > handshakes/2 {
		t.Errorf("%d visitors made %d questions to the database", handshakes, loads)
	}
	renewed := b.ca.Issue(t, "shop.test")
	b.source.Break(nil)
	b.source.Replace("shop.test", terminator.Material{Serial: renewed.Serial, ChainPEM: renewed.ChainPEM, Key: renewed.Key})
	b.terminator.ForgetFailures("shop.test")
	b.serves(t, "shop.test", renewed.Serial)
}

func TestLostNewsAreCaughtUpInTime(t *testing.T) {
	t.Parallel()
	source := edgetest.NewSource()
	source.Install(edgetest.NewCA(t).Issue(t, "shop.test"))
	edge, err := terminator.New(terminator.Options{Source: source, CacheSize: 1, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for wait, loads := range []int{1, 1, 2} { // after 0, 9 and 18 minutes
		edge.SetNow(now.Add(time.Duration(wait) * 9 * time.Minute))
		if err := edge.Warm(t.Context(), "shop.test"); err != nil {
			t.Fatal(err)
		}
		eventually(t, fmt.Sprintf("%d questions to the database", loads), func() bool { return source.Loads() >= loads })
		if got := source.Loads(); got != loads {
			t.Errorf("%d questions to the database after %d minutes, want %d", got, wait*9, loads)
		}
	}
}
