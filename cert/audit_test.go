package cert

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestF22_AuditsAddUpInOneOrder(t *testing.T) {
	t.Parallel()
	var a, b Audit
	a.Note(Finding{Kind: TimerPast, Repair: UnderWay})
	a.Note(Finding{Kind: WorkflowEnded, Repair: Repaired})
	b.Note(Finding{Kind: TimerPast, Repair: Unrepaired})
	b.Note(Finding{Kind: TimerPast, Repair: NotTouched})
	a.Domains, b.Domains = 3, 4
	a.Add(b)
	require.Equal(t, Audit{Domains: 7, Counts: []AuditCount{
		{Kind: WorkflowEnded, Found: 1, Repaired: 1},
		{Kind: TimerPast, Found: 3, Unrepaired: 1},
	}}, a)
	require.Equal(t, AuditCount{Found: 4, Repaired: 1, Unrepaired: 1}, a.Total())
}
