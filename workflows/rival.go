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

// Contest is the verb by which another tenant that wants names of this domain has its ownership records looked for (row F19). It takes a
// ContestRequest.
const Contest = "contest"

// StillLooking is the message of the refusal of a contest while the look of one before it is not done.
const StillLooking = "ownership records are being looked for"

// ContestRequest names the other tenant and the names that it wants.
type ContestRequest struct {
	Request
	Tenant string   `json:"tenant"`
	Names  []string `json:"names"`
}

func (ContestRequest) what(verb string) string { return verb }

// Rival is another tenant that wants names of this domain.
type Rival struct {
	Tenant   string    `json:"tenant"`
	Names    []string  `json:"names"`              // that it wants
	Look     bool      `json:"look,omitempty"`     // its records are to be looked for now
	LookedAt time.Time `json:"looked_at,omitzero"` // newest look
	MovesAt  time.Time `json:"moves_at,omitzero"`  // its records were seen, and the notice to this domain's tenant ends
	Gets     bool      `json:"gets,omitempty"`     // the domain is removed, and the names are kept for it
}

// contestPause is between two looks at rivals' records. Whoever wants the names can ask at will, and costs this domain no more.
const contestPause = time.Minute

// checkContest refuses what would look in vain, or too often.
func (d *domain) checkContest(r ContestRequest, now time.Time) error {
	v := d.state.Rival
	switch {
	case d.checkNotRemoved(r.Request) != nil:
		return d.checkNotRemoved(r.Request)
	case r.Tenant == "" || r.Tenant == d.state.Tenant || len(r.Names) == 0 || slices.ContainsFunc(r.Names, func(n string) bool { return !slices.Contains(d.state.Names, n) }):
		return refuse(cert.PlatformActs, "a contest names another tenant, and names of this domain", "use `evercert connect`, which does")
	case v == nil, !v.MovesAt.IsZero() && v.Tenant == r.Tenant: // the second is answered with the time
		return nil
	case v.Look:
		return refuse(cert.PlatformActs, StillLooking, "wait for it")
	case now.Sub(v.LookedAt) < contestPause:
		return refuse(cert.TenantActs, "ownership records were looked for a moment ago", "connect the name again in a minute")
	case !v.MovesAt.IsZero() && v.Tenant != r.Tenant:
		return refuse(cert.TenantActs, "the name is about to move to another account", "connect the name again after that, if it is yours")
	}
	return nil
}

// applyContest notes the wish. It stands on no timeline: whoever asks has shown nothing yet.
func (d *domain) applyContest(r ContestRequest, _ time.Time) (string, bool) {
	if v := d.state.Rival; v != nil && !v.MovesAt.IsZero() {
		return "the name moves after the notice", false
	}
	d.state.Rival = &Rival{Tenant: r.Tenant, Names: r.Names, Look: true}
	return "the ownership records are looked for", false
}

// rivalDue reports whether a rival's records are to be looked for now.
func (d *domain) rivalDue(now time.Time) bool {
	v := d.state.Rival
	return v != nil && (v.Look || !v.MovesAt.IsZero() && !now.Before(v.MovesAt))
}

// settleRival looks for the rival's ownership records, and does what they mean. A claim that was never verified yields to them at once. A verified
// domain moves after a notice, as a whole, if the rival's records cover all of its names then and its own tenant's do not stand any more: whoever
// runs the DNS decides.
func (d *domain) settleRival(ctx workflow.Context) {
	v := d.state.Rival
	names := v.Names
	if d.state.Records.Verified {
		names = d.state.Names
	}
	shown := d.ownershipOf(ctx, v.Tenant, names)
	now := workflow.Now(ctx)
	v.Look, v.LookedAt, d.changed = false, now, true
	h := happening{at: now}
	switch {
	case !d.state.Records.Verified && shown == cert.OK:
		h.text = "removed by evercert: it was never verified, and another account has shown that " + strings.Join(v.Names, ", ") + " is its own"
		d.happens(ClaimYields, h)
	case shown == cert.OK && v.MovesAt.IsZero():
		d.happens(RivalProved, h)
	case v.MovesAt.IsZero() || now.Before(v.MovesAt): // nothing was shown, or the notice runs
	case shown == cert.OK:
		d.endNotice(ctx, h)
	case shown == cert.Wrong:
		h.text = "the other account's ownership record is not shown any more"
		d.happens(RivalGone, h)
	default: // look again
		v.MovesAt = now.Add(d.state.Policy.CheckInterval)
	}
}

// endNotice asks whether this domain's tenant still shows the names, which is how it objects.
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

// ownershipOf looks whether a tenant's ownership records cover the names. A fault of our own is an unknown.
func (d *domain) ownershipOf(ctx workflow.Context, tenant string, names []string) cert.Verdict {
	request := activities.CheckRequest{Domain: d.state.Domain, OwnershipOnly: true}
	request.Tenant, request.Names = tenant, names
	var diagnosis cert.Diagnosis
	if err := step(ctx, lookOptions, "whose ownership records stand", activities.CheckDNSName, request, &diagnosis); err != nil {
		return cert.Unknown
	}
	return diagnosis.Ownership
}

// claimEndsAt is when a domain that was never verified ends; never, where that is not to be, or while a record of its tenant's is seen.
func (s *State) claimEndsAt() time.Time {
	if s.Records.Verified || s.Records.ClaimSince.IsZero() || s.Policy.ClaimLifetime <= 0 {
		return time.Time{}
	}
	return s.Records.ClaimSince.Add(s.Policy.ClaimLifetime)
}

// claimWarnedAt is when that is told beforehand, unless it was.
func (s *State) claimWarnedAt() time.Time {
	ends := s.claimEndsAt()
	if ends.IsZero() || s.Records.ClaimWarned {
		return time.Time{}
	}
	return ends.Add(-s.Policy.ClaimWarning)
}

// noteSeen begins the time of a claim anew when a look sees a record of the tenant's.
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
		d.tell(cert.DomainClaimEnding, "no DNS record was seen; the domain is removed at "+d.state.claimEndsAt().UTC().Format(time.RFC3339)+" unless one is")
	}
}

func (d *domain) announceMove(h happening) {
	v := d.state.Rival
	v.MovesAt = h.at.Add(d.state.Policy.MoveNotice)
	d.tell(cert.DomainMoveAnnounced, fmt.Sprintf("another account has shown that %s is its own; the domain moves there at %s unless an ownership record of this account stands then",
		strings.Join(d.state.Names, ", "), v.MovesAt.UTC().Format(time.RFC3339)))
}

func (d *domain) endMove(h happening) {
	d.state.Rival = nil
	d.tell(cert.DomainMoveCancelled, "the domain does not move: "+h.text)
}
