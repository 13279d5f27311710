package control_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/workflows"
)

var before = time.Date(2026, 3, 2, 11, 0, 0, 0, time.UTC) // the check before

// checking is a domain that was checked before; its workflow agrees to check again, and takes so long for it.
func checking(t *testing.T, takes time.Duration, verdict cert.Verdict) bundle {
	t.Helper()
	b := setup(t)
	b.connected(t, "shop.example.com", "www.example.org")
	records, err := b.Records(t.Context(), "shop.example.com")
	if err != nil {
		t.Fatal(err)
	}
	b.store.Checked("shop.example.com", cert.Diagnosis{CheckedAt: before, Verdict: cert.Unknown})
	b.workflows.Reply = func(hostname, verb string, _ any) (cert.Answer, error) {
		if verb != workflows.CheckNow {
			return cert.Answer{Message: "done"}, nil
		}
		time.AfterFunc(takes, func() {
			b.store.Checked(hostname, cert.Diagnosis{CheckedAt: before.Add(time.Hour), Verdict: verdict, Records: []cert.RecordState{
				{Record: records[0].Record, Verdict: verdict, Seen: []cert.Sighting{{Server: "ns1", Role: cert.Authoritative, Verdict: verdict}}},
			}})
			b.store.Record(hostname, func(s *cert.Snapshot) { s.NextAction = "after the check" })
		})
		return cert.Answer{
			Headline:   cert.Pending,
			Message:    "the records are checked now",
			NextAction: "before the check",
			Checking:   true,
			LastCheck:  before,
		}, nil
	}
	return b
}

func TestD5_CheckNowAnswersWithTheFreshDiagnosis(t *testing.T) {
	t.Parallel()
	for verdict, says := range map[cert.Verdict]string{
		cert.OK: "all that is needed is there", cert.Wrong: "missing or wrong",
		cert.Unknown: "not known",
	} {
		synctest.Test(t, func(t *testing.T) {
			b := checking(t, 4*time.Second, verdict)
			begun := time.Now()
			answer, err := b.Check(t.Context(), control.Request{Name: "www.example.org", By: "ann"})
			if err != nil || answer.Diagnosis == nil {
				t.Fatalf("%+v, %v", answer, err)
			}
			if took := time.Since(begun); took < 4*time.Second || took > 5*time.Second {
				t.Errorf("the check took 4 s, the answer %s", took)
			}
			if d := answer.Diagnosis; !d.CheckedAt.Equal(before.Add(time.Hour)) || d.Verdict != verdict || len(d.Records[0].Seen) != 1 {
				t.Errorf("not the fresh one, or not the whole of it: %+v", d)
			}
			if answer.Hostname != "shop.example.com" || answer.NextAction != "after the check" || !strings.Contains(answer.Message, says) {
				t.Errorf("got %+v", answer)
			}
		})
	}
}

func TestD5_ACheckThatTakesLongIsUnderWayAndNoError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := checking(t, time.Minute, cert.OK)
		request := control.Request{Name: "shop.example.com"}
		answer, err := b.Check(t.Context(), request)
		if err != nil || answer.Diagnosis != nil || !strings.Contains(answer.Message, "under way; ask again") ||
			answer.Hostname != "shop.example.com" {
			t.Errorf("got %+v, %v", answer, err)
		}
		time.Sleep(time.Minute) // in the bubble nobody waits
		b.workflows.Reply = func(string, string, any) (cert.Answer, error) {
			return cert.Answer{Checking: true, LastCheck: before}, nil
		}
		if answer, err := b.Check(t.Context(), request); err != nil || answer.Diagnosis == nil {
			t.Errorf("asked again: %+v, %v", answer, err)
		}
	})
}

func TestACheckThatIsNotMadeNowIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := checking(t, 0, cert.OK)
		b.workflows.Reply = func(string, string, any) (cert.Answer, error) {
			return cert.Answer{Message: "the records are checked when the domain is resumed"}, nil
		}
		begun := time.Now()
		answer, err := b.Check(t.Context(), control.Request{Name: "shop.example.com"})
		if err != nil || answer.Diagnosis != nil || answer.Message != "the records are checked when the domain is resumed" ||
			time.Since(begun) != 0 {
			t.Errorf("got %+v, %v after %s", answer, err, time.Since(begun))
		}
	})
}

func TestWhoeverWaitsForACheckMayLeaveOrMeetAFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := checking(t, time.Minute, cert.OK)
		gone := errors.New("the caller hung up")
		ctx, leave := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { leave(gone) })
		if _, err := b.Check(ctx, control.Request{Name: "shop.example.com"}); !errors.Is(err, gone) {
			t.Errorf("left: %v", err)
		}
		time.AfterFunc(time.Second, func() { b.store.Fail(errors.New("connection refused")) })
		if _, err := b.Check(t.Context(), control.Request{Name: "shop.example.com"}); !control.IsFault(err) {
			t.Errorf("PostgreSQL is down: %v", err)
		}
	})
}

