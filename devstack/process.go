package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// forker starts all child processes from one thread that lives as long as the
// supervisor. Linux ties "signal me when my parent dies" to the thread that
// forked: started from any other goroutine, a child could be signalled when
// Go's scheduler retires a thread.
var forker = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// childCommand is a part's process in a group of its own, see childAttributes.
// No context ends it: the supervisor stops the parts in order, each by its signal.
func childCommand(credential *syscall.Credential, onParentDeath syscall.Signal, path string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...) //nolint:noctx // see above
	cmd.SysProcAttr = childAttributes(credential, onParentDeath)
	return cmd
}

func startProcess(cmd *exec.Cmd) error {
	done := make(chan error)
	forker() <- func() { done <- cmd.Start() }
	return <-done
}

// processID names one process for certain: pid and start time.
type processID struct {
	PID   int    `json:"pid"`
	Start string `json:"start"`
}

func (p processID) alive() bool { return p.PID > 0 && p.Start != "" && processStart(p.PID) == p.Start }

// pidFile remembers the processes of this run for the next one: when the
// supervisor is killed with -9, whatever survives is found by it.
type pidFile struct {
	path string
	mu   sync.Mutex
	pids map[string]processID
}

func newPIDFile(dir string) *pidFile {
	return &pidFile{path: filepath.Join(dir, "pids.json"), pids: map[string]processID{}}
}

func (p *pidFile) set(part string, pid int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pids[part] = processID{pid, processStart(pid)}
	return writeJSON(p.path, p.pids)
}

func (p *pidFile) remove() error {
	err := os.Remove(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// endOrphans ends what a previous supervisor left behind. Only processes whose
// pid and start time both agree are touched. It returns the names of those.
func (p *pidFile) endOrphans(limit time.Duration) ([]string, error) {
	data, err := os.ReadFile(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the pids of the previous run: %w", err)
	}
	var previous map[string]processID
	if err := json.Unmarshal(data, &previous); err != nil {
		return nil, fmt.Errorf("read the pids of the previous run: %w (end its processes and delete %s)", err, p.path)
	}
	var ended []string
	for part, id := range previous {
		if !id.alive() {
			continue
		}
		ended = append(ended, part)
		if err := endProcess(id, stopSignal(part), limit); err != nil {
			return ended, fmt.Errorf("end %s of the previous run (pid %d): %w", part, id.PID, err)
		}
	}
	return ended, p.remove()
}

// endProcess asks first, and kills after limit.
func endProcess(id processID, signal syscall.Signal, limit time.Duration) error {
	for _, s := range []syscall.Signal{signal, syscall.SIGKILL} {
		if err := syscall.Kill(id.PID, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
		if poll(limit, 10*time.Millisecond, func() bool { return !id.alive() }) {
			return nil
		}
	}
	return errors.New("it is still there after kill -9")
}

// poll calls done, pausing in between, until it is true or limit has passed,
// and returns which it was.
func poll(limit, pause time.Duration, done func() bool) bool {
	deadline, tick := time.After(limit), time.NewTicker(pause)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline:
			return false
		case <-tick.C:
		}
	}
	return true
}

// stopSignal is how a part is asked to stop. SIGINT is PostgreSQL's fast
// shutdown; its SIGTERM would wait for all clients to leave.
func stopSignal(part string) syscall.Signal {
	if part == "postgres" {
		return syscall.SIGINT
	}
	return syscall.SIGTERM
}

// lockDir takes the lock that only one supervisor of a dir can hold. The
// kernel releases it when the process ends, however it ends.
func lockDir(dir string) (release func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock file: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written to it
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("a stack is running in %s already: stop it first, or choose another folder with --dir", dir)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil
}
