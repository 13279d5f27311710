package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const rootZone = "test."

// zones are the names that have a SOA and NS record, as registered domains do.
var zones = []string{rootZone, "ready.test.", "slow.test.", "empty.test.", "platform.test.", "evercert.test."}

// builtIn are the records that every stack has.
var builtIn = mustParse(
	dnsRecord{"ns1.test", "A", loopback},
	dnsRecord{"edge.platform.test", "A", loopback},
)

func mustParse(records ...dnsRecord) []dns.RR {
	for _, zone := range zones {
		records = append(records,
			dnsRecord{zone, "SOA", "ns1.test. hostmaster.test. 1 3600 600 86400 5"},
			dnsRecord{zone, "NS", "ns1.test."})
	}
	var parsed []dns.RR
	for _, r := range records {
		rr, err := r.parse()
		if err != nil {
			panic(err) // the table above is wrong
		}
		parsed = append(parsed, rr)
	}
	return parsed
}

// zoneOf is the nearest zone above a name: its SOA goes with negative answers.
func zoneOf(name string) string {
	best := rootZone
	for _, zone := range zones {
		if len(zone) > len(best) && dns.IsSubDomain(zone, name) {
			best = zone
		}
	}
	return best
}

func soaOf(zone string) dns.RR {
	for _, rr := range builtIn {
		if rr.Header().Name == zone && rr.Header().Rrtype == dns.TypeSOA {
			return rr
		}
	}
	panic("zone without SOA: " + zone)
}

// zoneData answers what a name holds: built-in and ordered records, and under
// ready.test and slow.test those that a tenant would have added.
type zoneData struct {
	store     *recordStore
	tenant    *obedientTenant
	slowAfter time.Duration
	now       func() time.Time
}

// at returns the records of a name in canonical form, and whether it exists.
func (z *zoneData) at(ctx context.Context, name string) (records []dns.RR, exists bool, err error) {
	records, exists = z.store.at(name)
	records = slices.Clone(records)
	for _, rr := range builtIn {
		if rr.Header().Name == name {
			records = append(records, rr)
		}
		exists = exists || dns.IsSubDomain(name, rr.Header().Name)
	}
	added, err := z.tenantRecords(ctx, name)
	if err != nil {
		return nil, false, err
	}
	exists = exists || len(added) > 0
	hasAddress := slices.ContainsFunc(records, isAddress)
	for _, rr := range added {
		// An ordered address or CNAME stands in place of the tenant's own.
		if name != rr.Header().Name || hasAddress && isAddress(rr) {
			continue
		}
		records = append(records, rr)
	}
	return records, exists, nil
}

func isAddress(rr dns.RR) bool {
	return slices.Contains([]uint16{dns.TypeA, dns.TypeAAAA, dns.TypeCNAME}, rr.Header().Rrtype)
}

// tenantRecords are the records at the name and below it that the obedient
// tenant of ready.test, or the slow one of slow.test, has added.
func (z *zoneData) tenantRecords(ctx context.Context, name string) ([]dns.RR, error) {
	zone := zoneOf(name)
	if name == zone || zone != "ready.test." && zone != "slow.test." {
		return nil, nil
	}
	host := strings.TrimPrefix(strings.TrimPrefix(name, "_acme-challenge."), "_evercert.")
	if host == zone {
		return nil, nil
	}
	if zone == "slow.test." {
		first, err := z.store.firstAsked(host, z.now())
		if err != nil {
			return nil, fmt.Errorf("note the first question for %s: %w", host, err)
		}
		if z.now().Sub(first) < z.slowAfter {
			return nil, nil
		}
	}
	all, err := z.tenant.records(ctx, host)
	if err != nil {
		return nil, err
	}
	var below []dns.RR
	for _, rr := range all {
		if dns.IsSubDomain(name, rr.Header().Name) {
			below = append(below, rr)
		}
	}
	return below, nil
}

// obedientTenant adds every record that evercert asks for: it learns them from
// the product's API. Records of a domain are stable, so an answer is kept for
// good; that a domain is unknown is kept for a second only.
type obedientTenant struct {
	api, token string // without an API no domain is known
	client     *http.Client
	now        func() time.Time

	mu    sync.Mutex
	hosts map[string]*tenantHost
}

type tenantHost struct {
	mu      sync.Mutex // held while asking: one question per host at a time
	records []dns.RR
	known   bool
	asked   time.Time
}

func (t *obedientTenant) records(ctx context.Context, host string) ([]dns.RR, error) {
	if t.api == "" {
		return nil, nil
	}
	t.mu.Lock()
	h := t.hosts[host]
	if h == nil {
		h = &tenantHost{}
		t.hosts[host] = h
	}
	t.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known || t.now().Sub(h.asked) < time.Second {
		return h.records, nil
	}
	records, known, err := t.ask(ctx, strings.TrimSuffix(host, "."))
	if err != nil {
		return nil, fmt.Errorf("ask the API for the records of %s: %w", host, err)
	}
	h.records, h.known, h.asked = records, known, t.now()
	return records, nil
}

func (t *obedientTenant) ask(ctx context.Context, host string) (records []dns.RR, known bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.api+"/v1/domains/"+url.PathEscape(host)+"/records", nil)
	if err != nil {
		return nil, false, err
	}
	req.Header.Set("Authorization", "Bearer "+t.token)
	resp, err := t.client.Do(req)
	if err != nil {
		return nil, false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return nil, false, nil
	}
	if resp.StatusCode != http.StatusOK {
		return nil, false, errors.New("it answered " + resp.Status)
	}
	var body struct {
		Records []dnsRecord `json:"records"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return nil, false, fmt.Errorf("read its answer: %w", err)
	}
	for _, r := range body.Records {
		rr, err := r.parse()
		if err != nil {
			return nil, false, err
		}
		records = append(records, rr)
	}
	// A domain without records yet is asked for again: they may follow.
	return records, len(records) > 0, nil
}
