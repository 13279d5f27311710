package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	tlog "go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
	"google.golang.org/grpc"
)

const (
	loopback = "127.0.0.1"

	// temporalShards is fixed for the life of the database: the server refuses
	// to start with another number. 16 to 64 were fastest on PostgreSQL.
	temporalShards = 16

	temporalRetention = 72 * time.Hour
)

type temporalOptions struct {
	port, uiPort, metricsPort int
	postgres                  postgresServer
	namespace                 string
	faults                    float64 // share of calls of the main store that fail
	timeSkipping              bool
}

// runTemporal runs the four Temporal services and the Web UI in one process.
// The Web UI starts last: its port accepting connections means that namespace
// and search attributes are there.
func runTemporal(ctx context.Context, args []string) error {
	var o temporalOptions
	flags := flag.NewFlagSet("temporal", flag.ContinueOnError)
	flags.IntVar(&o.port, "port", 7233, "gRPC `port`")
	flags.IntVar(&o.uiPort, "ui-port", 8233, "Web UI `port`")
	flags.IntVar(&o.metricsPort, "metrics-port", 9233, "Prometheus `port`")
	flags.IntVar(&o.postgres.port, "postgres-port", 5432, "PostgreSQL `port` on the loopback")
	flags.StringVar(&o.namespace, "namespace", "default", "namespace to create")
	flags.Float64Var(&o.faults, "faults", 0, "`share` of database calls that fail once the server is ready")
	flags.BoolVar(&o.timeSkipping, "time-skipping", false, "let workflows of the type Domain skip the time that they sleep")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o.postgres.password = os.Getenv(postgresPasswordVariable)
	debug.SetGCPercent(temporalGC)
	debug.SetMemoryLimit(temporalMemory)
	logger := tlog.NewZapLogger(tlog.BuildZapLogger(tlog.Config{Level: "warn", Format: "json"}))
	stores, err := temporalStores(ctx, o, logger)
	if err != nil {
		return fmt.Errorf("prepare Temporal's databases: %w", err)
	}
	faults := &storageFaults{rate: o.faults}
	main := stores["main"]
	main.FaultInjection = faults.config()
	stores["main"] = main
	settings := temporalDynamicConfig()
	if o.timeSkipping {
		allowTimeSkipping(settings)
	}
	srv, err := newTemporalServer(o, stores, settings, logger)
	if err != nil {
		return fmt.Errorf("configure the Temporal server: %w", err)
	}
	if err := srv.Start(); err != nil {
		return fmt.Errorf("start the Temporal server: %w", err)
	}
	defer func() {
		if err := srv.Stop(); err != nil {
			slog.Error("stop the Temporal server", "err", err)
		}
	}()
	if err := prepareNamespace(ctx, o); err != nil {
		return err
	}
	trustCaches(settings)
	faults.begin()
	ui := newTemporalUI(o)
	failed := make(chan error, 1)
	go func() { failed <- ui.Start() }()
	fmt.Printf("ready: grpc %s:%d, Web UI http://%s:%d\n", loopback, o.port, loopback, o.uiPort)
	select {
	case <-ctx.Done():
		ui.Stop()
		return nil
	case err := <-failed:
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fmt.Errorf("serve Temporal's Web UI: %w", err)
	}
}

func newTemporalUI(o temporalOptions) *uiserver.Server {
	return uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
		Host: loopback, Port: o.uiPort, TemporalGRPCAddress: hostPort(o.port), EnableUI: true,
		DefaultNamespace: o.namespace, CORS: uiconfig.CORS{CookieInsecure: true},
		HideLogs: true, DisableNewsFetch: true,
	}))
}

func newTemporalServer(
	o temporalOptions,
	stores map[string]config.DataStore,
	settings dynamicconfig.Client,
	logger tlog.Logger,
) (temporal.Server, error) {
	services := map[string]config.Service{}
	hosts := map[primitives.ServiceName]static.Hosts{}
	for _, name := range []primitives.ServiceName{
		primitives.FrontendService, primitives.HistoryService, primitives.MatchingService, primitives.WorkerService,
	} {
		port := o.port
		if name != primitives.FrontendService {
			var err error
			if port, err = randomFreePort(false); err != nil {
				return nil, err
			}
		}
		services[string(name)] = config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: loopback}}
		hosts[name] = static.SingleLocalHost(hostPort(port))
	}
	var interceptors []grpc.UnaryServerInterceptor
	if o.timeSkipping {
		interceptors = append(interceptors, skipTime)
	}
	return temporal.NewServer(
		temporal.WithChainedFrontendGrpcInterceptors(interceptors...), temporal.WithConfig(temporalConfig(o, stores, services)),
		temporal.ForServices(temporal.DefaultServices), temporal.WithStaticHosts(hosts), temporal.WithLogger(logger),
		temporal.WithDynamicConfigClient(settings),
	)
}

