package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryMutationFindsItsPlace: the list follows the code.
func TestEveryMutationFindsItsPlace(t *testing.T) {
	t.Chdir("../..")
	names := map[string]bool{}
	for _, m := range mutations {
		path, err := m.overlay(t.TempDir())
		require.NoError(t, err, m.name)
		text, err := os.ReadFile(path) //nolint:gosec // a file of this test
		require.NoError(t, err)
		require.Contains(t, string(text), "Replace")
		require.False(t, names[m.name], m.name)
		names[m.name] = true
	}
	require.Greater(t, len(names), 30)
}
