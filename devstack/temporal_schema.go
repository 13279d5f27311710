package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/server/common/config"
	tlog "go.temporal.io/server/common/log"
	_ "go.temporal.io/server/common/persistence/sql/sqlplugin/postgresql" // the plugin postgres12_pgx
	"go.temporal.io/server/tools/common/schema"
	sqltool "go.temporal.io/server/tools/sql"
	"google.golang.org/protobuf/types/known/durationpb"
)

// searchAttributes are the ones the domain workflow sets. The product's worker
// ensures them as well; both tolerate that they exist.
var searchAttributes = map[string]enumspb.IndexedValueType{
	"EvercertStatus":     enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	"EvercertTenant":     enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	"EvercertFailures":   enumspb.INDEXED_VALUE_TYPE_INT,
	"EvercertNotAfter":   enumspb.INDEXED_VALUE_TYPE_DATETIME,
	"EvercertNextAction": enumspb.INDEXED_VALUE_TYPE_DATETIME,
	"EvercertIssuer":     enumspb.INDEXED_VALUE_TYPE_KEYWORD,
}

// temporalStores creates both of Temporal's databases when missing and applies
// newer schema versions. It waits for PostgreSQL, which may be restarting.
func temporalStores(ctx context.Context, o temporalOptions, logger tlog.Logger) (map[string]config.DataStore, error) {
	stores := map[string]config.DataStore{}
	for _, s := range []struct {
		name, database, schema string
		connections            int
	}{
		{"main", "temporal", "postgresql/v12/temporal", 40},
		{"visibility", "temporal_visibility", "postgresql/v12/visibility", 8},
	} {
		newConfig := func(database string) *config.SQL {
			return &config.SQL{
				PluginName: "postgres12_pgx", DatabaseName: database, User: postgresUser, Password: o.postgres.password,
				ConnectAddr: hostPort(o.postgres.port), ConnectProtocol: "tcp",
				MaxConns: s.connections, MaxIdleConns: s.connections, MaxConnLifetime: time.Hour,
			}
		}
		err := retry(ctx, func(ctx context.Context) error {
			return temporalSchema(ctx, o, newConfig, s.database, s.schema, logger)
		})
		if err != nil {
			return nil, fmt.Errorf("database %s: %w", s.database, err)
		}
		stores[s.name] = config.DataStore{SQL: newConfig(s.database)}
	}
	if err := trimVisibilityIndexes(ctx, o); err != nil {
		return nil, fmt.Errorf("make the indexes of the visibility table partial: %w", err)
	}
	return stores, nil
}

//go:embed visibility_indexes.sql
var visibilityIndexes string

// trimVisibilityIndexes makes a search attribute's write cost what is used of it.
func trimVisibilityIndexes(ctx context.Context, o temporalOptions) error {
	conn, err := pgx.Connect(ctx, o.postgres.url("temporal_visibility"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, visibilityIndexes)
	return errors.Join(err, conn.Close(ctx))
}

// temporalSchema brings one database to the schema of this server. A new one is
// made under another name and renamed when complete: a kill -9 half-way must
// not leave half a schema under the name that counts.
func temporalSchema(
	ctx context.Context,
	o temporalOptions,
	newConfig func(string) *config.SQL,
	name, dir string,
	logger tlog.Logger,
) error {
	admin, err := pgx.Connect(ctx, o.postgres.url("postgres"))
	if err != nil {
		return err
	}
	defer admin.Close(context.WithoutCancel(ctx)) //nolint:errcheck // each statement has answered
	var exists bool
	if err := admin.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil {
		return fmt.Errorf("find the database: %w", err)
	}
	if exists {
		return updateSchema(newConfig(name), dir, false, logger)
	}
	unfinished := pgx.Identifier{name + "_unfinished"}.Sanitize()
	for _, statement := range []string{
		"DROP DATABASE IF EXISTS " + unfinished + " WITH (FORCE)", "CREATE DATABASE " + unfinished,
	} {
		if _, err := admin.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	if err := updateSchema(newConfig(name+"_unfinished"), dir, true, logger); err != nil {
		return err
	}
	if err := renameInSchemaVersion(ctx, o, name); err != nil {
		return fmt.Errorf("record the version under the final name: %w", err)
	}
	_, err = admin.Exec(ctx, "ALTER DATABASE "+unfinished+" RENAME TO "+pgx.Identifier{name}.Sanitize())
	if err != nil {
		return fmt.Errorf("rename the finished database: %w", err)
	}
	return nil
}

// renameInSchemaVersion is needed because Temporal finds its version by the
// database's name.
func renameInSchemaVersion(ctx context.Context, o temporalOptions, name string) error {
	conn, err := pgx.Connect(ctx, o.postgres.url(name+"_unfinished"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "UPDATE schema_version SET db_name = $1", name)
	return errors.Join(err, conn.Close(ctx)) // an open connection would prevent the renaming
}

func updateSchema(cfg *config.SQL, dir string, fresh bool, logger tlog.Logger) error {
	name := cfg.DatabaseName
	conn, err := sqltool.NewConnection(cfg, logger)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	if fresh {
		setup := schema.NewSetupSchemaTask(conn, &schema.SetupConfig{InitialVersion: "0.0"}, logger)
		if err := setup.Run(); err != nil {
			return fmt.Errorf("set up the version tables: %w", err)
		}
	}
	update := schema.NewUpdateSchemaTask(conn, &schema.UpdateConfig{DBName: name, SchemaName: dir}, logger)
	if err := update.Run(); err != nil {
		return fmt.Errorf("update the schema: %w", err)
	}
	return nil
}

// prepareNamespace creates the namespace and the search attributes that are
// missing. The namespace cache refreshes in the background, and calls fail
// until it has: hence the retries.
func prepareNamespace(ctx context.Context, o temporalOptions) error {
	var c client.Client
	err := retry(ctx, func(ctx context.Context) (err error) {
		c, err = client.DialContext(ctx, client.Options{
			HostPort: hostPort(o.port), Namespace: o.namespace, Logger: slog.New(slog.DiscardHandler),
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("connect to the Temporal server just started: %w", err)
	}
	defer c.Close()
	err = retry(ctx, func(ctx context.Context) error {
		_, err := c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
			Namespace: o.namespace, WorkflowExecutionRetentionPeriod: durationpb.New(temporalRetention),
		})
		if _, exists := errors.AsType[*serviceerror.NamespaceAlreadyExists](err); exists {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("register the namespace %s: %w", o.namespace, err)
	}
	err = retry(ctx, func(ctx context.Context) error { return addSearchAttributes(ctx, c, o.namespace) })
	if err != nil {
		return fmt.Errorf("add search attributes: %w", err)
	}
	return nil
}

// addSearchAttributes succeeds only when a reading shows all of them.
func addSearchAttributes(ctx context.Context, c client.Client, namespace string) error {
	have, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return err
	}
	missing := map[string]enumspb.IndexedValueType{}
	for name, kind := range searchAttributes {
		if _, ok := have.GetCustomAttributes()[name]; !ok {
			missing[name] = kind
		}
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: namespace, SearchAttributes: missing,
	})
	if err != nil {
		return err
	}
	return errors.New("search attributes were added but aren't visible yet")
}

// retry calls f until it succeeds, ctx ends or a minute has passed, and returns
// the last error of f. Each pause is short: f waits for a process nearby.
func retry(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (gave up: %w)", err, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
