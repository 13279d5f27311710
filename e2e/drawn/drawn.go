// Package drawn keeps the tables that documents show in step with the code that they are drawn from.
package drawn

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Section fails the test unless what stands in the file between the lines begins and ends is what was drawn. With update it writes that
// instead.
func Section(t *testing.T, file, begins, ends, drawn string, update bool) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	head, rest, opened := strings.Cut(string(text), begins)
	shown, tail, closed := strings.Cut(rest, ends)
	require.True(t, opened && closed, "%s has no place for what is drawn", file)
	if update {
		require.NoError(t, os.WriteFile(file, []byte(head+begins+drawn+ends+tail), 0o600)) //nolint:gosec // file exists
		return
	}
	require.Equal(t, drawn, shown, "the code has changed: check the difference, then write it with -update")
}
