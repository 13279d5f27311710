package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
)

func TestE1_EachProgramHasABuildOfItsOwn(t *testing.T) {
	t.Parallel()
	file := func(content string) string {
		path := filepath.Join(t.TempDir(), "worker")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		sum, err := digest(path)
		require.NoError(t, err)
		require.Len(t, sum, buildIDLength)
		return sum
	}
	require.Equal(t, file("one"), file("one"), "the same program, wherever it lies")
	require.NotEqual(t, file("one"), file("two"))
	_, err := digest(filepath.Join(t.TempDir(), "gone"))
	require.ErrorContains(t, err, "WORKER_BUILD_ID")
}

func TestE1_TheConfiguredBuildCounts(t *testing.T) {
	t.Parallel()
	build, err := buildID("2026-03-02")
	require.NoError(t, err)
	require.Equal(t, "2026-03-02", build)
	build, err = buildID("")
	require.NoError(t, err)
	require.Len(t, build, buildIDLength)
}

func TestE1_ADeploymentThatCantBeIsRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	good := Config{Methods: []cert.Method{cert.DNS01}, ActivitySlots: 1, WorkflowSlots: 2, WorkflowCache: 1, Deploy: deployManual}
	require.NoError(t, good.Validate())
	for name, change := range map[string]func(*Config){
		"WORKER_DEPLOY":         func(c *Config) { c.Deploy = "later" },
		"WORKER_WORKFLOW_CACHE": func(c *Config) { c.WorkflowCache = 0 },
		"WORKER_BUILD_ID":       func(c *Config) { c.BuildID = "v1:2" },
	} {
		bad := good
		change(&bad)
		require.ErrorContains(t, bad.Validate(), name)
	}
	require.ErrorContains(t, control.TemporalConfig{Deployment: "evercert.worker"}.Validate(), "WORKER_DEPLOYMENT")
}
