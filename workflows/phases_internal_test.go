package workflows

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

// A run that an older build began has the methods in its history as that build recorded them.
func TestF22_MethodsOfAnOlderBuildAreRead(t *testing.T) {
	t.Parallel()
	want := map[string]cert.Method{"shop.example.com": cert.DNS01, "www.example.com": cert.HTTP01}
	for _, recorded := range []string{
		`{"verdict": "ok", "methods": {"shop.example.com": "dns-01", "www.example.com": "http-01"}, ` +
			`"reasons": {"shop.example.com": "delegated"}}`,
		`{"verdict": "ok", "names": [{"name": "shop.example.com", "method": "dns-01"}, {"name": "www.example.com", "method": "http-01",` +
			` "reason": "led here"}]}`,
	} {
		var r checkResult
		decode(t, recorded, &r)
		require.Equal(t, want, r.methods())
		require.Equal(t, cert.OK, r.Verdict)
	}
}
