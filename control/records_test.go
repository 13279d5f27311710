package control_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
)

func TestD3_EachRecordHasAStateInOneWord(t *testing.T) {
	t.Parallel()
	at := func(role cert.ServerRole, verdicts ...cert.Verdict) (seen []cert.Sighting) {
		for _, v := range verdicts {
			seen = append(seen, cert.Sighting{Role: role, Verdict: v})
		}
		return seen
	}
	for what, c := range map[string]struct {
		seen cert.RecordState
		want cert.RecordWord
	}{
		"nothing anywhere": {
			cert.RecordState{Verdict: cert.Wrong, Seen: at(cert.Authoritative, cert.Wrong, cert.Wrong)},
			cert.RecordMissing,
		},
		"something else": {
			cert.RecordState{Verdict: cert.Wrong, Found: []string{"CNAME elsewhere.example"}},
			cert.RecordWrong,
		},
		"on one of two authoritative servers": {
			cert.RecordState{Verdict: cert.Wrong, Seen: at(cert.Authoritative, cert.OK, cert.Wrong)},
			cert.RecordNotYetPropagated,
		},
		"on all, and a resolver is late": {cert.RecordState{
			Verdict: cert.OK,
			Seen:    append(at(cert.Authoritative, cert.OK), at(cert.Recursive, cert.Wrong)...),
		}, cert.RecordNotYetPropagated},
		"everywhere": {cert.RecordState{
			Verdict: cert.OK,
			Seen:    append(at(cert.Authoritative, cert.OK), at(cert.Recursive, cert.OK)...),
		}, cert.RecordFound},
		"everywhere that answers": {
			cert.RecordState{Verdict: cert.OK, Seen: at(cert.Authoritative, cert.OK, cert.Unknown)},
			cert.RecordFound,
		},
		"nobody answers": {cert.RecordState{
			Verdict: cert.Unknown,
			Seen:    at(cert.Authoritative, cert.Unknown, cert.Unknown),
		}, cert.RecordUnknown},
		"one shows it, the others give no answer": {
			cert.RecordState{Verdict: cert.Unknown, Seen: at(cert.Authoritative, cert.OK, cert.Unknown)},
			cert.RecordUnknown,
		},
	} {
		b := setup(t)
		b.connected(t, "shop.example.com")
		records, err := b.Records(t.Context(), "shop.example.com")
		if err != nil || records[0].State != "" {
			t.Fatalf("before a check: %+v, %v", records, err)
		}
		c.seen.Record = records[1].Record
		b.store.Checked("shop.example.com", cert.Diagnosis{CheckedAt: before, Records: []cert.RecordState{c.seen}})
		records, err = b.Records(t.Context(), "shop.example.com")
		if err != nil || records[1].State != c.want || len(records[1].Seen) != len(c.seen.Seen) {
			t.Errorf("%s: %+v, %v; want %s", what, records[1], err, c.want)
		}
	}
}

