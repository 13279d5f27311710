package workflows

import (
	"strings"
	"testing"

	"github.com/evercert/evercert/cert"
)

// TestE2_TheStoryOfEveryRunSaysWhoseDomainItIs: Temporal shows the summary for the first run only.
func TestE2_TheStoryOfEveryRunSaysWhoseDomainItIs(t *testing.T) {
	t.Parallel()
	d := &domain{
		state: NewState(
			cert.Domain{
				ID:       "1",
				Hostname: "xn--bcher-kva.example.com",
				Names:    []string{"xn--bcher-kva.example.com", "www.example.com"},
				Tenant:   "acme",
			},
		),
	}
	want := "**Pending** — bücher.example.com of tenant acme\n\nAlso: www\\.example.com.\n\n"
	if story := d.story(); !strings.HasPrefix(story, want) {
		t.Errorf("got %q, want %q first", story, want)
	}
}
