package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/config"
	"github.com/evercert/evercert/resolver"
)

const (
	deadOneIn = 10 // of the domains, in the second variant
	rounds    = 3
)

// The platform and the tenant of the diagnoses.
var (
	benchPlatform = cert.Platform{ValidationZone: "dcv.platform.test", Target: "shops.platform.test", Addresses: []string{"127.83.2.9"}}
	benchSecret   = []byte("the secret of the tenant in the bench")
	benchCA       = cert.CAIdentity{Name: "letsencrypt", Domains: []string{"letsencrypt.org"}, AccountURI: "https://ca.example/acct/1"}
)

func healthyName(i int) string { return fmt.Sprintf("shop.d%04d.test", i) }
func deadName(i int) string    { return fmt.Sprintf("shop.x%04d.test", i) }
func isDead(i int) bool        { return i%deadOneIn == 0 }

func expectedOf(name string) []cert.Record {
	return benchPlatform.ExpectedRecords(cert.Domain{Hostname: name, Names: []string{name}, Tenant: "bench"}, benchSecret)
}

// crowd is one measurement: so many diagnoses at once.
type crowd struct {
	all, healthy time.Duration // until all were done, and those whose servers live
	asked        int64         // datagrams that reached a server
	heap, stacks uint64        // bytes more than before, at the peak
	ours, theirs time.Duration // processor time, of the diagnoses and of the name servers
}

// diagnoses prints how fast domains are diagnosed, and how much slower when a tenth of them is on servers that never answer.
func diagnoses(ctx context.Context, n int) (err error) {
	servers, err := startNameservers(ctx, n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, servers.stop()) }()
	var none, some []crowd
	for range rounds {
		for _, variant := range []struct {
			dead    bool
			results *[]crowd
		}{{false, &none}, {true, &some}} {
			c, err := measure(ctx, servers, n, variant.dead)
			if err != nil {
				return err
			}
			*variant.results = append(*variant.results, c)
		}
	}
	printCrowds(n, none, some)
	return nil
}

func printCrowds(n int, none, some []crowd) {
	fmt.Printf(
		"\n%d diagnoses at once, medians of %d runs\n%-44s %14s %14s\n", n, rounds, "", "no dead zone", fmt.Sprintf("1 in %d dead", deadOneIn),
	)
	line := func(label, format string, value func(crowd) float64) (ratio float64) {
		a, b := median(none, value), median(some, value)
		fmt.Printf("%-44s %14s %14s\n", label, fmt.Sprintf(format, a), fmt.Sprintf(format, b))
		return b / a
	}
	wall := line("all done after", "%.2f s", func(c crowd) float64 { return c.all.Seconds() })
	living := line("those on living servers done after", "%.2f s", func(c crowd) float64 { return c.healthy.Seconds() })
	line("diagnoses/s", "%.0f", func(c crowd) float64 { return float64(n) / c.all.Seconds() })
	each := func(total float64) float64 { return total / float64(n) }
	line("queries for each, repetitions included", "%.1f", func(c crowd) float64 { return each(float64(c.asked)) })
	line("heap at the peak, for each", "%.0f KiB", func(c crowd) float64 { return each(float64(c.heap)) / 1024 })
	line("stacks at the peak, for each", "%.0f KiB", func(c crowd) float64 { return each(float64(c.stacks)) / 1024 })
	line("processor time for each", "%.2f ms", func(c crowd) float64 { return each(c.ours.Seconds()) * 1e3 })
	line("processor time of the name servers, for each", "%.2f ms", func(c crowd) float64 { return each(c.theirs.Seconds()) * 1e3 })
	fmt.Printf("%-44s %14s %14.2f  (goal: under 1.3)\n", "slowdown by the dead, until all are done", "", wall)
	// The last of the dead keeps everybody waiting for its own time limit. What the dead cost the others shows here.
	living *= float64(n) / float64(n-(n+deadOneIn-1)/deadOneIn)
	fmt.Printf("%-44s %14s %14.2f\n", "slowdown by the dead, for each living one", "", living)
}