func TestD3_TheDiagnosisInJSONKeepsItsShape(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com")
	records, err := b.Records(t.Context(), "shop.example.com")
	if err != nil {
		t.Fatal(err)
	}
	delegation := cert.Record{Name: "_acme-challenge.shop.example.com", Type: "CNAME", Value: records[1].Value, Purpose: cert.ForDelegation}
	b.store.Checked("shop.example.com", cert.Diagnosis{
		CheckedAt: before, Verdict: cert.OK, Names: []cert.NameResult{{Name: "shop.example.com", Method: cert.DNS01, Reason: "delegated"}},
		Records: []cert.RecordState{{Record: delegation, Verdict: cert.OK, Found: []string{"CNAME x"}, Seen: []cert.Sighting{
			{
				Server:    "ns1 (192.0.2.53)",
				Role:      cert.Authoritative,
				Verdict:   cert.OK,
				Found:     []string{"CNAME x"},
				FirstSeen: before.Add(-time.Hour),
				LastSeen:  before,
				ChangedAt: before.Add(-time.Hour),
			},
			{Server: "192.0.2.9", Role: cert.Recursive, Verdict: cert.Unknown, Error: "no answer within 2s"},
		}}},
		CAA:     []cert.CAAState{{CA: "Test CA", Verdict: cert.OK}},
		Servers: []cert.Nameserver{{Zone: "example.com", Name: "ns1", Address: "192.0.2.53", State: "answers"}},
	})
	diagnosis, err := b.Diagnosis(t.Context(), "shop.example.com")
	if err != nil {
		t.Fatal(err)
	}
	diagnosis.Records, diagnosis.Records[1].Value = diagnosis.Records[1:2], "x.dcv.example.net"
	got, err := json.MarshalIndent(diagnosis, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want := `{
 "checked_at": "2026-03-02T11:00:00Z",
 "verdict": "ok",
 "names": [
  {
   "name": "shop.example.com",
   "method": "dns-01",
   "reason": "delegated"
  }
 ],
 "problems": [],
 "records": [
  {
   "name": "_acme-challenge.shop.example.com",
   "type": "CNAME",
   "value": "x.dcv.example.net",
   "purpose": "delegation",
   "hostname": "shop.example.com",
   "state": "found",
   "verdict": "ok",
   "found": [
    "CNAME x"
   ],
   "seen": [
    {
     "server": "ns1 (192.0.2.53)",
     "role": "authoritative",
     "verdict": "ok",
     "found": [
      "CNAME x"
     ],
     "first_seen": "2026-03-02T10:00:00Z",
     "last_seen": "2026-03-02T11:00:00Z",
     "changed_at": "2026-03-02T10:00:00Z"
    },
    {
     "server": "192.0.2.9",
     "role": "recursive",
     "verdict": "unknown",
     "error": "no answer within 2s"
    }
   ]
  }
 ],
 "caa": [
  {
   "ca": "Test CA",
   "verdict": "ok"
  }
 ],
 "servers": [
  {
   "zone": "example.com",
   "name": "ns1",
   "address": "192.0.2.53",
   "state": "answers"
  }
 ]
}`
	if string(got) != want {
		t.Errorf("got %s", got)
	}
}

// TestACheckThatCouldNotBeKeptIsShownInShort: the store was away for a moment, and the snapshot that came later has the diagnosis.
func TestACheckThatCouldNotBeKeptIsShownInShort(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com")
	b.store.Checked("shop.example.com", cert.Diagnosis{CheckedAt: before, Verdict: cert.Wrong})
	b.store.Record("shop.example.com", func(s *cert.Snapshot) {
		s.Diagnosis = &cert.Diagnosis{CheckedAt: before.Add(time.Hour), Verdict: cert.OK}
	})
	diagnosis, err := b.Diagnosis(t.Context(), "shop.example.com")
	if err != nil || diagnosis.Verdict != cert.OK || !diagnosis.CheckedAt.Equal(before.Add(time.Hour)) {
		t.Errorf("got %+v, %v", diagnosis, err)
	}
}

func TestD3_ChangesAreFoundByAnyNameAndAreNeverNull(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com", "www.example.org")
	changes, err := b.Changes(t.Context(), "www.example.org")
	if err != nil || changes == nil || len(changes) != 0 {
		t.Errorf("none: %#v, %v", changes, err)
	}
	b.store.RecordChanges = []cert.RecordChange{{At: before, Server: "ns1", From: cert.Wrong, To: cert.OK}}
	changes, err = b.Changes(t.Context(), "www.example.org")
	if err != nil ||
		!slices.EqualFunc(changes, b.store.RecordChanges, func(a, b cert.RecordChange) bool { return a.Server == b.Server && a.At.Equal(b.At) }) {
		t.Errorf("got %+v, %v", changes, err)
	}
	if _, err := b.Changes(t.Context(), "nobody.example.com"); code(t, err) != cert.DomainUnknown {
		t.Errorf("of an unknown name: %v", err)
	}
	b.store.Fail(errors.New("connection refused"))
	if _, err := b.Diagnosis(t.Context(), "shop.example.com"); !control.IsFault(err) {
		t.Errorf("PostgreSQL is down: %v", err)
	}
}
