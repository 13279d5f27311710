package cert

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Verdict is the answer of a check. Unknown means that no answer came (a time-out, SERVFAIL), and is never the tenant's fault.
type Verdict string

// The three verdicts.
const (
	OK      Verdict = "ok"
	Wrong   Verdict = "wrong"
	Unknown Verdict = "unknown"
)

// Worse returns the verdict of two checks together: wrong beats unknown beats ok, because a record that is
// surely wrong stays wrong whatever the unknown ones turn out to be.
func (v Verdict) Worse(w Verdict) Verdict {
	rank := map[Verdict]int{OK: 0, Unknown: 1, Wrong: 2}
	if rank[w] > rank[v] {
		return w
	}
	return v
}

// Method is how control over a name is shown to the CA (RFC 8555 §8.3, §8.4; RFC 8737).
type Method string

// The validation methods that evercert uses, best first.
const (
	DNS01     Method = "dns-01"
	HTTP01    Method = "http-01"
	TLSALPN01 Method = "tls-alpn-01"
)

// Purpose says what a DNS record is needed for.
type Purpose string

// Why a tenant adds a record.
const (
	ForOwnership  Purpose = "ownership"  // shows which tenant the domain belongs to
	ForDelegation Purpose = "delegation" // lets evercert answer dns-01 for this and every later certificate
	ForAddress    Purpose = "address"    // brings the visitors here
)

// Record is one DNS record that a tenant is asked to add.
type Record struct {
	Name    string  `json:"name"` // fully qualified, no trailing dot
	Type    string  `json:"type"` // TXT, CNAME, A or AAAA; CAA in problems
	Value   string  `json:"value"`
	Purpose Purpose `json:"purpose"`
	// Hostname is the name that the record is for: shop.example.com of _acme-challenge.shop.example.com. The TXT and CNAME records that a
	// wildcard shares with its base name carry the base name. Empty in records that were stored before there was this field.
	Hostname string `json:"hostname,omitempty"`
}

// Same reports whether both are one record in DNS: the same name, type and value.
func (r Record) Same(other Record) bool {
	return r.Name == other.Name && r.Type == other.Type && r.Value == other.Value
}

// RecordState is a record that a tenant adds, and what the newest check saw in its place. Before the first check there is the record only.
type RecordState struct {
	Record
	State   RecordWord `json:"state,omitempty"` // Verdict, Found and Seen in one word; Diagnosis.Clean fills it in
	Verdict Verdict    `json:"verdict,omitempty"`
	Found   []string   `json:"found,omitempty"` // as in a zone file: "CNAME other.example"
	Seen    []Sighting `json:"seen,omitempty"`  // server by server
}

// RecordWord is a record's state in a word that a tenant understands (row D4).
type RecordWord string

// The states of a record.
const (
	RecordFound            RecordWord = "found"
	RecordMissing          RecordWord = "missing"
	RecordWrong            RecordWord = "wrong"
	RecordNotYetPropagated RecordWord = "not_yet_propagated" // some servers show it already
	RecordUnknown          RecordWord = "unknown"
)

// word returns the state of the record over all servers; empty where nothing was checked yet.
func (r RecordState) word() RecordWord {
	shown := func(v Verdict) bool {
		return slices.ContainsFunc(r.Seen, func(s Sighting) bool { return s.Verdict == v })
	}
	if shown(OK) && shown(Wrong) {
		return RecordNotYetPropagated
	}
	return wordOf(r.Verdict, r.Found)
}

// State returns the state of the record at this server.
func (s Sighting) State() RecordWord { return wordOf(s.Verdict, s.Found) }

func wordOf(v Verdict, found []string) RecordWord {
	switch {
	case v == "":
		return ""
	case v == OK:
		return RecordFound
	case v == Unknown:
		return RecordUnknown
	case len(found) == 0:
		return RecordMissing
	default:
		return RecordWrong
	}
}

// ServerRole is either of two: a name server of the tenant's zone, or a public resolver.
type ServerRole string

// The two kinds of servers that are asked. Authoritative ones decide, because a CA asks them; resolvers show what visitors see.
const (
	Authoritative ServerRole = "authoritative"
	Recursive     ServerRole = "recursive"
)