func median(of []crowd, value func(crowd) float64) float64 {
	var values []float64
	for _, c := range of {
		values = append(values, value(c))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// measure diagnoses all domains at once, with a Resolver that has the default settings, and fails unless each verdict is right.
func measure(ctx context.Context, servers *nameservers, n int, dead bool) (crowd, error) {
	settings, err := config.LoadFrom[resolver.Config](map[string]string{})
	if err != nil {
		return crowd{}, err
	}
	settings.Resolvers, settings.RootHints, settings.AuthorityPort = servers.at(resolverServers), servers.at(rootServers), servers.port
	settings.TrustAnchors, settings.ProbeAllow, settings.ProbeTimeout = []string{"none"}, []string{"127.0.0.0/8"}, 0
	dns, err := resolver.New(settings, slog.New(slog.DiscardHandler))
	if err != nil {
		return crowd{}, err
	}
	before, err := servers.use()
	if err != nil {
		return crowd{}, err
	}
	cpu := cpuOfProcess()
	memory := watchMemory()
	c, wrong := diagnoseAll(ctx, dns, n, dead)
	c.heap, c.stacks = memory()
	c.ours = cpuOfProcess() - cpu
	after, err := servers.use()
	if err != nil {
		return crowd{}, err
	}
	c.asked, c.theirs = after.Asked-before.Asked, after.CPU-before.CPU
	fmt.Printf(
		"%d diagnoses, dead zones: %-5t all done after %.2f s, the living after %.2f s\n", n, dead, c.all.Seconds(), c.healthy.Seconds(),
	)
	return c, wrong
}

func diagnoseAll(ctx context.Context, dns *resolver.Resolver, n int, dead bool) (c crowd, wrong error) {
	type result struct {
		dead bool
		at   time.Duration
		err  error
	}
	results := make(chan result, n)
	var ready sync.WaitGroup
	begin, start := time.Time{}, make(chan struct{})
	for i := range n {
		name, lost, want := healthyName(i), dead && isDead(i), cert.OK
		if lost {
			name, want = deadName(i), cert.Unknown
		}
		question := cert.Question{Names: []string{name}, Expected: expectedOf(name), CAs: []cert.CAIdentity{benchCA}}
		ready.Add(1)
		go func() {
			ready.Done()
			<-start
			d, err := dns.Diagnose(ctx, question)
			at := time.Since(begin)
			if err == nil && d.Verdict != want {
				err = fmt.Errorf("the verdict on %s is %s after %s instead of %s: %v", name, d.Verdict, at, want, d.Problems)
			}
			results <- result{lost, at, err}
		}()
	}
	ready.Wait()
	begin = time.Now()
	close(start)
	failed := 0
	for range n {
		r := <-results
		if r.err != nil {
			failed++
			wrong = fmt.Errorf("%d of %d diagnoses came out wrong, such as: %w", failed, n, r.err)
		}
		if c.all = max(c.all, r.at); !r.dead {
			c.healthy = max(c.healthy, r.at)
		}
	}
	return c, wrong
}

// watchMemory begins to measure this process's memory. The function that it returns ends that, and returns the peak above what was in use
// before.
func watchMemory() func() (heap, stacks uint64) {
	runtime.GC()
	read := func() (heap, stacks uint64) {
		samples := []metrics.Sample{
			{Name: "/memory/classes/heap/objects:bytes"},
			{Name: "/memory/classes/heap/unused:bytes"},
			{Name: "/memory/classes/heap/stacks:bytes"},
		}
		metrics.Read(samples)
		return samples[0].Value.Uint64() + samples[1].Value.Uint64(), samples[2].Value.Uint64()
	}
	heapBefore, stacksBefore := read()
	heap, stacks := heapBefore, stacksBefore
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				h, s := read()
				heap, stacks = max(heap, h), max(stacks, s)
			}
		}
	}()
	return func() (uint64, uint64) {
		close(end)
		<-ended
		return heap - heapBefore, stacks - stacksBefore
	}
}

// nameservers is the process in which they run.
type nameservers struct {
	process *exec.Cmd
	in      io.WriteCloser
	answers *bufio.Scanner
	port    uint16
}

func startNameservers(ctx context.Context, domains int) (*nameservers, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &nameservers{process: exec.CommandContext(ctx, self, nameserversRole, strconv.Itoa(domains))}
	s.process.Stderr = os.Stderr
	if s.in, err = s.process.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.answers = bufio.NewScanner(out)
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	first, err := s.use()
	s.port = first.Port
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// use asks how much was done so far.
func (s *nameservers) use() (use nameserverUse, err error) {
	if _, err := fmt.Fprintln(s.in); err != nil {
		return use, fmt.Errorf("ask the name servers: %w", err)
	}
	if !s.answers.Scan() {
		return use, fmt.Errorf("the name servers ended: %w", errors.Join(io.ErrUnexpectedEOF, s.answers.Err()))
	}
	return use, json.Unmarshal(s.answers.Bytes(), &use)
}

func (s *nameservers) stop() error { return errors.Join(s.in.Close(), s.process.Wait()) }

func (s *nameservers) at(addresses []string) []string {
	list := make([]string, len(addresses))
	for i, address := range addresses {
		list[i] = fmt.Sprintf("%s:%d", address, s.port)
	}
	return list
}
