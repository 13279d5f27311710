package cert_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

func TestANameThatDNSCanNotHoldIsRefusedByItsLength(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what, input, says string
	}{
		{"longer than DNS allows", strings.Repeat(strings.Repeat("a", 63)+".", 4) + "com", "it is 259 characters long"},
		{"in one label", strings.Repeat("a", 300) + ".com", "it is 304 characters long"},
		{"by its A-labels", strings.Repeat("bücher.", 19) + "com", "it is 269 characters long"}, // 136 as typed; xn--bcher-kva
		{"with another fault", "-" + strings.Repeat("ab.", 100) + "com", "it is 304 characters long"},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			p := refused(t, c.input)
			require.Equal(t, cert.NameInvalid, p.Code)
			require.Contains(t, p.Message, c.says)
			require.NotContains(t, p.Message, c.input, "it repeats all that was typed")
			require.Equal(t, "use a name of at most 253 characters", p.Remediation)
		})
	}
}