// Sighting is what one server shows in the place of an expected record.
type Sighting struct {
	Server    string     `json:"server"` // "ns1.example.net (192.0.2.53)", or a resolver's address
	Role      ServerRole `json:"role"`
	Verdict   Verdict    `json:"verdict"`
	Found     []string   `json:"found,omitempty"`
	Error     string     `json:"error,omitempty"`     // why the server gave no answer
	FirstSeen time.Time  `json:"first_seen,omitzero"` // the right record, there; since it last appeared
	LastSeen  time.Time  `json:"last_seen,omitzero"`  // the right record, there
	ChangedAt time.Time  `json:"changed_at,omitzero"` // when this server last began to show something else
}

// RecordChange is a record that a server showed otherwise than at the check before.
type RecordChange struct {
	At     time.Time  `json:"at"`
	Record Record     `json:"record"`
	Server string     `json:"server"`
	Role   ServerRole `json:"role"`
	From   Verdict    `json:"from"`
	To     Verdict    `json:"to"`
	Found  []string   `json:"found,omitempty"` // what it shows now
}

// LastAnswer is what a server showed in the place of an expected record when it last gave an answer.
type LastAnswer struct {
	Record   Record    `json:"record"`
	Sighting Sighting  `json:"sighting"`
	At       time.Time `json:"at"`
}

// Question is what a diagnosis is asked about.
type Question struct {
	Names        []string     // A-labels
	Expected     []Record     // for all the names
	Above        []Record     // ownership records above those expected, each of which shows as much for the names below it
	Before       []LastAnswer // of the checks before, for servers that are silent now
	CAs          []CAIdentity
	Methods      []Method // that may be chosen, best first; DNS01 and HTTP01 when empty
	Probe        *Probe   // what the platform's edges answer now; without one any plausible answer over HTTP will do
	Registration bool     // ask the registry (RDAP) even where DNS shows nothing wrong
	Once         bool     // no further check follows, and no problem promises one
}

// Probe is an http-01 token that the platform's edges answer while a diagnosis runs: it shows whether a name whose addresses
// are not the platform's, because a CDN stands in front, leads here all the same.
type Probe struct{ Token, KeyAuthorization string }

// CAIdentity is what CAA records are compared with (RFC 8659, RFC 8657).
type CAIdentity struct {
	Name       string   // as in evercert's configuration
	Domains    []string // issuer domain names, e.g. letsencrypt.org
	AccountURI string
	Directory  string `json:"directory,omitempty"` // URL of its ACME directory
}

// Diagnosis is the result of a check: what a CA would see, and what is wrong with it. The API, the CLI and the pages show it as it is.
// Of a domain that was never checked it has the records to add, without a time and without verdicts.
type Diagnosis struct {
	CheckedAt time.Time     `json:"checked_at,omitzero"`
	Directory string        `json:"directory,omitempty"` // of the CA that an order would be placed at now
	Verdict   Verdict       `json:"verdict,omitempty"`   // ok: an order placed now is expected to succeed
	Ownership Verdict       `json:"ownership,omitempty"` // of the ownership records
	Pointed   Verdict       `json:"pointed,omitempty"`   // do the names lead visitors to the platform
	Names     []NameResult  `json:"names,omitempty"`     // in the order of the question
	Problems  []Problem     `json:"problems,omitzero"`   // those that only warn too
	Records   []RecordState `json:"records,omitzero"`    // that the domain needs
	CAA       []CAAState    `json:"caa,omitempty"`       // of every CA asked about
	Servers   []Nameserver  `json:"servers,omitempty"`   // of the zones that the names are in
}

// WithRecords returns the diagnosis as it is shown: with exactly these records, each in the state that was seen. A record that is no
// longer expected, because the platform moved, is left out; one that the check did not ask for has no state. There are lists where there
// would be none: in JSON [], not null.
func (d Diagnosis) WithRecords(expected []Record) Diagnosis {
	d = d.Clean()
	states := make([]RecordState, len(expected))
	for i, r := range expected {
		if at := slices.IndexFunc(d.Records, func(s RecordState) bool { return s.Same(r) }); at >= 0 {
			states[i] = d.Records[at]
		}
		states[i].Record = r
	}
	d.Records = states
	if d.Problems == nil {
		d.Problems = []Problem{}
	}
	return d
}

