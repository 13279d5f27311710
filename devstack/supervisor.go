package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	firstBackoff = 200 * time.Millisecond
	lastBackoff  = 5 * time.Second
	// A run this long counts as healthy: the next death starts the back-off anew.
	healthyRun = 10 * time.Second
	// So many deaths in a row before a part was ever ready end the start-up.
	startAttempts = 5
	readyLimit    = 2 * time.Minute
	stopLimit     = 15 * time.Second
)

// part is one process of the stack and how to handle it.
type part struct {
	name string
	// waitsFor says in words what readiness means, for the line that is printed.
	waitsFor string
	// prepare runs once, before the first start.
	prepare func(context.Context) error
	// command makes a fresh command for each start. The ports in it never change.
	command func() (*exec.Cmd, error)
	// ready returns nil once the part does its work; it is asked repeatedly.
	// Without it a part is ready when its process has stayed up for a second.
	ready func(context.Context) error
}

// partStatus is what `devstack status` shows of a part.
type partStatus struct {
	Part     string    `json:"part"`
	State    string    `json:"state"` // starting, running, restarting, stopped
	PID      int       `json:"pid"`
	Since    time.Time `json:"since"`
	Restarts int       `json:"restarts"`
	LastExit string    `json:"last_exit,omitempty"`
}

// supervisor starts parts in order, restarts those that die, and stops all of
// them in reverse order.
type supervisor struct {
	logDir  string
	pids    *pidFile
	changed func(part string) // called after each restart, with no lock held
	say     func(format string, args ...any)

	mu      sync.Mutex
	running []*runningPart
}

type runningPart struct {
	part
	stop     context.CancelFunc
	finished chan struct{} // closed when its loop has ended and the process is gone
	gaveUp   chan error    // one error when it never got ready

	mu       sync.Mutex
	status   partStatus
	process  *os.Process // of the run that status describes
	wasReady bool
	held     chan struct{} // closed when a part that is kept down may start again; nil when it is not kept down
}

// start runs one part and returns when it is ready.
func (s *supervisor) start(ctx context.Context, p part) error {
	if p.prepare != nil {
		if err := p.prepare(ctx); err != nil {
			return fmt.Errorf("prepare %s: %w", p.name, err)
		}
	}
	loopCtx, stop := context.WithCancel(context.Background())
	r := &runningPart{
		part: p, stop: stop, finished: make(chan struct{}), gaveUp: make(chan error, 1),
		status: partStatus{Part: p.name, State: "starting", Since: time.Now()},
	}
	s.mu.Lock()
	s.running = append(s.running, r)
	s.mu.Unlock()
	if err := os.Truncate(s.logPath(p.name), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("empty the log of %s: %w", p.name, err)
	}
	go s.keepRunning(loopCtx, r)
	return s.awaitReady(ctx, r)
}