func temporalConfig(o temporalOptions, stores map[string]config.DataStore, services map[string]config.Service) *config.Config {
	frontend := hostPort(o.port)
	return &config.Config{
		Global: config.Global{
			Membership: config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: loopback},
			Metrics: &metrics.Config{Prometheus: &metrics.PrometheusConfig{
				ListenAddress: hostPort(o.metricsPort), HandlerPath: "/metrics",
			}},
		},
		Persistence: config.Persistence{
			DefaultStore: "main", VisibilityStore: "visibility",
			NumHistoryShards: temporalShards, DataStores: stores,
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10, MasterClusterName: "active", CurrentClusterName: "active",
			ClusterInformation: map[string]cluster.ClusterInformation{
				"active": {Enabled: true, InitialFailoverVersion: 1, RPCAddress: frontend},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            services,
		Archival: config.Archival{
			History:    config.HistoryArchival{State: "disabled"},
			Visibility: config.VisibilityArchival{State: "disabled"},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
		}},
		PublicClient: config.PublicClient{HostPort: frontend},
	}
}

// temporalDynamicConfig lifts the rate limits that exist to protect shared
// clusters: here a load test must measure the machine, not a limit.
func temporalDynamicConfig() *dynamicconfig.MemoryClient {
	const unlimited = 100_000
	settings := dynamicconfig.NewMemoryClient()
	for key, value := range map[dynamicconfig.Key]any{
		dynamicconfig.EnableActivityEagerExecution.Key():                        true,
		dynamicconfig.EnableEagerWorkflowStart.Key():                            true,
		dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key():             true, // until trustCaches
		dynamicconfig.FrontendRPS.Key():                                         unlimited,
		dynamicconfig.FrontendMaxNamespaceRPSPerInstance.Key():                  unlimited,
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key():        unlimited,
		dynamicconfig.FrontendMaxConcurrentLongRunningRequestsPerInstance.Key(): unlimited,
		dynamicconfig.FrontendPersistenceMaxQPS.Key():                           unlimited,
		dynamicconfig.HistoryRPS.Key():                                          unlimited,
		dynamicconfig.HistoryPersistenceMaxQPS.Key():                            unlimited,
		dynamicconfig.MatchingRPS.Key():                                         unlimited,
		dynamicconfig.MatchingPersistenceMaxQPS.Key():                           unlimited,
		dynamicconfig.VisibilityProcessorMaxPollRPS.Key():                       visibilityPolls,
		dynamicconfig.HistoryCacheHostLevelMaxSize.Key():                        cachedWorkflows,
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():                  1, // two cores need no more, and each is polled and forwards
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key():                 1,
	} {
		settings.OverrideValue(key, value)
	}
	return settings
}

// visibilityPolls is how often in a second each shard reads what has to be written to the visibility store. Less often than the 20 of the
// server's default, so that under load one read finds several things; the Web UI's lists are half a second late then.
const visibilityPolls = 2

// temporalGC lets the server's small heap grow to five times what is alive before it is collected: memory for
// processor time, of which a test machine has less.
const temporalGC = 400

// temporalMemory is where the collector begins to work more often than that. With ten thousand sleeping domains a heap at five times
// what is alive took 2 GB.
const temporalMemory = 900 << 20

// cachedWorkflows is how many workflows the server keeps in memory, for an hour at most; its default is 128,000. Those that
// work at the moment are a few hundred, and one that sleeps for weeks is read from the database when it wakes.
const cachedWorkflows = 4096

// cachesFilled is longer than the namespace cache of each Temporal service keeps an entry (10 s).
const cachesFilled = 15 * time.Second

// trustCaches ends the reading of search attributes past all caches. At the start it makes new attributes usable at
// once; later it would cost some thirty database reads for each domain that is connected.
func trustCaches(settings *dynamicconfig.MemoryClient) {
	time.AfterFunc(cachesFilled, func() {
		settings.OverrideValue(dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key(), false)
	})
}

// hostPort is the loopback address of a port.
func hostPort(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }
