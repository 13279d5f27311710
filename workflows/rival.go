package workflows

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

// Contest is the verb with which another tenant that wants names of this domain has its ownership records checked (row F19). It takes a
// ContestRequest.
const Contest = "contest"

// StillChecking is the message with which a contest is refused while the check of one before it is not done.
const StillChecking = "ownership records are being looked for"

// ContestRequest names the other tenant and the names that it wants.
type ContestRequest struct {
	Request
	Tenant string   `json:"tenant"`
	Names  []string `json:"names"`
}

func (ContestRequest) what(verb string) string { return verb }

// Rival is another tenant that wants names of this domain.
type Rival struct {
	Tenant    string    `json:"tenant"`
	Names     []string  `json:"names"`              // the ones that it wants
	Check     bool      `json:"look,omitempty"`     // its records must be checked now
	CheckedAt time.Time `json:"looked_at,omitzero"` // the newest check
	MovesAt   time.Time `json:"moves_at,omitzero"`  // its records were seen, and the names move at this time
	Gets      bool      `json:"gets,omitempty"`     // the domain is removed, and the names are kept for this tenant
}

// contestPause is the pause between two checks of rivals' records: however often a tenant asks, the cost for this domain is limited.
const contestPause = time.Minute

// checkContest refuses a check that can't succeed, or is too soon.
func (d *domain) checkContest(r ContestRequest, now time.Time) error {
	v := d.state.Rival
	switch {
	case d.checkNotRemoved(r.Request) != nil:
		return d.checkNotRemoved(r.Request)
	case r.Tenant == "" || r.Tenant == d.state.Tenant || len(r.Names) == 0 ||
		slices.ContainsFunc(r.Names, func(n string) bool { return !slices.Contains(d.state.Names, n) }):
		return refuse(cert.PlatformActs, "a contest names another tenant, and names of this domain", "use `evercert connect`, which does")
	case v == nil, !v.MovesAt.IsZero() && v.Tenant == r.Tenant: // the second is answered with the time
		return nil
	case v.Check:
		return refuse(cert.PlatformActs, StillChecking, "wait for it")
	case now.Sub(v.CheckedAt) < contestPause:
		return refuse(cert.TenantActs, "ownership records were looked for a moment ago", "connect the name again in a minute")
	case !v.MovesAt.IsZero() && v.Tenant != r.Tenant:
		return refuse(cert.TenantActs, "the name is about to move to another account", "connect the name again after that, if it is yours")
	}
	return nil
}

// applyContest notes the request. It adds no event: the sender has proved nothing yet.
func (d *domain) applyContest(r ContestRequest, _ time.Time) (string, bool) {
	if v := d.state.Rival; v != nil && !v.MovesAt.IsZero() {
		return "the name moves after the notice", false
	}
	d.state.Rival = &Rival{Tenant: r.Tenant, Names: r.Names, Check: true}
	return "the ownership records are looked for", false
}

// rivalDue reports whether a rival's records must be checked now.
func (d *domain) rivalDue(now time.Time) bool {
	v := d.state.Rival
	return v != nil && (v.Check || !v.MovesAt.IsZero() && !now.Before(v.MovesAt))
}

// settleRival checks the rival's ownership records, and acts on the result. A claim that was never verified yields at once. A verified
// domain moves after a notice, as a whole, if the rival's records then cover all of its names and its own tenant's records are gone:
// whoever controls DNS decides.
func (d *domain) settleRival(ctx workflow.Context) {
	v := d.state.Rival
	names := v.Names
	if d.state.Records.Verified {
		names = d.state.Names
	}
	shown := d.ownershipOf(ctx, v.Tenant, names)
	now := workflow.Now(ctx)
	v.Check, v.CheckedAt, d.changed = false, now, true
	h := happening{at: now}
	switch {
	case !d.state.Records.Verified && shown == cert.OK:
		h.text = "removed by evercert: it was never verified, and another account has shown that " + strings.Join(v.Names, ", ") + " is its own"
		d.happens(ClaimYields, h)
	case shown == cert.OK && v.MovesAt.IsZero():
		d.happens(RivalProved, h)
	case v.MovesAt.IsZero() || now.Before(v.MovesAt): // the rival proved nothing, or the notice is not over
	case shown == cert.OK:
		d.endNotice(ctx, h)
	case shown == cert.Wrong:
		h.text = "the other account's ownership record is not shown any more"
		d.happens(RivalGone, h)
	default: // check again
		v.MovesAt = now.Add(d.state.Policy.CheckInterval)
	}
}