func (s *supervisor) awaitReady(ctx context.Context, r *runningPart) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	began, announced := time.Now(), false
	for {
		err := r.isReady(ctx)
		if err == nil {
			r.mu.Lock()
			r.wasReady = true
			r.mu.Unlock()
			s.say("%-9s ready (%s)", r.name, time.Since(began).Round(10*time.Millisecond))
			return nil
		}
		if !announced && time.Since(began) > 100*time.Millisecond {
			s.say("%-9s waiting for %s", r.name, r.waitsFor)
			announced = true
		}
		select {
		case failure := <-r.gaveUp:
			return failure
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("%s isn't ready after %s: %w\n%s", r.name, readyLimit, err, s.logTail(r.name))
			}
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// keepRunning is the life of a part: start, wait for its end, start again.
func (s *supervisor) keepRunning(ctx context.Context, r *runningPart) {
	defer close(r.finished)
	backoff, early := firstBackoff, 0
	for {
		if s.awaitRelease(ctx, r) {
			backoff, early = firstBackoff, 0
		}
		began := time.Now()
		exit := s.runOnce(ctx, r)
		if ctx.Err() != nil {
			r.update(func(st *partStatus) { st.State, st.PID, st.Since = "stopped", 0, time.Now() })
			return
		}
		r.mu.Lock()
		wasReady, held := r.wasReady, r.held != nil
		r.mu.Unlock()
		if held {
			continue
		}
		if time.Since(began) >= healthyRun {
			backoff, early = firstBackoff, 0
		} else if early++; !wasReady && early >= startAttempts {
			r.update(func(st *partStatus) { st.State, st.PID, st.LastExit = "stopped", 0, exit })
			r.gaveUp <- fmt.Errorf("%s ended %d times while starting, at last with: %s\n%s", r.name, early, exit, s.logTail(r.name))
			return
		}
		s.say("%-9s ended (%s), starts again in %s", r.name, exit, backoff)
		r.update(func(st *partStatus) {
			st.State, st.PID, st.Since, st.LastExit = "restarting", 0, time.Now(), exit
			st.Restarts++
		})
		select {
		case <-ctx.Done():
			return
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, lastBackoff)
	}
}

// awaitRelease keeps a part down while it is held, and reports whether it was.
func (s *supervisor) awaitRelease(ctx context.Context, r *runningPart) bool {
	r.mu.Lock()
	held := r.held
	if held != nil {
		r.status.State, r.status.PID, r.status.Since, r.status.LastExit = "stopped", 0, time.Now(), "stopped by `devstack stop`"
	}
	r.mu.Unlock()
	if held == nil {
		return false
	}
	s.say("%-9s is kept down until `devstack start %s`", r.name, r.name)
	s.changed(r.name)
	select {
	case <-held:
	case <-ctx.Done():
	}
	return true
}

// runOnce starts the process, waits for its end and returns how it ended. When
// ctx ends it stops the process.
func (s *supervisor) runOnce(ctx context.Context, r *runningPart) string {
	if ctx.Err() != nil {
		return "" // it was kept down until the stack stops
	}
	cmd, err := r.command()
	if err != nil {
		return err.Error()
	}
	log, err := os.OpenFile(s.logPath(r.name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err.Error()
	}
	defer log.Close() //nolint:errcheck // only the part writes to it
	cmd.Stdout, cmd.Stderr = log, log
	if err := startProcess(cmd); err != nil {
		return err.Error()
	}
	pid := cmd.Process.Pid
	r.update(func(st *partStatus) {
		st.State, st.PID, st.Since = "running", pid, time.Now()
		r.process = cmd.Process
		if r.held != nil { // it was to be kept down while it was being started
			_ = cmd.Process.Kill() // Wait returns how it ended
		}
	})
	if err := s.pids.set(r.name, pid); err != nil {
		s.say("%-9s its pid could not be saved: %v", r.name, err)
	}
	s.changed(r.name)
	ended := make(chan string, 1)
	go func() {
		err := cmd.Wait()
		if err == nil {
			ended <- "exit status 0"
			return
		}
		ended <- err.Error()
	}()
	select {
	case exit := <-ended:
		return exit
	case <-ctx.Done():
		return stopCommand(cmd, stopSignal(r.name), ended)
	}
}

func stopCommand(cmd *exec.Cmd, signal syscall.Signal, ended <-chan string) string {
	_ = cmd.Process.Signal(signal) // an error means that it has ended
	select {
	case exit := <-ended:
		return exit
	case <-time.After(stopLimit):
		_ = cmd.Process.Kill()
		return <-ended
	}
}

// stopAll stops the parts in the reverse order of their start.
func (s *supervisor) stopAll() {
	s.mu.Lock()
	running := s.running
	s.running = nil
	s.mu.Unlock()
	for _, r := range slices.Backward(running) {
		r.stop()
		<-r.finished
		s.say("%-9s stopped", r.name)
	}
}

func (s *supervisor) find(name string) *runningPart {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.running {
		if r.name == name {
			return r
		}
	}
	return nil
}

func (s *supervisor) statuses() []partStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]partStatus, 0, len(s.running))
	for _, r := range s.running {
		r.mu.Lock()
		all = append(all, r.status)
		r.mu.Unlock()
	}
	return all
}

// kill sends kill -9 to a part, as a crash would. The supervisor restarts it.
func (s *supervisor) kill(name string) (pid int, err error) {
	r := s.find(name)
	if r == nil {
		return 0, fmt.Errorf("there is no part %q in this stack", name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.status.PID == 0 {
		return 0, fmt.Errorf("%s isn't running now: its state is %q", name, r.status.State)
	}
	if err := r.process.Kill(); err != nil {
		return 0, fmt.Errorf("kill %s (pid %d): %w", name, r.status.PID, err)
	}
	return r.status.PID, nil
}

// hold sends kill -9 to a part and keeps it down. Holding it twice is the same as once.
func (s *supervisor) hold(name string) error {
	r := s.find(name)
	if r == nil {
		return fmt.Errorf("there is no part %q in this stack", name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == nil {
		r.held = make(chan struct{})
	}
	if r.status.PID == 0 {
		return nil
	}
	if err := r.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s (pid %d): %w", name, r.status.PID, err)
	}
	return nil
}

// release lets a part that is kept down start again. It does not wait until the part is ready.
func (s *supervisor) release(name string) error {
	r := s.find(name)
	if r == nil {
		return fmt.Errorf("there is no part %q in this stack", name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == nil {
		return fmt.Errorf("%s is not kept down: its state is %q", name, r.status.State)
	}
	close(r.held)
	r.held = nil
	return nil
}

func (r *runningPart) isReady(ctx context.Context) error {
	if r.ready != nil {
		return r.ready(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.status.State != "running" || time.Since(r.status.Since) < time.Second {
		return fmt.Errorf("its process is %s since %s", r.status.State, r.status.Since.Format(time.TimeOnly))
	}
	return nil
}

func (r *runningPart) update(f func(*partStatus)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.status)
}

func (s *supervisor) logPath(part string) string { return filepath.Join(s.logDir, part+".log") }

// logTail is the end of a part's log, for an error message.
func (s *supervisor) logTail(part string) string {
	const lines = 20
	data, err := os.ReadFile(s.logPath(part))
	if err != nil {
		return fmt.Sprintf("(its log can't be read: %v)", err)
	}
	all := bytes.Split(bytes.TrimRight(data, "\n"), []byte("\n"))
	all = all[max(0, len(all)-lines):]
	return fmt.Sprintf("the end of %s:\n%s", displayPath(s.logPath(part)), bytes.Join(all, []byte("\n")))
}
