package controltest

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/store"
	"github.com/evercert/evercert/workflows"
)

// The caretaker's part of the store. It knows domains and what was done about them; certificates, names that are served and cases it does
// not simulate: those are in order.

// Inspect lists the domains for which Record was called.
func (s *Store) Inspect(_ context.Context, after string, limit int) ([]store.Inspected, error) {
	var rows []store.Inspected
	for _, v := range s.sorted() {
		if v.Seq == 0 || v.Status.Domain == cert.DomainRemoved || v.Hostname <= after || len(rows) == limit {
			continue
		}
		status := v.Status
		status.HasLive = false // nothing is served here
		rows = append(rows, store.Inspected{
			Domain: v.Domain, Run: v.Run, SnapshotAt: v.At, Status: status, LiveCA: s.LiveCA[v.Hostname], NextActionAt: v.NextActionAt,
			Tended:   s.Tended[v.ID],
			Reported: slices.ContainsFunc(s.OpenCases, func(c cert.Case) bool { return c.ID == store.PlatformCaseID(v.ID) }),
		})
	}
	return rows, s.failure()
}

// KeptState returns what was recorded, if it is connected.
func (s *Store) KeptState(_ context.Context, domainID string) (cert.Domain, json.RawMessage, error) {
	if err := s.failure(); err != nil {
		return cert.Domain{}, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.views[domainID]
	if !ok || v.Seq == 0 || v.Status.Domain == cert.DomainRemoved {
		return cert.Domain{}, nil, store.ErrNotFound
	}
	return v.Domain, v.State, nil
}

// NoteTended notes it at the store's own time.
func (s *Store) NoteTended(_ context.Context, domainID string, kinds []cert.FindingKind) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Tended == nil {
		s.Tended = map[string]store.Tended{}
	}
	s.Tended[domainID] = store.Tended{At: s.Now(), For: kinds}
	s.Writes++
	return nil
}

// NoteHealthy forgets what was done, and takes the platform's cases away.
func (s *Store) NoteHealthy(_ context.Context, domainIDs []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range domainIDs {
		delete(s.Tended, id)
		s.OpenCases = slices.DeleteFunc(s.OpenCases, func(c cert.Case) bool { return c.ID == store.PlatformCaseID(id) })
	}
	s.Writes++
	return nil
}

// OpenPlatformCase adds to OpenCases.
func (s *Store) OpenPlatformCase(_ context.Context, c cert.Case) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.OpenCases = append(slices.DeleteFunc(s.OpenCases, func(o cert.Case) bool { return o.ID == c.ID }), c)
	s.Writes++
	return nil
}

// CloseOrphanedCases does nothing.
func (s *Store) CloseOrphanedCases(context.Context) error { return s.failure() }

// OweCase does nothing.
func (s *Store) OweCase(context.Context, string) error { return s.failure() }

// Strays are none.
func (s *Store) Strays(context.Context, int) ([]store.Stray, error) { return nil, s.failure() }

// RetireStray does nothing.
func (s *Store) RetireStray(context.Context, string, string) error { return s.failure() }

// UnknownHostnames are those that nobody connected.
func (s *Store) UnknownHostnames(_ context.Context, hostnames []string) ([]store.Unknown, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var unknown []store.Unknown
	for _, h := range hostnames {
		if v, ok := s.find(h); !ok || v.Status.Domain == cert.DomainRemoved {
			unknown = append(unknown, store.Unknown{Hostname: h})
		}
	}
	return unknown, nil
}

// UnheardCases are none.
func (s *Store) UnheardCases(context.Context, []string) ([]store.UnheardCase, error) {
	return nil, s.failure()
}

// Describe knows whether a domain's workflow runs, and what Executions say.
func (w *Workflows) Describe(ctx context.Context, id string) (control.Execution, error) {
	if err := w.Ready(ctx); err != nil {
		return control.Execution{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if e, ok := w.Executions[id]; ok {
		return e, nil
	}
	return control.Execution{Running: slices.Contains(w.running, strings.TrimPrefix(id, workflows.DomainID("")))}, nil
}

// Resume starts the workflow, and notes the cause among what was asked.
func (w *Workflows) Resume(ctx context.Context, d cert.Domain, _ json.RawMessage, cause string) error {
	if err := w.Start(ctx, d); err != nil {
		return err
	}
	w.note("resume " + d.Hostname + ": " + cause)
	return nil
}

// Wake notes the request.
func (w *Workflows) Wake(ctx context.Context, id string, r workflows.WakeRequest) error {
	if e, err := w.Describe(ctx, id); err != nil || !e.Running {
		return errOr(err)
	}
	verb := "wake "
	switch {
	case r.Reinstall:
		verb = "reinstall "
	case r.Renew:
		verb = "renew "
	}
	w.note(verb + id + ": " + r.Cause)
	return nil
}

// WakeCase finds none running.
func (w *Workflows) WakeCase(ctx context.Context, _ string) error { return errOr(w.Ready(ctx)) }

// Forget notes the request.
func (w *Workflows) Forget(ctx context.Context, hostname, cause string) error {
	if err := w.Ready(ctx); err != nil {
		return err
	}
	w.note("forget " + hostname + ": " + cause)
	return nil
}

// EachRunning lists the domains' workflows, in one page, and no others.
func (w *Workflows) EachRunning(ctx context.Context, workflowType string, each func(ids []string) error) error {
	if err := w.Ready(ctx); err != nil || workflowType != workflows.DomainWorkflow {
		return err
	}
	var ids []string
	for _, h := range w.Running() {
		ids = append(ids, workflows.DomainID(h))
	}
	return each(ids)
}

// Ended lists the workflows that Stop ended.
func (w *Workflows) Ended(ctx context.Context) ([]string, error) {
	if err := w.Ready(ctx); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.stopped), nil
}

func (w *Workflows) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, what)
}

func errOr(err error) error {
	if err != nil {
		return err
	}
	return control.ErrNotRunning
}
