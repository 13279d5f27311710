package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// recordTTL is short: nothing in a test should have to wait for a cache.
const recordTTL = 5

// dnsRecord is one record as a person writes it.
type dnsRecord struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

// faultKinds are what a name server can do wrong on purpose. A lame server,
// one that doesn't hold the zone delegated to it, answers REFUSED.
var faultKinds = map[string]string{
	"servfail": "servfail", "timeout": "timeout", "refused": "refused", "lame": "refused", "none": "",
}

// recordStore holds the records and faults that were ordered, and the time of
// the first question for each host under slow.test. Everything is on disk: a
// restart of the part changes no answer.
type recordStore struct {
	path string

	mu     sync.RWMutex
	parsed map[string][]dns.RR // by lower-case name with final dot
	below  map[string]int      // names with records below a name, which make it exist (RFC 8020)
	state  storedState
}

type storedState struct {
	Records    []dnsRecord          `json:"records"`
	Faults     map[string]string    `json:"faults"`
	FirstAsked map[string]time.Time `json:"first_asked"`
}

func openRecordStore(path string) (*recordStore, error) {
	s := &recordStore{path: path, parsed: map[string][]dns.RR{}, below: map[string]int{}}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the records: %w", err)
	}
	if err == nil {
		if err := json.Unmarshal(data, &s.state); err != nil {
			return nil, fmt.Errorf("read the records: %w (delete %s to begin without any)", err, path)
		}
	}
	if s.state.Faults == nil {
		s.state.Faults = map[string]string{}
	}
	if s.state.FirstAsked == nil {
		s.state.FirstAsked = map[string]time.Time{}
	}
	for _, r := range s.state.Records {
		rr, err := r.parse()
		if err != nil {
			return nil, fmt.Errorf("read the records: %w", err)
		}
		s.hold(rr)
	}
	return s, nil
}

// hold adds a record to those that are answered with. The caller holds the lock.
func (s *recordStore) hold(rr dns.RR) {
	name := rr.Header().Name
	if len(s.parsed[name]) == 0 {
		for _, above := range parents(name) {
			s.below[above]++
		}
	}
	s.parsed[name] = append(s.parsed[name], rr)
}

// drop takes all records of a name away. The caller holds the lock.
func (s *recordStore) drop(name string) {
	if len(s.parsed[name]) > 0 {
		for _, above := range parents(name) {
			s.below[above]--
		}
	}
	delete(s.parsed, name)
}

// parents are the names above a name.
func parents(name string) []string {
	var all []string
	for _, i := range dns.Split(name)[1:] {
		all = append(all, name[i:])
	}
	return all
}

// parse turns the record into its wire form. A TXT value needs no quotes and
// may be longer than the 255 octets of one string (RFC 1035 section 3.3.14).
func (r dnsRecord) parse() (dns.RR, error) {
	name, kind := canonicalName(r.Name), strings.ToUpper(r.Type)
	if kind == "TXT" && !strings.HasPrefix(r.Value, `"`) {
		txt := &dns.TXT{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: recordTTL}}
		for chunk := range slices.Chunk([]byte(r.Value), 255) {
			txt.Txt = append(txt.Txt, strings.ReplaceAll(string(chunk), `\`, `\\`))
		}
		if len(txt.Txt) == 0 {
			txt.Txt = []string{""}
		}
		return txt, nil
	}
	value := r.Value
	if slices.Contains([]string{"CNAME", "NS", "MX", "SRV", "DNAME", "PTR"}, kind) {
		value = dns.Fqdn(value)
	}
	rr, err := dns.NewRR(fmt.Sprintf("%s %d IN %s %s", name, recordTTL, kind, value))
	if err == nil && rr == nil {
		err = errors.New("the value is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("record %s %s %q: %w", r.Name, r.Type, r.Value, err)
	}
	return rr, nil
}

func canonicalName(name string) string { return dns.CanonicalName(name) }

// set adds a value. A name has one CNAME only, so a new one replaces the old.
func (s *recordStore) set(r dnsRecord) error {
	rr, err := r.parse()
	if err != nil {
		return err
	}
	if !dns.IsSubDomain(rootZone, rr.Header().Name) {
		return fmt.Errorf("%s isn't below %s, the only names this server answers for", r.Name, rootZone)
	}
	r = dnsRecord{rr.Header().Name, dns.TypeToString[rr.Header().Rrtype], r.Value}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(func(have dnsRecord) bool {
		return have == r || r.Type == "CNAME" && have.Name == r.Name && have.Type == "CNAME"
	})
	s.state.Records = append(s.state.Records, r)
	s.hold(rr)
	return s.save()
}

// del removes one value, or with an empty value all of the type.
func (s *recordStore) del(r dnsRecord) error {
	name, kind := canonicalName(r.Name), strings.ToUpper(r.Type)
	s.mu.Lock()
	defer s.mu.Unlock()
	removed := s.remove(func(have dnsRecord) bool {
		return have.Name == name && have.Type == kind && (r.Value == "" || sameRecord(have, r))
	})
	if removed == 0 {
		return fmt.Errorf("there is no record %s %s %s", r.Name, kind, r.Value)
	}
	return s.save()
}

func sameRecord(a, b dnsRecord) bool {
	x, errX := a.parse()
	y, errY := b.parse()
	return errX == nil && errY == nil && dns.IsDuplicate(x, y)
}

// remove deletes matching records and rebuilds the parsed ones of their names.
// The caller holds the lock.
func (s *recordStore) remove(matches func(dnsRecord) bool) (removed int) {
	names := map[string]bool{}
	s.state.Records = slices.DeleteFunc(s.state.Records, func(r dnsRecord) bool {
		if matches(r) {
			names[r.Name] = true
			removed++
			return true
		}
		return false
	})
	for name := range names {
		s.drop(name)
	}
	for _, r := range s.state.Records {
		if names[r.Name] {
			if rr, err := r.parse(); err == nil { // it parsed when it was added
				s.hold(rr)
			}
		}
	}
	return removed
}

func (s *recordStore) setFault(name, kind string) error {
	fault, known := faultKinds[kind]
	if !known {
		return fmt.Errorf("fault %q: want servfail, timeout, refused, lame or none", kind)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if fault == "" {
		delete(s.state.Faults, canonicalName(name))
	} else {
		s.state.Faults[canonicalName(name)] = fault
	}
	return s.save()
}

// fault finds the fault ordered for the name or the nearest name above it.
func (s *recordStore) fault(name string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.state.Faults) == 0 {
		return ""
	}
	for _, i := range dns.Split(name) {
		if f := s.state.Faults[name[i:]]; f != "" {
			return f
		}
	}
	return ""
}

// at returns the records of a name, and whether the name exists: it does also
// when only names below it have records (RFC 8020).
func (s *recordStore) at(name string) (records []dns.RR, exists bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	records = s.parsed[name]
	return records, len(records) > 0 || s.below[name] > 0
}

// firstAsked notes the first question for a host under slow.test.
func (s *recordStore) firstAsked(host string, now time.Time) (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.state.FirstAsked[host]; ok {
		return t, nil
	}
	s.state.FirstAsked[host] = now
	return now, s.save()
}

func (s *recordStore) save() error { return writeJSON(s.path, s.state) }

func (s *recordStore) list() storedState {
	s.mu.RLock()
	defer s.mu.RUnlock()
	faults := map[string]string{}
	maps.Copy(faults, s.state.Faults)
	return storedState{Records: slices.Clone(s.state.Records), Faults: faults}
}
