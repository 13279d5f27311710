package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

const (
	namespace      = "default"
	validationZone = "dcv.evercert.test"
	platformTarget = "edge.platform.test"
)

// partOrder is the order of dependence: each part may use those before it.
var partOrder = []string{"postgres", "dbgate", "temporal", "dns", "ca", "ca2", "worker", "edge", "api"}

// usualParts are what `up` starts unless --parts says otherwise. The second CA is for those who want to see orders move to it.
var usualParts = slices.DeleteFunc(slices.Clone(partOrder), func(part string) bool { return part == "ca2" })

// productParts are the product's own binaries, found in the folder of --bin.
var productParts = []string{"worker", "edge", "api"}

// stack is one set of parts in one folder: who listens where, and how each
// part is started.
type stack struct {
	dir, bin  string // absolute
	ports     portSet
	block     net.Listener // keeps other stacks away from ports, to the end of the process
	token     string
	postgres  postgresServer
	newPass   bool              // the database's password was made by this run
	env       map[string]string // for the product's binaries
	caOptions []string
	secondCA  bool // there is a part ca2
	gated     bool // the product reaches its database through dbgate

	temporalFaults liveShare
	timeSkipping   bool

	say func(format string, args ...any)
}

func (s *stack) path(name string) string    { return filepath.Join(s.dir, name) }
func (s *stack) address(port string) string { return hostPort(s.ports[port]) }
func (s *stack) apiURL() string             { return "http://" + s.address("api") }
func (s *stack) acmeDirectory() string      { return "https://" + s.address("acme") + wfe.DirectoryPath }

func (s *stack) secondDirectory() string       { return "https://" + s.address("acme2") + wfe.DirectoryPath }
func isProduct(part string) bool               { return slices.Contains(productParts, part) }
func (s *stack) flag(name, port string) string { return fmt.Sprintf("--%s=%d", name, s.ports[port]) }

// productEnv configures worker, api and edge. All get the same: what one of
// them doesn't know it doesn't read.
func (s *stack) productEnv(overrides, selected []string) (map[string]string, error) {
	database := s.postgres
	if s.gated {
		database.port = s.ports["dbgate"]
	}
	env := map[string]string{
		"DATABASE_URL":       database.url(productDatabase),
		"TEMPORAL_ADDRESS":   s.address("temporal"),
		"TEMPORAL_NAMESPACE": namespace,
		"LOG_LEVEL":          "info",
		"KEYRING_FILE":       s.path("keyring.json"),
		"ACME_DIRECTORY":     s.acmeDirectory(),
		"ACME_ROOT_PEM":      trustPath(s.path("ca")),
		"ACME_PROFILE":       "default",
		"ACME_CONTACT":       "ops@platform.test",
		"DNS_RESOLVERS":      s.address("dns"),
		"DNS_ROOT_HINTS":     s.address("dns"), // it answers for test. and all below
		"DNS_AUTHORITY_PORT": strconv.Itoa(s.ports["dns"]),
		"DNS_TRUST_ANCHORS":  "none",
		"PROBE_ALLOW":        loopback + "/8",
		"PROBE_HTTP_PORT":    strconv.Itoa(s.ports["edge_http"]),
		"PROBE_HTTPS_PORT":   strconv.Itoa(s.ports["edge_https"]),
		"VALIDATION_ZONE":    validationZone,
		"EDGE_ADDRESSES":     s.address("edge_https"),
		"PLATFORM_TARGET":    platformTarget,
		"PLATFORM_ADDRESSES": loopback,
		"PLATFORM_SUFFIX":    "shops.platform.test",
		"RESERVED_LABELS":    "m,skin",
		"TEST_SUFFIXES":      "test",
		// The test CA has no rate limits, and every name of the test zones is under a few registered domains.
		"ACME_ORDERS_PER_3H":          "0",
		"ACME_ORDERS_PER_DOMAIN_WEEK": "0",
		"ACME_ORDERS_PER_SET_WEEK":    "0",
		"ACME_FAILURES_PER_NAME_HOUR": "0",
		"API_LISTEN":                  s.address("api"),
		"API_TOKEN":                   s.token,
		"EDGE_HTTPS_LISTEN":           s.address("edge_https"),
		"EDGE_HTTP_LISTEN":            s.address("edge_http"),
		"EDGE_COPY_DIR":               s.path("edge"),
		"DCV_NAMESERVER_ADDRESSES":    "ns1." + validationZone + "=" + loopback,
		"DCV_LISTEN":                  s.address("dcv"),
		"DCV_INSTANCES":               s.address("dcv"),
	}
	if slices.Contains(selected, "ca2") {
		maps.Copy(env, s.secondCAEnv())
	}
	for _, o := range overrides {
		key, value, ok := strings.Cut(o, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("--env %q: want KEY=VALUE", o)
		}
		env[key] = value
	}
	return env, nil
}

