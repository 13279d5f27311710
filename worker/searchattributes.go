package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/evercert/evercert/workflows"
)

// ensureSearchAttributes creates missing search attributes. They can be used only after the server has refreshed its cache, and Temporal
// may start later than this process. So it retries until all of them can be used.
func ensureSearchAttributes(ctx context.Context, c client.Client, namespace string, log *slog.Logger) error {
	wait, logged := 100*time.Millisecond, false
	for {
		done, err := addMissing(ctx, c, namespace)
		if done {
			return nil
		}
		if !logged && err != nil {
			logged = true
			log.Info("waiting for Temporal and its search attributes", "namespace", namespace, "error", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("search attributes of namespace %s: %w", namespace, ctx.Err())
		case <-time.After(wait):
			wait = min(2*wait, 5*time.Second)
		}
	}
}

func addMissing(ctx context.Context, c client.Client, namespace string) (done bool, err error) {
	have, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return false, err
	}
	missing := map[string]enums.IndexedValueType{}
	for name, kind := range workflows.SearchAttributes {
		if _, ok := have.GetCustomAttributes()[name]; !ok {
			missing[name] = kind
		}
	}
	if len(missing) == 0 {
		return true, nil
	}
	_, err = c.OperatorService().
		AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: missing})
	return false, err
}
