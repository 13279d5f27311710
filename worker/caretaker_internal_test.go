package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/workflows"
)

func TestMain(m *testing.M) { stack.Main(m) }

func TestF22_TheCaretakersScheduleFollowsTheSettingAndKeepsAPause(t *testing.T) {
	t.Parallel()
	info := stack.New(t, stack.Options{Parts: []string{"postgres", "temporal"}}).Info()
	log := slog.New(slog.DiscardHandler)
	temporal, err := control.TemporalConfig{Address: info.Temporal, Namespace: info.Namespace}.Dial(log)
	require.NoError(t, err)
	t.Cleanup(temporal.Close)
	schedules := temporal.ScheduleClient()
	handle := schedules.GetHandle(t.Context(), workflows.CaretakerID)
	described := func() client.Schedule {
		d, err := handle.Describe(t.Context())
		require.NoError(t, err)
		require.Len(t, d.Schedule.Spec.Intervals, 1)
		require.Equal(t, enums.SCHEDULE_OVERLAP_POLICY_SKIP, d.Schedule.Policy.Overlap)
		require.Equal(t, workflows.CaretakerWorkflow, d.Schedule.Action.(*client.ScheduleWorkflowAction).Workflow)
		return d.Schedule
	}

	daily := CaretakerConfig{Interval: 24 * time.Hour}
	for range 2 { // as two workers do at their start
		daily.keep(t.Context(), schedules, sameCA, log)
		require.Equal(t, 24*time.Hour, described().Spec.Intervals[0].Every)
	}
	require.NoError(t, handle.Pause(t.Context(), client.SchedulePauseOptions{Note: "maintenance"}))
	CaretakerConfig{Interval: time.Hour}.keep(t.Context(), schedules, sameCA, log)
	s := described()
	require.Equal(t, time.Hour, s.Spec.Intervals[0].Every)
	require.Equal(t, 6*time.Minute, s.Spec.Jitter)
	require.True(t, s.State.Paused)

	walks := func() int {
		d, err := handle.Describe(t.Context())
		require.NoError(t, err)
		return d.Info.NumActions
	}
	require.Zero(t, walks())
	CaretakerConfig{Interval: time.Hour}.keep(t.Context(), schedules, func(context.Context) (bool, error) { return true, nil }, log)
	require.Eventually(
		t,
		func() bool { return walks() == 1 },
		time.Minute,
		50*time.Millisecond,
		"certificates of another CA are not left until tomorrow",
	)
}

func sameCA(context.Context) (bool, error) { return false, nil }

func TestF22_AnIntervalThatNoScheduleCouldMeanIsRefused(t *testing.T) {
	t.Parallel()
	require.NoError(t, CaretakerConfig{Interval: time.Minute}.Validate())
	require.ErrorContains(t, CaretakerConfig{Interval: time.Second}.Validate(), "CARETAKER_INTERVAL")
}