// part describes one of the parts by its name.
func (s *stack) part(name string, selected []string) (part, error) {
	self, err := os.Executable()
	if err != nil {
		return part{}, fmt.Errorf("find this program's own file: %w", err)
	}
	builtIn := func(args ...string) func() (*exec.Cmd, error) {
		return func() (*exec.Cmd, error) {
			return childCommand(nil, syscall.SIGTERM, self, append([]string{"part", strings.TrimSuffix(name, "2")}, args...)...), nil
		}
	}
	withDatabase := func(args ...string) (*exec.Cmd, error) {
		cmd, err := builtIn(args...)()
		cmd.Env = append(os.Environ(), postgresPasswordVariable+"="+s.postgres.password)
		return cmd, err
	}
	switch name {
	case "postgres":
		return s.postgresPart()
	case "dbgate":
		return part{
			name: name, waitsFor: "the gate to the product's database", ready: accepts(s.address("dbgate")),
			command: func() (*exec.Cmd, error) {
				return withDatabase("--listen="+s.address("dbgate"), "--control="+s.address("db_control"), s.flag("postgres-port", "postgres"))
			},
		}, nil
	case "temporal":
		return part{
			name: name, waitsFor: "the Temporal server, its schema and namespace", ready: accepts(s.address("temporal_ui")),
			command: func() (*exec.Cmd, error) { return withDatabase(s.temporalArgs()...) },
		}, nil
	case "dns":
		args := []string{
			"--listen=" + s.address("dns"), "--control=" + s.address("dns_control"), "--store=" + s.path("dns.json"),
			"--validation-zone=" + validationZone, "--dcv=" + s.address("dcv"), "--token-file=" + s.path("api_token"),
		}
		if slices.Contains(selected, "api") {
			args = append(args, "--api="+s.apiURL())
		}
		return part{name: name, waitsFor: "an answer from the DNS server", ready: s.dnsReady, command: builtIn(args...)}, nil
	case "ca":
		args := append(s.caArgs("acme", "ca_control", "ca"), "--caa-identity=pebble.test")
		return part{
			name:     name,
			waitsFor: "the CA's ACME directory",
			ready:    s.caReady("ca", s.acmeDirectory(), "ca_control"),
			command:  builtIn(args...),
		}, nil
	case "ca2":
		args := append(
			s.caArgs("acme2", "ca2_control", "ca2"), "--caa-identity=second.test", "--eab-kid="+secondCAKeyID, "--eab-hmac="+secondCAKey,
		)
		return part{
			name: name, waitsFor: "the second CA's ACME directory", ready: s.caReady("ca2", s.secondDirectory(), "ca2_control"),
			command: builtIn(args...),
		}, nil
	}
	return s.productPart(name)
}

// The second CA registers only accounts with an external account binding (RFC 8555 §7.3.4). Its key is not a secret: the CA listens on
// loopback.
const (
	secondCAKeyID = "evercert"
	secondCAKey   = "ZGV2c3RhY2stc2Vjb25kLWNhLWtleS1vZi0zMi1ieXRlcy0x"
)

// secondCAEnv configures the second CA. It has no rate limits either.
func (s *stack) secondCAEnv() map[string]string {
	return map[string]string{
		"ACME_NAME": "first", "ACME_2_NAME": "second",
		"ACME_2_DIRECTORY":              s.secondDirectory(),
		"ACME_2_ROOT_PEM":               trustPath(s.path("ca2")),
		"ACME_2_PROFILE":                "default",
		"ACME_2_EAB_KID":                secondCAKeyID,
		"ACME_2_EAB_HMAC":               secondCAKey,
		"ACME_2_ORDERS_PER_3H":          "0",
		"ACME_2_ORDERS_PER_DOMAIN_WEEK": "0",
		"ACME_2_ORDERS_PER_SET_WEEK":    "0",
		"ACME_2_FAILURES_PER_NAME_HOUR": "0",
	}
}

// caArgs are those of both CAs.
func (s *stack) caArgs(port, control, dir string) []string {
	args := []string{
		"--listen=" + s.address(port), "--control=" + s.address(control), "--dir=" + s.path(dir),
		"--dns=" + s.address("dns"), s.flag("http-port", "edge_http"), s.flag("tls-port", "edge_https"),
	}
	for _, o := range s.caOptions {
		args = append(args, "--"+o)
	}
	return args
}

// temporalArgs are made anew for each start: the rate of faults may have changed.
func (s *stack) temporalArgs() []string {
	args := []string{
		s.flag("port", "temporal"), s.flag("ui-port", "temporal_ui"), s.flag("metrics-port", "temporal_metrics"),
		s.flag("postgres-port", "postgres"), "--namespace=" + namespace,
	}
	if rate := s.temporalFaults.Load(); rate > 0 {
		args = append(args, fmt.Sprintf("--faults=%g", rate))
	}
	if s.timeSkipping {
		args = append(args, "--time-skipping")
	}
	return args
}

