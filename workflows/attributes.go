package workflows

import (
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/cert"
)

// The search attributes by which people filter in the Temporal Web UI (row E2).
var (
	attrStatus     = temporal.NewSearchAttributeKeyKeyword("EvercertStatus")
	attrTenant     = temporal.NewSearchAttributeKeyKeyword("EvercertTenant")
	attrFailures   = temporal.NewSearchAttributeKeyInt64("EvercertFailures")
	attrNotAfter   = temporal.NewSearchAttributeKeyTime("EvercertNotAfter")
	attrNextAction = temporal.NewSearchAttributeKeyTime("EvercertNextAction")
	attrIssuer     = temporal.NewSearchAttributeKeyKeyword("EvercertIssuer")
)

// SearchAttributes are the names and types that the Temporal namespace must know.
var SearchAttributes = map[string]enums.IndexedValueType{
	attrStatus.GetName(): attrStatus.GetValueType(), attrTenant.GetName(): attrTenant.GetValueType(),
	attrFailures.GetName(): attrFailures.GetValueType(), attrNotAfter.GetName(): attrNotAfter.GetValueType(),
	attrNextAction.GetName(): attrNextAction.GetValueType(), attrIssuer.GetName(): attrIssuer.GetValueType(),
}

// StartAttributes returns the search attributes of a domain that was just connected. Set at the start they are not billed.
func StartAttributes(d cert.Domain) temporal.SearchAttributes {
	return temporal.NewSearchAttributes(
		attrStatus.ValueSet(string(cert.Pending)), attrTenant.ValueSet(d.Tenant), attrFailures.ValueSet(0))
}

// CaseAttributes returns those of a case. Its tenant is among them, so that support finds it together with the domains.
func CaseAttributes(c cert.Case) temporal.SearchAttributes {
	return temporal.NewSearchAttributes(attrStatus.ValueSet(string(cert.ContactSupport)), attrTenant.ValueSet(c.Tenant))
}

// StaticSummary is the line under a domain's workflow id in the Temporal Web UI.
func StaticSummary(d cert.Domain) string {
	return cert.Unicode(d.Hostname) + " of tenant " + d.Tenant
}

// shown holds the values of the search attributes that are set. An upsert is a billed action, and the most expensive write in PostgreSQL (a
// row with some thirty indexes), so it is made only when one of these values changes.
type shown struct {
	Headline   cert.Headline `json:"headline"`
	Failures   int           `json:"failures"`
	Serial     string        `json:"serial,omitempty"`
	NextAction time.Time     `json:"next_action,omitzero"`
}

// showAttributes sets the search attributes when they differ from what is shown.
func (d *domain) showAttributes(ctx workflow.Context, snap cert.Snapshot) {
	now := shown{Headline: snap.Status.Headline(), Failures: snap.Failures, Serial: snap.Serial, NextAction: snap.NextActionAt}
	if now.equal(d.state.Shown) || d.passing() {
		return
	}
	d.state.Shown = now
	updates := []temporal.SearchAttributeUpdate{attrStatus.ValueSet(string(now.Headline)), attrFailures.ValueSet(int64(now.Failures))}
	if snap.NextActionAt.IsZero() {
		updates = append(updates, attrNextAction.ValueUnset())
	} else {
		updates = append(updates, attrNextAction.ValueSet(snap.NextActionAt))
	}
	switch {
	case snap.Serial != "":
		updates = append(updates, attrNotAfter.ValueSet(snap.NotAfter), attrIssuer.ValueSet(snap.Issuer))
	case snap.Status.Domain == cert.DomainRemoved:
		updates = append(updates, attrNotAfter.ValueUnset(), attrIssuer.ValueUnset())
	}
	must(workflow.UpsertTypedSearchAttributes(ctx, updates...))
}

// passing reports whether the phase is one that a first attempt passes within seconds, too short to filter by. Current details show it all
// the same. So do the search attributes when an attempt has failed before, because the domain may stay in this phase.
func (d *domain) passing() bool {
	return (d.state.Phase == Issuing || d.state.Phase == Installing) && d.state.Attempt.Failures == 0 && d.state.Attempt.OrdersGone == 0
}

func (s shown) equal(t shown) bool {
	return s.Headline == t.Headline && s.Failures == t.Failures && s.Serial == t.Serial && s.NextAction.Equal(t.NextAction)
}
