package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

type upOptions struct {
	dir, parts, sample, bin string
	demo, quiet, freePorts  bool
	env, ca                 listFlag
	temporalFaults          float64
	timeSkipping            bool
}

func parseUp(args []string) (o upOptions, err error) {
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	flags.StringVar(&o.dir, "dir", ".dev", "`folder` for data, logs and stack.json")
	flags.StringVar(&o.parts, "parts", strings.Join(usualParts, ","), "comma-separated `list` of the parts to start")
	flags.StringVar(&o.sample, "sample", "", "connect this `hostname` and wait until it is served")
	flags.BoolVar(&o.demo, "demo", false, "stop when the sample is served; exit 1 if it isn't")
	flags.Var(&o.env, "env", "`KEY=VALUE` for worker, edge and api; may be repeated")
	flags.StringVar(&o.bin, "bin", "", "`folder` of the product's binaries (default: that of devstack)")
	flags.Var(&o.ca, "ca", "`OPTION=VALUE` for the CA: retry-after, orders-per-page, minutes; may be repeated")
	flags.BoolVar(&o.freePorts, "free-ports", os.Getenv("DEVSTACK_FREE_PORTS") == "1", "leave the usual ports alone")
	flags.Float64Var(&o.temporalFaults, "temporal-faults", 0, "`share` of Temporal's own database calls that fail, from 0 to 1")
	flags.BoolVar(&o.timeSkipping, "time-skipping", false, "let domains' workflows skip the time that they sleep")
	flags.BoolVar(&o.quiet, "quiet", false, "print problems only")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("up: %q isn't expected", flags.Arg(0))
	}
	if err := checkShare(o.temporalFaults); err != nil {
		return o, fmt.Errorf("up: --temporal-faults: %w", err)
	}
	if o.demo && o.sample == "" {
		return o, errors.New("up: --demo needs --sample NAME")
	}
	return o, nil
}

// selectParts puts the wanted parts into the order of dependence.
func selectParts(list string) ([]string, error) {
	wanted := strings.Split(list, ",")
	var selected []string
	for _, name := range partOrder {
		if slices.Contains(wanted, name) {
			selected = append(selected, name)
		}
	}
	for _, name := range wanted {
		if !slices.Contains(partOrder, name) {
			return nil, fmt.Errorf("there is no part %q: want some of %s", name, strings.Join(partOrder, ","))
		}
	}
	return selected, nil
}

