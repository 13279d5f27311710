package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/stack"
)

// earlyWithin is the time within which tenants add their records, each at a random moment of it. Name servers are asked at the same
// intervals in all of the first half hour, so that what is measured here holds for it.
const earlyWithin = 3 * time.Minute

// early measures how long a domain waits from its last record, visible on all of its name servers, to HTTPS served. Beside that stand the
// waits until the next check for the same moments, computed: by the checks of the workflow alone, and by the schedule that Cloudflare has
// published (75 tries; the first ten after 60 s times 1.05 to the nth, then times 1.15, at most 4 h).
func early(ctx context.Context, domains int) (err error) {
	fmt.Printf("starting the stack, then adding the records of %d domains within %s\n", domains, earlyWithin)
	s, err := stack.Start(stack.Options{CA: []string{"retry-after=0"}, Env: map[string]string{"LOG_LEVEL": "warn"}, Parts: benchParts})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	db, err := pgx.Connect(ctx, s.Info().Postgres)
	if err != nil {
		return err
	}
	defer db.Close(context.WithoutCancel(ctx)) //nolint:errcheck // read only

	tenants := make([]tenant, domains)
	for i := range tenants {
		tenants[i].hostname = fmt.Sprintf("early%05d.empty.test", i)
		if err := tenants[i].connect(ctx, s); err != nil {
			return err
		}
		tenants[i].adds = time.Duration(rand.Int64N(int64(earlyWithin)))
	}
	slices.SortFunc(tenants, func(a, b tenant) int { return int(a.adds - b.adds) })
	begun := time.Now()
	for i := range tenants {
		wait(ctx, time.Until(begun.Add(tenants[i].adds)))
		if err := tenants[i].add(ctx, s); err != nil {
			return err
		}
		tenants[i].visible = time.Now()
	}
	waits, err := servedAfter(ctx, db, tenants)
	if err != nil {
		return err
	}
	row := func(what string, waits []time.Duration) {
		slices.Sort(waits)
		at := func(share float64) time.Duration {
			return waits[int(share*float64(len(waits)-1))].Round(100 * time.Millisecond)
		}
		fmt.Printf("%-62s p50 %8s  p95 %8s\n", what, at(0.5), at(0.95))
	}
	fmt.Println()
	row("measured: records visible to HTTPS served", waits)
	row("computed: the next check, without early checks", untilNext(tenants, cert.DefaultPolicy().NextCheck))
	row("computed: the next check, by Cloudflare's schedule", untilNext(tenants, cloudflareNext))
	return nil
}

// tenant is somebody who connects a domain, and adds its records a while later.
type tenant struct {
	hostname  string
	connected time.Time
	adds      time.Duration
	visible   time.Time
	records   []cert.Record
}

func (t *tenant) connect(ctx context.Context, s *stack.Stack) error {
	var answer struct{ Records []cert.RecordState }
	info := s.Info()
	t.connected = time.Now()
	err := request(ctx, info.APIToken, info.API+"/v1/domains", map[string]string{"hostname": t.hostname, "tenant": "bench"}, &answer)
	for _, r := range answer.Records {
		if r.Purpose != cert.ForAddress {
			t.records = append(t.records, r.Record)
		}
	}
	if err == nil && len(t.records) == 0 {
		err = fmt.Errorf("connecting %s named no records", t.hostname)
	}
	return err
}

func (t *tenant) add(ctx context.Context, s *stack.Stack) error {
	for _, r := range t.records {
		record := map[string]string{"name": r.Name, "type": r.Type, "value": r.Value}
		if err := request(ctx, "", s.Info().DNSControl+"/records", record, nil); err != nil {
			return err
		}
	}
	return nil
}

// servedAfter waits until all domains are served, and returns how long each waited.
func servedAfter(ctx context.Context, db *pgx.Conn, tenants []tenant) ([]time.Duration, error) {
	var waits []time.Duration
	for _, t := range tenants {
		for served := (time.Time{}); served.IsZero(); {
			err := db.QueryRow(ctx, `
				SELECT coalesce(min(e.at), '0001-01-01Z') FROM events e JOIN domains d ON d.id = e.domain_id
				WHERE d.hostname = $1 AND e.type = $2`, t.hostname, cert.InstallationSucceeded).Scan(&served)
			if err != nil {
				return nil, err
			}
			if served.Year() > 1 {
				waits = append(waits, served.Sub(t.visible))
				break
			}
			served = time.Time{}
			fmt.Printf("\r%d of %d served", len(waits), len(tenants))
			wait(ctx, 200*time.Millisecond)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
	}
	fmt.Printf("\r%d of %d served\n", len(waits), len(tenants))
	return waits, nil
}

// untilNext returns how long each tenant would wait for the next check of a schedule, which begins when the domain is connected.
func untilNext(tenants []tenant, next func(checks int, waited time.Duration, escalated bool) time.Duration) []time.Duration {
	var waits []time.Duration
	for _, t := range tenants {
		visible, at := t.visible.Sub(t.connected), time.Duration(0)
		for checks := 1; at < visible; checks++ {
			at += next(checks, at, false)
		}
		waits = append(waits, at-visible)
	}
	return waits
}

// cloudflareNext is the published schedule of hostname checks.
func cloudflareNext(checks int, _ time.Duration, _ bool) time.Duration {
	const first, most = time.Minute, 4 * time.Hour
	factor := 1.05
	if checks > 10 {
		factor = 1.15
	}
	pause := float64(first)
	for range checks {
		pause *= factor
	}
	return min(most, time.Duration(pause))
}

// wait waits for a time, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// request posts JSON, and reads the answer into out unless that is nil.
func request(ctx context.Context, token, url string, body, out any) error {
	sent, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(sent))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s: %s: %s", url, resp.Status, said)
	}
	if err == nil && out != nil {
		err = json.Unmarshal(said, out)
	}
	return err
}
