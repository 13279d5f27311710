package workflows

import (
	"fmt"
	"time"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

// Event is something that happens to a domain and may move it to another phase.
type Event string

// The events.
const (
	RecordsRight    Event = "records-right"    // a check saw all that is needed
	RecordsWrong    Event = "records-wrong"    // a check saw that something is missing or wrong
	RecordsUnknown  Event = "records-unknown"  // a check had no result
	RecordsTooLate  Event = "records-too-late" // without the records for as long as the policy allows (row D6)
	ClaimEnded      Event = "claim-ended"      // never verified, and no record was seen within the lifetime of a claim (row F19)
	ClaimYields     Event = "claim-yields"     // never verified, and another tenant proved to own the names
	Issued          Event = "issued"           // the CA issued a certificate
	Served          Event = "served"           // every edge serves it
	ServedInPart    Event = "served-in-part"   // some edges serve it, others do not yet
	RefusedInPart   Event = "refused-in-part"  // some edges serve it, another serves something else: counts as a failure
	Refused         Event = "refused"          // the CA or an edge refused: counts as a failure
	RefusedAtLast   Event = "refused-at-last"  // the failure that ends automatic attempts (row A5)
	MustWait        Event = "must-wait"        // a limit, an outage, a fault: does not count as a failure
	NamePaused      Event = "name-paused"      // the CA refuses the name until a person ends its pause
	OrderGone       Event = "order-gone"       // the CA has forgotten the order, or it has expired
	NextCA          Event = "next-ca"          // this CA can't issue now: the order goes to the next one
	CertificateOld  Event = "certificate-old"  // issued, served by no edge, and due for renewal: given up
	Due             Event = "due"              // the renewal is due, or a person asked for it
	BeginFirst      Event = "begin-first"      // the next attempt begins: the first certificate
	BeginRenewal    Event = "begin-renewal"    // the next attempt begins: a renewal
	BeginInstalling Event = "begin-installing" // the next attempt begins: a certificate is issued already
	TakesTooLong    Event = "takes-too-long"   // no certificate for long after the records were right
	NearlyExpired   Event = "nearly-expired"   // a quarter of the served certificate's lifetime is left
	Expired         Event = "expired"          // the served certificate has expired
	OlderExpired    Event = "older-expired"    // the certificate has expired that edges without the newest serve
	Paused          Event = "paused"           // a person paused the domain
	Resumed         Event = "resumed"          // the pause is over
	RivalProved     Event = "rival-proved"     // verified, and another tenant proved to own the names: they move after a notice
	RivalGone       Event = "rival-gone"       // the notice is over, and the other tenant's record is gone or this one's is still there
	MovesAway       Event = "moves-away"       // the notice is over, and only the other tenant proves to own the names
	BackToCare      Event = "back-to-care"     // support hands the domain back
	Removal         Event = "removal"          // a person removes the domain
)

// Events are all events.
var Events = []Event{
	RecordsRight, RecordsWrong, RecordsUnknown, RecordsTooLate, ClaimEnded, ClaimYields, Issued, Served, ServedInPart, RefusedInPart, Refused,
	RefusedAtLast, MustWait,
	NamePaused, OrderGone, NextCA, CertificateOld, Due, BeginFirst, BeginRenewal, BeginInstalling, TakesTooLong, NearlyExpired, Expired,
	OlderExpired,
	Paused, Resumed, RivalProved, RivalGone, MovesAway, BackToCare, Removal,
}

// Transition is what an event does in a phase.
type Transition struct {
	To      Phase
	Effects []Effect // in this order
}

// anywhere holds what may happen in every phase except Removed, unless the phase has its own transition. The phase stays unless To is set.
var anywhere = map[Event]Transition{
	NearlyExpired: {Effects: []Effect{ReportNearlyExpired, OpenCase}},
	Expired:       {Effects: []Effect{ReportExpired, OpenCase}},
	OlderExpired:  {Effects: []Effect{DropOlder}},
	Paused:        {Effects: []Effect{BeginPause}},
	Resumed:       {Effects: []Effect{EndPause}},
	RivalProved:   {Effects: []Effect{AnnounceMove}},
	RivalGone:     {Effects: []Effect{EndMove}},
	MovesAway:     {To: Removed, Effects: []Effect{KeepForRival, ReportRemoved, CloseCase}},
	BackToCare:    {Effects: []Effect{CloseCase, BeginWaitsAnew}},
	Removal:       {To: Removed, Effects: []Effect{ReportRemoved, CloseCase}},
}

// transitions is the whole life of a domain: phase × event. A pair that is not here can't happen.
var transitions = everywhere(map[Phase]map[Event]Transition{
	AwaitingDNS: {
		RecordsRight:   {Issuing, []Effect{NoteRecords, CloseRecordsCase}},
		RecordsWrong:   {AwaitingDNS, []Effect{NoteLate, WarnOfClaim, PlanCheck}},
		RecordsUnknown: {AwaitingDNS, []Effect{PlanCheck}},
		RecordsTooLate: {AwaitingDNS, []Effect{OpenCase, PlanCheck}},
		ClaimEnded:     {Removed, []Effect{ReportClaimEnded, ReportRemoved, CloseCase}},
		ClaimYields:    {Removed, []Effect{ReportClaimEnded, KeepForRival, ReportRemoved, CloseCase}},
	},
	Issuing: {
		Issued:        {Installing, []Effect{KeepCertificate}},
		Refused:       {AwaitingRetry, []Effect{DropIssuance, CountFailure, PlanRetry}},
		RefusedAtLast: {AwaitingHandBack, []Effect{DropIssuance, CountFailure, OpenCase}},
		MustWait:      {AwaitingRetry, []Effect{CountWait, PlanRetry}},
		NamePaused:    {AwaitingRetry, []Effect{CountWait, OpenCase, PlanRetry}},
		OrderGone:     {AwaitingRetry, []Effect{DropIssuance, CountOrderGone, PlanRetry}},
		NextCA:        {AwaitingRetry, []Effect{DropIssuance, CountOrderGone, TellNextCA, PlanRetry}},
	},
	Installing: {
		Served:         {Active, []Effect{ReportServed, GoLive, CloseCase}},
		ServedInPart:   {AwaitingRetry, []Effect{GoLiveInPart, CountWait, PlanRetry}},
		RefusedInPart:  {AwaitingRetry, []Effect{GoLiveInPart, CountFailure, PlanRetry}},
		Refused:        {AwaitingRetry, []Effect{CountFailure, PlanRetry}},
		RefusedAtLast:  {AwaitingHandBack, []Effect{GoLiveInPart, CountFailure, OpenCase}},
		MustWait:       {AwaitingRetry, []Effect{CountWait, PlanRetry}},
		CertificateOld: {AwaitingRetry, []Effect{DropCertificate, RetryAtOnce}},
	},
	Active: {
		Due: {RenewalDue, []Effect{PlanRenewal}},
	},
	RenewalDue: {
		RecordsRight:   {Issuing, []Effect{NoteRecords, EndHold}},
		RecordsWrong:   {RenewalDue, []Effect{Hold, PlanRenewalCheck}},
		RecordsUnknown: {RenewalDue, []Effect{PlanCheckSoon}},
		RecordsTooLate: {RenewalDue, []Effect{OpenCase, PlanCheckSoon}},
	},
	AwaitingRetry: {
		BeginFirst:      {AwaitingDNS, []Effect{BeginAttempt}},
		BeginRenewal:    {RenewalDue, []Effect{BeginAttempt}},
		BeginInstalling: {Installing, []Effect{BeginAttempt}},
		TakesTooLong:    {AwaitingRetry, []Effect{OpenCase}},
	},
	AwaitingHandBack: {
		BackToCare: {AwaitingRetry, []Effect{CloseCase, BeginWaitsAnew, RetryAtOnce}},
	},
	Removed: {},
})

// everywhere adds what may happen in every phase.
func everywhere(table map[Phase]map[Event]Transition) map[Phase]map[Event]Transition {
	for _, phase := range Phases {
		if phase == Removed {
			continue
		}
		for _, event := range Events {
			t, ok := anywhere[event]
			if _, own := table[phase][event]; ok && !own {
				if t.To == "" {
					t.To = phase
				}
				table[phase][event] = t
			}
		}
	}
	return table
}

// Lookup returns what an event does in a phase; false when it can't happen there.
func Lookup(p Phase, e Event) (Transition, bool) {
	t, ok := transitions[p][e]
	return t, ok
}

// happening is an event with the data for its effects.
type happening struct {
	at       time.Time
	problem  cert.Problem
	wait     time.Duration // before the next try, when it is not a failure
	excused  bool          // the next wait counts for no deadline
	issued   activities.Issued
	lacking  []string      // edges that do not serve the certificate
	caseKind cert.CaseKind // the kind of the case that opens
	text     string        // for the timeline or the case
	by       string        // the person who asked
}

// happens applies an event by the table. An event that the table does not have is a bug: the workflow task then blocks until a fixed worker
// is deployed, and the domain continues from here.
func (d *domain) happens(e Event, h happening) {
	t, ok := Lookup(d.state.Phase, e)
	if !ok {
		panic(fmt.Sprintf("event %q in phase %q", e, d.state.Phase))
	}
	for _, effect := range t.Effects {
		effects[effect](d, h)
	}
	if t.To != d.state.Phase {
		d.log.Info("phase", "from", d.state.Phase, "to", t.To, "event", e)
	}
	d.state.Phase = t.To
	d.changed = d.changed || !silent[e]
}

// silent events are followed at once by a check, which is recorded.
var silent = map[Event]bool{BeginFirst: true, BeginRenewal: true, BeginInstalling: true, Due: true, CertificateOld: true}