// NameResult is the result of a check for one name.
type NameResult struct {
	Name   string `json:"name"`
	Method Method `json:"method,omitempty"` // by which an order placed now validates it; empty unless Diagnosis.Verdict is ok
	Reason string `json:"reason,omitempty"` // why this method, or what is waited for, in words
}

// Methods returns the validation method of each name that has one; nil if none has.
func (d Diagnosis) Methods() map[string]Method {
	var methods map[string]Method
	for _, n := range d.Names {
		if n.Method == "" {
			continue
		}
		if methods == nil {
			methods = map[string]Method{}
		}
		methods[n.Name] = n.Method
	}
	return methods
}

// CAAState says whether CAA records let a CA issue for every name.
type CAAState struct {
	CA      string  `json:"ca"`
	Verdict Verdict `json:"verdict"`
	Record  *Record `json:"record,omitempty"` // the CAA record that would let it, where one is needed
}

// Nameserver is an authoritative server of a tenant's zone.
type Nameserver struct {
	Zone    string      `json:"zone"`
	Name    string      `json:"name"`
	Address string      `json:"address,omitempty"`
	State   ServerState `json:"state"`
	Detail  string      `json:"detail,omitempty"` // why it is in this state, in words
}

// ServerState is how a name server answered when it was asked for its zone's SOA record.
type ServerState string

// The states of a name server.
const (
	ServerAnswers     ServerState = "answers"
	ServerLame        ServerState = "lame"           // it answers, but not for this zone: REFUSED, no authority, or a referral
	ServerFails       ServerState = "fails"          // it answers SERVFAIL
	ServerUnreachable ServerState = "unreachable"    // no answer in time, or the look-up of its address failed
	ServerNoAddress   ServerState = "has no address" // its name has none, doesn't exist, or needs glue that is missing
	ServerForbidden   ServerState = "forbidden"      // its address is not one of the public internet, and no query was sent
	ServerNotAsked    ServerState = "not asked"      // enough other servers were asked, or this machine has no route to it; no fault
)

// ServerStates lists every state of a name server.
var ServerStates = []ServerState{
	ServerAnswers,
	ServerLame,
	ServerFails,
	ServerUnreachable,
	ServerNoAddress,
	ServerForbidden,
	ServerNotAsked,
}

// OwnershipName is where the ownership TXT record of a name stands. A wildcard shares its base name's.
func OwnershipName(name string) string { return ownershipPrefix + strings.TrimPrefix(name, "*.") }

const (
	ownershipPrefix  = "_evercert."
	delegationPrefix = "_acme-challenge."
)

// OwnershipPlaces are the names whose ownership record shows whose a name is, the nearest first: itself, and those above it up to the
// registered domain. Whoever runs the registered domain decides about all below it; whoever runs a name beside it decides about nothing.
func OwnershipPlaces(name string) []string {
	name = strings.TrimPrefix(name, "*.")
	registered := RegisteredDomain(name)
	places := []string{name}
	for name != registered {
		_, name, _ = strings.Cut(name, ".")
		places = append(places, name)
	}
	return places
}

// ownershipPlaces are where the ownership records of the names are asked for: at each name, unless another of them above it covers it. A
// name that is too long for the record's label is covered by the nearest one above it that is not.
func ownershipPlaces(names []string) []string {
	var asked []string
	for _, name := range names {
		places := OwnershipPlaces(name)
		if i := slices.IndexFunc(places, func(p string) bool { return len(ownershipPrefix)+len(p) <= maxNameLength }); !slices.Contains(
			asked,
			places[i],
		) {
			asked = append(asked, places[i])
		}
	}
	return slices.DeleteFunc(slices.Clone(asked), func(place string) bool {
		return slices.ContainsFunc(OwnershipPlaces(place)[1:], func(above string) bool { return slices.Contains(asked, above) })
	})
}

func ownershipRecord(place, tenant string, secret []byte) Record {
	return Record{
		Name:     OwnershipName(place),
		Type:     "TXT",
		Value:    OwnershipValue(place, tenant, secret),
		Purpose:  ForOwnership,
		Hostname: place,
	}
}