// up starts the stack and keeps it running until ctx ends.
func up(ctx context.Context, args []string) error {
	o, err := parseUp(args)
	if err != nil {
		return err
	}
	selected, err := selectParts(o.parts)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return fmt.Errorf("find the folder: %w", err)
	}
	// Others may pass through, since root runs PostgreSQL as another user, but
	// not read it. Files with secrets have modes of their own.
	if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o711); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	release, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer release()
	// A supervisor that was killed left its file: it must not lead to the old stack.
	if err := os.Remove(stackFilePath(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the previous run's stack.json: %w", err)
	}
	began := time.Now()
	say := func(format string, args ...any) {
		if !o.quiet {
			fmt.Printf("%7.2fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
		}
	}
	pids := newPIDFile(dir)
	ended, err := pids.endOrphans(stopLimit)
	if err != nil {
		return err
	}
	for _, name := range ended {
		say("%-9s was left over from a supervisor that was killed: ended", name)
	}
	s, err := newStack(ctx, dir, o, selected, say)
	if err != nil {
		return err
	}
	return s.run(ctx, o, selected, pids)
}

func newStack(ctx context.Context, dir string, o upOptions, selected []string, say func(string, ...any)) (*stack, error) {
	s := &stack{dir: dir, bin: o.bin, caOptions: o.ca, say: say}
	if s.bin == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find this program's own file: %w", err)
		}
		s.bin = filepath.Dir(self)
	}
	var err error
	if s.bin, err = filepath.Abs(s.bin); err != nil {
		return nil, fmt.Errorf("find the folder of the binaries: %w", err)
	}
	if s.ports, s.block, err = choosePorts(dir, o.freePorts); err != nil {
		return nil, err
	}
	if s.token, _, err = s.ensureSecret("api_token"); err != nil {
		return nil, err
	}
	s.postgres.port = s.ports["postgres"]
	if s.postgres.password, s.newPass, err = s.ensureSecret("postgres_password"); err != nil {
		return nil, err
	}
	s.gated, s.secondCA = slices.Contains(selected, "dbgate"), slices.Contains(selected, "ca2")
	s.temporalFaults.Store(o.temporalFaults)
	s.timeSkipping = o.timeSkipping
	if s.env, err = s.productEnv(o.env, selected); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(selected, isProduct) {
		if err := s.ensureKeyring(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// run starts the parts, publishes stack.json, and stays until ctx ends or the
// demo is over.
func (s *stack) run(ctx context.Context, o upOptions, selected []string, pids *pidFile) error {
	file := &publishedFile{path: stackFilePath(s.dir), content: s.describe(o.sample)}
	sup := &supervisor{logDir: s.path("logs"), pids: pids, say: s.say}
	sup.changed = func(string) {
		if err := file.update(sup.statuses()); err != nil {
			s.say("stack.json could not be written: %v", err)
		}
	}
	defer func() {
		if err := pids.remove(); err != nil {
			s.say("the list of pids could not be removed: %v", err)
		}
	}()
	defer sup.stopAll()
	defer file.remove()
	controlCtx, stopControl := context.WithCancel(ctx)
	defer stopControl()
	controlFailed := make(chan error, 1)
	go func() {
		controlFailed <- serveControl(controlCtx, s.address("supervisor_control"), supervisorControl(sup, s))
	}()
	for _, name := range selected {
		p, err := s.part(name, selected)
		if err == nil {
			err = sup.start(ctx, p)
		}
		if err != nil {
			return stopped(ctx, err)
		}
	}
	if err := file.publish(sup.statuses()); err != nil {
		return fmt.Errorf("write where the stack is: %w", err)
	}
	s.say("ready: %s says where everything is", displayPath(file.path))
	if o.sample != "" {
		if err := s.runSample(ctx, o.sample); err != nil {
			if o.demo || ctx.Err() != nil {
				return stopped(ctx, err)
			}
			fmt.Fprintln(os.Stderr, "devstack: the sample domain:", err)
		} else if o.demo {
			return nil
		}
	}
	s.printPlaces(o, selected)
	select {
	case <-ctx.Done():
		return nil
	case err := <-controlFailed:
		return err
	}
}

// stopped hides the errors that come from being asked to stop.
func stopped(ctx context.Context, err error) error {
	select {
	case <-ctx.Done():
		return nil
	default:
		return err
	}
}

func (s *stack) describe(sample string) stackFile {
	file := stackFile{
		Temporal: s.address("temporal"), TemporalUI: "http://" + s.address("temporal_ui"),
		TemporalMetrics: "http://" + s.address("temporal_metrics") + "/metrics", Namespace: namespace,
		Console: s.apiURL(), API: s.apiURL(), APIToken: s.token,
		Postgres:      s.postgres.url(productDatabase),
		ACMEDirectory: s.acmeDirectory(), ACMERootPEM: displayPath(trustPath(s.path("ca"))),
		DNS: s.address("dns"), EdgeHTTPS: s.address("edge_https"), EdgeHTTP: s.address("edge_http"),
		SampleDomain:      sample,
		DNSControl:        "http://" + s.address("dns_control"),
		CAControl:         "http://" + s.address("ca_control"),
		SupervisorControl: "http://" + s.address("supervisor_control"),
		SupervisorPID:     os.Getpid(),
		SupervisorStart:   processStart(os.Getpid()),
		Env:               s.env,
	}
	if s.secondCA {
		file.CA2Control = "http://" + s.address("ca2_control")
	}
	if s.gated {
		file.DBControl = "http://" + s.address("db_control")
	}
	return file
}

func (s *stack) printPlaces(o upOptions, selected []string) {
	if o.quiet {
		return
	}
	line := func(part, what, where string) {
		if slices.Contains(selected, part) {
			fmt.Printf("  %-16s %s\n", what, where)
		}
	}
	fmt.Println()
	line("api", "console and API", s.apiURL())
	line("api", "API token", s.token)
	line("temporal", "Temporal Web UI", "http://"+s.address("temporal_ui"))
	line("postgres", "PostgreSQL", s.postgres.url(productDatabase))
	line("ca", "ACME directory", s.acmeDirectory())
	line("dns", "DNS", s.address("dns"))
	name := o.sample
	if name == "" {
		name = "NAME"
	}
	line("edge", "edge", fmt.Sprintf("curl --cacert %s --connect-to ::%s https://%s/",
		displayPath(trustPath(s.path("ca"))), s.address("edge_https"), name))
	fmt.Printf("  %-16s %s\n\n", "logs", displayPath(s.path("logs")))
	fmt.Println("Ctrl-C stops it.")
}

// publishedFile is stack.json. It appears when the stack is ready, follows the
// pids, and goes when the stack stops.
type publishedFile struct {
	path string

	mu      sync.Mutex
	content stackFile
	visible bool
}

func (f *publishedFile) publish(parts []partStatus) error {
	f.mu.Lock()
	f.visible = true
	f.mu.Unlock()
	return f.update(parts)
}

func (f *publishedFile) update(parts []partStatus) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.visible {
		return nil
	}
	f.content.PIDs = map[string]int{}
	for _, p := range parts {
		if p.PID != 0 {
			f.content.PIDs[p.Part] = p.PID
		}
	}
	return writeJSON(f.path, f.content)
}

func (f *publishedFile) remove() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.visible = false
	_ = os.Remove(f.path) // it isn't there when the stack never got ready
}

// supervisorControl is what `devstack status`, kill, stop, start and temporal talk to.
func supervisorControl(sup *supervisor, s *stack) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		writeAnswer(w, sup.statuses(), nil)
	})
	mux.HandleFunc("POST /kill", func(w http.ResponseWriter, r *http.Request) {
		request, err := readBody[struct{ Part string }](r)
		var killed struct {
			PID int `json:"pid"`
		}
		if err == nil {
			killed.PID, err = sup.kill(request.Part)
		}
		writeAnswer(w, killed, err)
	})
	for path, act := range map[string]func(part string) error{"/stop": sup.hold, "/start": sup.release} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			request, err := readBody[struct{ Part string }](r)
			if err == nil {
				err = act(request.Part)
			}
			writeAnswer(w, nil, err)
		})
	}
	mux.HandleFunc("POST /temporal-faults", func(w http.ResponseWriter, r *http.Request) {
		request, err := readBody[struct{ Rate float64 }](r)
		if err == nil {
			err = s.restartTemporal(sup, request.Rate)
		}
		writeAnswer(w, nil, err)
	})
	return mux
}