// restartTemporal kills Temporal and lets it come back with another share of failing database calls.
func (s *stack) restartTemporal(sup *supervisor, share float64) error {
	if err := checkShare(share); err != nil {
		return err
	}
	s.temporalFaults.Store(share)
	_, err := sup.kill("temporal")
	return err
}

func (s *stack) postgresPart() (part, error) {
	cluster, err := newPostgresCluster(s.dir, s.postgres, s.say)
	if err != nil {
		return part{}, err
	}
	cluster.newPass = s.newPass
	return part{
		name: "postgres", waitsFor: "PostgreSQL to accept connections",
		prepare: cluster.prepare, command: cluster.command, ready: cluster.ready,
	}, nil
}

func (s *stack) productPart(name string) (part, error) {
	path := filepath.Join(s.bin, name)
	if _, err := exec.LookPath(path); err != nil {
		return part{}, fmt.Errorf("%s isn't built: run `make build`, or name the folder of the binaries with --bin (%w)", displayPath(path), err)
	}
	p := part{name: name, command: func() (*exec.Cmd, error) {
		cmd := childCommand(nil, syscall.SIGTERM, path)
		cmd.Env = os.Environ()
		for _, key := range slices.Sorted(maps.Keys(s.env)) {
			cmd.Env = append(cmd.Env, key+"="+s.env[key])
		}
		return cmd, nil
	}}
	switch name {
	case "api":
		p.waitsFor, p.ready = "the API to say that it is ready", s.apiReady
	case "edge":
		p.waitsFor = "the edge's ports"
		p.ready = func(ctx context.Context) error {
			return errors.Join(accepts(s.address("edge_https"))(ctx), accepts(s.address("edge_http"))(ctx))
		}
	case "worker":
		p.waitsFor = "the worker to stay up"
	}
	return p, nil
}

// ensureSecret reads a secret that is kept in a file of the stack's folder, or makes one.
func (s *stack) ensureSecret(file string) (secret string, made bool, err error) {
	data, err := os.ReadFile(s.path(file))
	if kept := strings.TrimSpace(string(data)); err == nil && kept != "" {
		return kept, false, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", false, fmt.Errorf("read %s: %w", file, err)
	}
	random := make([]byte, 24)
	_, _ = rand.Read(random) // never fails, see its documentation
	secret = hex.EncodeToString(random)
	if err := writeFile(s.path(file), []byte(secret+"\n"), 0o600); err != nil {
		return "", false, fmt.Errorf("keep %s: %w", file, err)
	}
	return secret, true, nil
}

// ensureKeyring lets the product's own CLI make the keys that seal private keys.
func (s *stack) ensureKeyring(ctx context.Context) error {
	path := s.path("keyring.json")
	if _, err := os.Stat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	cli := filepath.Join(s.bin, "evercert")
	if out, err := exec.CommandContext(ctx, cli, "keyring", "generate", path).CombinedOutput(); err != nil {
		return fmt.Errorf("make the keyring with `%s keyring generate`: %w (is it built? run `make build`)\n%s", displayPath(cli), err, out)
	}
	return nil
}

// accepts is readiness of a part that opens its port when it is ready.
func accepts(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

func (s *stack) apiReady(ctx context.Context) error {
	return expectOK(ctx, http.DefaultClient, s.apiURL()+"/readyz")
}

func (s *stack) dnsReady(ctx context.Context) error {
	question := new(dns.Msg).SetQuestion(rootZone, dns.TypeSOA)
	for _, network := range []string{"udp", "tcp"} {
		client := dns.Client{Net: network, Timeout: time.Second}
		answer, _, err := client.ExchangeContext(ctx, question, s.address("dns"))
		if err != nil {
			return err
		}
		if len(answer.Answer) != 1 {
			return errors.New("no SOA record for the zone test")
		}
	}
	return accepts(s.address("dns_control"))(ctx)
}

func (s *stack) caReady(dir, directory, control string) func(context.Context) error {
	return func(ctx context.Context) error {
		pool, err := certPool(trustPath(s.path(dir)))
		if err != nil {
			return err
		}
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
		defer transport.CloseIdleConnections()
		if err := expectOK(ctx, &http.Client{Transport: transport}, directory); err != nil {
			return err
		}
		return accepts(s.address(control))(ctx)
	}
}

func certPool(path string) (*x509.CertPool, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the CA's roots: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("there is no certificate in %s", path)
	}
	return pool, nil
}

func expectOK(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, resp.Status)
	}
	return nil
}