// OwnershipRecords are the ownership records that are asked for, and those above them, each of which shows as much for the names below it.
func OwnershipRecords(names []string, tenant string, secret []byte) (asked, above []Record) {
	for _, place := range ownershipPlaces(names) {
		asked = append(asked, ownershipRecord(place, tenant, secret))
		for _, higher := range OwnershipPlaces(place)[1:] {
			if record := ownershipRecord(higher, tenant, secret); !slices.Contains(above, record) {
				above = append(above, record)
			}
		}
	}
	return asked, above
}

// CanDelegate reports whether the name below which dns-01 is delegated fits into DNS. Where it does not, http-01 and tls-alpn-01 are left.
func CanDelegate(name string) bool { return len(DelegationName(name)) <= maxNameLength }

// DelegationName is where the CNAME that delegates dns-01 stands (RFC 8555 §8.4). A wildcard shares its base name's.
func DelegationName(name string) string {
	return delegationPrefix + strings.TrimPrefix(name, "*.")
}

// FormName is a record's name as DNS providers' forms take it, relative to the registered domain, and in full for those that don't.
func FormName(name string) string {
	short := "@"
	if zone := RegisteredDomain(name); name != zone {
		short = strings.TrimSuffix(name, "."+zone)
	}
	return fmt.Sprintf("named %s (in full: %s)", short, name)
}

// Platform is what tenants' records must lead to.
type Platform struct {
	ValidationZone string   // zone whose names evercert answers itself, e.g. dcv.example.net
	Target         string   // name that tenants' CNAMEs point to
	Addresses      []string // addresses for names that cannot be a CNAME (apex)
}

// ExpectedRecords lists the DNS records that a tenant adds for a domain, in the order in which they are shown.
// secret is the tenant's own (store.Tenant); it makes the values stable and unguessable for others.
func (p Platform) ExpectedRecords(d Domain, secret []byte) []Record {
	records, _ := OwnershipRecords(d.Names, d.Tenant, secret)
	for _, name := range d.Names {
		if !CanDelegate(name) {
			continue
		}
		records = append(records, DelegationRecord(name, p.DelegationTarget(name, secret)))
	}
	for _, name := range d.Names {
		records = append(records, p.AddressRecords(name)...)
	}
	return records
}

// AddressRecords lists the records that lead a name's visitors to the platform: a CNAME; at an apex, which can't hold a CNAME beside its
// SOA and NS (RFC 1034 §3.6.2), and where the platform has no target, one record for each address.
func (p Platform) AddressRecords(name string) []Record {
	if p.Target != "" && !IsApex(name) {
		return []Record{{Name: name, Type: "CNAME", Value: p.Target, Purpose: ForAddress, Hostname: name}}
	}
	var records []Record
	for _, address := range p.Addresses {
		kind := "A"
		if strings.Contains(address, ":") {
			kind = "AAAA"
		}
		records = append(records, Record{Name: name, Type: kind, Value: address, Purpose: ForAddress, Hostname: name})
	}
	return records
}

// DelegationRecord is the record that delegates dns-01 for a name to a target. A wildcard shares its base name's.
func DelegationRecord(name, target string) Record {
	return Record{Name: DelegationName(name), Type: "CNAME", Value: target, Purpose: ForDelegation, Hostname: strings.TrimPrefix(name, "*.")}
}

// DelegationTarget is the name under the validation zone that _acme-challenge.NAME is delegated to.
func (p Platform) DelegationTarget(name string, secret []byte) string {
	return DelegationLabel(name, secret) + "." + p.ValidationZone
}

// OwnershipValue is the text of the ownership TXT record at a place. It is bound to the tenant and to the place: no other name's record,
// no wildcard and no other tenant's record has it.
func OwnershipValue(place, tenant string, secret []byte) string {
	return OwnershipValuePrefix + keyedLabel("ownership", tenant+"\x00"+strings.TrimPrefix(place, "*."), secret)
}

// OwnershipValuePrefix begins every ownership record, whoever's it is.
const OwnershipValuePrefix = "evercert-tenant="

// DelegationLabel is the first label of the name under the validation zone that _acme-challenge.NAME is delegated to.
func DelegationLabel(name string, secret []byte) string {
	return keyedLabel("delegation", strings.TrimPrefix(name, "*."), secret)
}

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// keyedLabel is 26 characters that carry 128 bits and are a valid DNS label.
func keyedLabel(use, of string, secret []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("evercert " + use + "\x00" + of))
	return lowerBase32.EncodeToString(mac.Sum(nil)[:16])
}