// lookingAnew is a domain each of whose checks takes four seconds and is an hour newer than the one before. It counts those of
// shop.example.com.
func lookingAnew(t *testing.T) (b bundle, begun *atomic.Int64) {
	t.Helper()
	b, begun = setup(t), new(atomic.Int64)
	b.connected(t, "shop.example.com", "www.example.org")
	b.workflows.Reply = func(hostname, _ string, _ any) (cert.Answer, error) {
		checked := before
		if hostname == "shop.example.com" {
			checked = before.Add(time.Duration(begun.Add(1)) * time.Hour)
		}
		time.AfterFunc(4*time.Second, func() { b.store.Checked(hostname, cert.Diagnosis{CheckedAt: checked, Verdict: cert.OK}) })
		return cert.Answer{Checking: true, LastCheck: checked.Add(-time.Hour)}, nil
	}
	return b, begun
}

func TestD1_ChecksOfOneDomainAtOnceShareALook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, begun := lookingAnew(t)
		b.connected(t, "other.example.com")
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				if i%2 == 1 { // half of them come while the first look is under way
					time.Sleep(time.Second) // in the bubble nobody waits
				}
				beforeIt := begun.Load()
				answer, err := b.Check(t.Context(), control.Request{Name: []string{"shop.example.com", "www.example.org"}[i%2]})
				if err != nil || answer.Diagnosis == nil || answer.Hostname != "shop.example.com" {
					t.Errorf("%d: %+v, %v", i, answer, err)
					return
				}
				if look := int64(answer.Diagnosis.CheckedAt.Sub(before) / time.Hour); look <= beforeIt {
					t.Errorf("%d was answered by look %d, which had begun before it asked", i, look)
				}
			})
		}
		all.Go(func() {
			if answer, err := b.Check(t.Context(), control.Request{Name: "other.example.com"}); err != nil || answer.Diagnosis == nil {
				t.Errorf("another domain: %+v, %v", answer, err)
			}
		})
		all.Wait()
		if n := begun.Load(); n != 2 {
			t.Errorf("%d looks; one was under way, and everybody else shares the next", n)
		}
	})
}

func TestD1_WhoeverLeavesASharedLookSpoilsItForNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := lookingAnew(t)
		ctx, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { // under way when the next is asked for
			if _, err := b.Check(t.Context(), control.Request{Name: "shop.example.com"}); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		all.Go(func() { // the first of those who share the next
			if _, err := b.Check(ctx, control.Request{Name: "shop.example.com"}); !errors.Is(err, context.Canceled) {
				t.Errorf("left: %v", err)
			}
		})
		synctest.Wait()
		all.Go(func() {
			if answer, err := b.Check(t.Context(), control.Request{Name: "shop.example.com"}); err != nil || answer.Diagnosis == nil {
				t.Errorf("stayed: %+v, %v", answer, err)
			}
		})
		synctest.Wait()
		leave()
		all.Wait()
	})
}

// TestD1_ALookThatFailsOrPanicsIsToldToAll: nobody waits for ever, and the next one is made.
func TestD1_ALookThatFailsOrPanicsIsToldToAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := checking(t, time.Second, cert.OK)
		agrees := b.workflows.Reply
		b.workflows.Reply = func(string, string, any) (cert.Answer, error) { panic("out of cheese") }
		for range 2 {
			if _, err := b.Check(t.Context(), control.Request{Name: "shop.example.com"}); !control.IsFault(err) {
				t.Errorf("a panic: %v", err)
			}
		}
		b.workflows.Reply = agrees
		if answer, err := b.Check(t.Context(), control.Request{Name: "shop.example.com"}); err != nil || answer.Diagnosis == nil {
			t.Errorf("after it: %+v, %v", answer, err)
		}
	})
}

// TestD1_NobodyWaitsForTwoSlowLooks: whoever shares the next look waits for the one before it, too, and no longer than people wait.
func TestD1_NobodyWaitsForTwoSlowLooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := checking(t, time.Hour, cert.OK)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				begun := time.Now()
				answer, err := b.Check(t.Context(), control.Request{Name: "shop.example.com"})
				if err != nil || answer.Diagnosis != nil || answer.Hostname != "shop.example.com" || answer.Headline != cert.Pending ||
					!strings.Contains(answer.Message, "under way; ask again") {
					t.Errorf("got %+v, %v", answer, err)
				}
				if took := time.Since(begun); took > 25*time.Second {
					t.Errorf("answered after %s", took)
				}
			})
		}
		all.Wait()
		time.Sleep(time.Minute) // for the second look, to its end; in the bubble nobody waits
	})
}
