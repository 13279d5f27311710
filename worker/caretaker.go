package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/evercert/evercert/workflows"
)

// CaretakerConfig says how often the caretaker compares all domains.
type CaretakerConfig struct {
	// Interval is the time between the caretaker's runs over all domains. A run compares tables, workflows, certificates and cases, and
	// repairs what differs. It costs one Temporal action for 500 domains, and three more.
	Interval time.Duration `env:"CARETAKER_INTERVAL" envDefault:"24h" doc:"between the caretaker's runs over all domains"`
}

// Validate returns an error for an interval that is too short for a schedule.
func (c CaretakerConfig) Validate() error {
	if c.Interval < time.Minute {
		return fmt.Errorf("CARETAKER_INTERVAL is %s; it expects at least 1m", c.Interval)
	}
	return nil
}

// schedule returns the caretaker's schedule. While a run is in progress, the next one is skipped. A missed run is made up for only within a
// part of the interval.
func (c CaretakerConfig) schedule() client.ScheduleOptions {
	return client.ScheduleOptions{
		ID: workflows.CaretakerID,
		Spec: client.ScheduleSpec{
			Intervals: []client.ScheduleIntervalSpec{{Every: c.Interval}},
			Jitter:    c.Interval / 10, // platforms that share a Temporal server don't all start at midnight
		},
		Action: &client.ScheduleWorkflowAction{
			ID: workflows.CaretakerID, Workflow: workflows.CaretakerWorkflow, TaskQueue: workflows.TaskQueue,
			Args: []any{workflows.CaretakerState{}}, StaticSummary: "compares all domains with what is stored and served, and repairs what differs",
		},
		Overlap:       enums.SCHEDULE_OVERLAP_POLICY_SKIP,
		CatchupWindow: c.Interval / 2,
	}
}

// ensure creates the caretaker's schedule, or updates its interval. A schedule that an operator paused stays paused.
func (c CaretakerConfig) ensure(ctx context.Context, schedules client.ScheduleClient) error {
	options := c.schedule()
	_, err := schedules.Create(ctx, options)
	if !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return err
	}
	handle := schedules.GetHandle(ctx, workflows.CaretakerID)
	have, err := handle.Describe(ctx)
	if err != nil {
		return err
	}
	if spec := have.Schedule.Spec; spec != nil && len(spec.Intervals) == 1 && spec.Intervals[0].Every == c.Interval {
		return nil
	}
	return handle.Update(ctx, client.ScheduleUpdateOptions{DoUpdate: func(now client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		schedule := now.Description.Schedule
		schedule.Spec, schedule.Policy.CatchupWindow = &options.Spec, options.CatchupWindow
		return &client.ScheduleUpdate{Schedule: &schedule}, nil
	}})
}

// keep ensures the schedule as soon as Temporal answers. When otherCA reports that the platform changed its CA since its certificates were
// ordered, it starts a run at once.
func (c CaretakerConfig) keep(
	ctx context.Context, schedules client.ScheduleClient, otherCA func(context.Context) (bool, error), log *slog.Logger,
) {
	const longest = time.Minute
	for wait := time.Second; ; wait = min(2*wait, longest) {
		err := c.ensure(ctx, schedules)
		if err == nil {
			err = walkForNewCA(ctx, schedules, otherCA)
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		log.WarnContext(ctx, "the caretaker's schedule could not be made; trying again", "in", wait, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func walkForNewCA(ctx context.Context, schedules client.ScheduleClient, otherCA func(context.Context) (bool, error)) error {
	found, err := otherCA(ctx)
	if err != nil || !found {
		return err
	}
	return schedules.GetHandle(ctx, workflows.CaretakerID).
		Trigger(ctx, client.ScheduleTriggerOptions{Overlap: enums.SCHEDULE_OVERLAP_POLICY_SKIP})
}