// endNotice checks whether this domain's tenant still shows its own record, which is how it objects.
func (d *domain) endNotice(ctx workflow.Context, h happening) {
	switch own := d.ownershipOf(ctx, d.state.Tenant, d.state.Names); own {
	case cert.OK:
		h.text = "the ownership record of this account still stands"
		d.happens(RivalGone, h)
	case cert.Wrong:
		h.text = "removed by evercert: moved to another account, which has shown that the names are its own"
		d.happens(MovesAway, h)
	default:
		d.state.Rival.MovesAt = h.at.Add(d.state.Policy.CheckInterval)
	}
}

// ownershipOf checks whether a tenant's ownership records cover the names. A fault of evercert's own has the verdict unknown.
func (d *domain) ownershipOf(ctx workflow.Context, tenant string, names []string) cert.Verdict {
	request := activities.CheckRequest{Domain: d.state.Domain, OwnershipOnly: true}
	request.Tenant, request.Names = tenant, names
	var diagnosis cert.Diagnosis
	if err := step(ctx, checkOptions, "whose ownership records stand", activities.CheckDNSName, request, &diagnosis); err != nil {
		return cert.Unknown
	}
	return diagnosis.Ownership
}

// claimEndsAt returns when a domain that was never verified ends; never, when the policy has no limit, or while one of the tenant's records
// is seen.
func (s *State) claimEndsAt() time.Time {
	if s.Records.Verified || s.Records.ClaimSince.IsZero() || s.Policy.ClaimLifetime <= 0 {
		return time.Time{}
	}
	return s.Records.ClaimSince.Add(s.Policy.ClaimLifetime)
}

// claimWarnedAt returns when the warning before that end is due, unless it was given.
func (s *State) claimWarnedAt() time.Time {
	ends := s.claimEndsAt()
	if ends.IsZero() || s.Records.ClaimWarned {
		return time.Time{}
	}
	return ends.Add(-s.Policy.ClaimWarning)
}

// noteSeen begins the time of a claim again when a check sees one of the tenant's records.
func (s *State) noteSeen(records []cert.RecordState, now time.Time) {
	r := &s.Records
	if r.Verified {
		return
	}
	if r.ClaimSince.IsZero() || slices.ContainsFunc(records, func(r cert.RecordState) bool { return r.Verdict == cert.OK }) {
		r.ClaimSince, r.ClaimWarned = now, false
	}
}

// The effects.

func (d *domain) warnOfClaim(h happening) {
	if at := d.state.claimWarnedAt(); !at.IsZero() && !h.at.Before(at) {
		d.state.Records.ClaimWarned = true
		d.addEvent(
			cert.DomainClaimEnding,
			"no DNS record was seen; the domain is removed at "+d.state.claimEndsAt().UTC().Format(time.RFC3339)+" unless one is",
		)
	}
}

func (d *domain) announceMove(h happening) {
	v := d.state.Rival
	v.MovesAt = h.at.Add(d.state.Policy.MoveNotice)
	d.addEvent(
		cert.DomainMoveAnnounced,
		fmt.Sprintf(
			"another account has shown that %s is its own; the domain moves there at %s unless an ownership record of this account stands then",
			strings.Join(d.state.Names, ", "), v.MovesAt.UTC().Format(time.RFC3339),
		),
	)
}

func (d *domain) endMove(h happening) {
	d.state.Rival = nil
	d.addEvent(cert.DomainMoveCancelled, "the domain does not move: "+h.text)
}
