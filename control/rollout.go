package control

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	// rolloutInterval is how often a worker asks which build is current.
	rolloutInterval = 10 * time.Second
	// rolloutRetry is how soon it asks again while its own build is about to become current: Temporal refuses until the build's workers poll,
	// which takes a moment.
	rolloutRetry = 200 * time.Millisecond
	// rolloutTimeout bounds one check, the change of the current build included.
	rolloutTimeout = 10 * time.Second
	// rescueRate is how many workflows of a lost build a worker moves in a second: far below what Temporal does on a small machine.
	rescueRate = 20
)

// Builds is what a worker may ask and change about the builds; *Deployment is one.
type Builds interface {
	Routing(ctx context.Context) (Routing, error)
	Polled(ctx context.Context) (map[string]time.Time, error)
	TakeOver(ctx context.Context, build string, seen Routing) error
	RescueTo(ctx context.Context, lost, current string) (said int64, err error)
}

// RescueTo moves what runs on a lost build to the current one, at a rate that leaves room for others. It does not wait for those that
// sleep.
func (d *Deployment) RescueTo(ctx context.Context, lost, current string) (said int64, err error) {
	moved, err := d.rescue(ctx, lost, current, Pace{PerSecond: rescueRate})
	return moved.Signalled, err
}

// Rollout is a worker's view of the builds: it makes its own build current where that is right, and knows whether new domains may begin
// here.
//
// Temporal hands the first task of a workflow to the process that started it, whatever build that is, and the workflow's run stays there.
// So a process whose build is not current must start none.
type Rollout struct {
	Builds Builds
	Build  string // of this process
	Auto   bool   // make Build current when it is newer than the current one, and move what builds without workers left behind
	Log    *slog.Logger

	mu      sync.Mutex
	waits   bool          // another build is current
	changed chan struct{} // closed when waits changes

	// Of Run's own goroutine.
	watched time.Time // since when the answers came without a gap
	said    string    // what was logged last
	lost    chan []string
}

// Starts reports whether new domains may begin in this process, and returns a channel that is closed when that changes. They may, while
// nobody knows better: a domain that begins on a wrong build moves at its next run, and one that waits for an answer might wait for ever.
func (r *Rollout) Starts() (allowed bool, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return !r.waits, r.changed
}

func (r *Rollout) allow(allowed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waits == !allowed {
		return
	}
	r.waits = !allowed
	if r.changed != nil {
		close(r.changed)
	}
	r.changed = make(chan struct{})
}

// Run asks until ctx ends.
func (r *Rollout) Run(ctx context.Context) {
	r.lost = make(chan []string)
	var rescuing sync.WaitGroup
	defer rescuing.Wait()
	rescuing.Go(func() { r.rescue(ctx) })
	for {
		wait := rolloutInterval
		if !r.check(ctx) {
			wait = rolloutRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// check asks once, and acts. It reports whether the answer is good for a while.
func (r *Rollout) check(ctx context.Context) (settled bool) {
	asking, cancel := context.WithTimeout(ctx, rolloutTimeout)
	defer cancel()
	routing, err := r.Builds.Routing(asking)
	var polled map[string]time.Time
	if err == nil && (routing.Current != r.Build || len(routing.Draining) > 0) {
		polled, err = r.Builds.Polled(asking)
	}
	if err != nil { // go on as before
		r.watched = time.Time{}
		r.say("which build is current is not known: new domains begin as before", "error", err)
		return true
	}
	if r.watched.IsZero() {
		r.watched = time.Now()
	}
	if routing.Current == r.Build {
		r.allow(true)
		r.say("this build is current: new domains begin here")
		r.offer(slices.DeleteFunc(routing.Draining, func(build string) bool { return !r.gone(polled[build]) }))
		return true
	}
	currentGone := r.gone(polled[routing.Current])
	r.allow(routing.Current == "" || currentGone)
	if why := r.turn(routing, currentGone); why != "" {
		if err := r.Builds.TakeOver(asking, r.Build, routing); err != nil {
			r.Log.DebugContext(ctx, "not current yet", "build", r.Build, "error", err)
			return false
		}
		r.Log.InfoContext(ctx, "this build was made current", "build", r.Build, "before", routing.Current, "because", why)
		r.allow(true)
		return false
	}
	if _, known := routing.RegisteredAt[r.Build]; !known { // its workers have just begun to poll
		return false
	}
	r.say("another build is current: domains that run here go on, new ones begin there", "current", routing.Current)
	return true
}

// gone reports whether a build has no workers. last is when one was last seen to ask for work; zero is never, which counts from when this
// process began to check: a Temporal server that was restarted remembers none.
func (r *Rollout) gone(last time.Time) bool {
	if last.Before(r.watched) {
		last = r.watched
	}
	return time.Since(last) > pollLifetime
}

// turn returns why this process should make its build current, or "" if it should not.
//
// A build that was registered later is newer, so an old build that is started once more changes nothing, and two builds never take turns.
// What a person has made current stays so until a build comes that was not there at the time.
func (r *Rollout) turn(routing Routing, currentGone bool) (why string) {
	registered, known := routing.RegisteredAt[r.Build]
	switch {
	case !known && routing.Current == "":
		return "no build is current" // it is refused until the build is known, and tried again
	case !known:
		return ""
	case routing.Current == "":
		return "no build is current"
	case !r.Auto:
		return ""
	case currentGone:
		return "the current build has no workers"
	case !registered.After(routing.RegisteredAt[routing.Current]):
		return ""
	case !routing.ByWorker && !registered.After(routing.ChangedAt):
		return ""
	default:
		return "it is newer"
	}
}

// offer hands the builds without workers to rescue, unless it is busy with those of an earlier check.
func (r *Rollout) offer(lost []string) {
	if !r.Auto || len(lost) == 0 {
		return
	}
	select {
	case r.lost <- lost:
	default:
	}
}

// rescue moves what builds without workers left behind to this one: where one machine runs everything, the old build's workers end when
// the new one's begin. What sleeps stays in Temporal's lists of the old build until it wakes, so that each build is gone through once.
func (r *Rollout) rescue(ctx context.Context) {
	rescued := map[string]bool{}
	for {
		var lost []string
		select {
		case <-ctx.Done():
			return
		case lost = <-r.lost:
		}
		for _, build := range lost {
			if rescued[build] {
				continue
			}
			said, err := r.Builds.RescueTo(ctx, build, r.Build)
			if err != nil {
				r.Log.WarnContext(ctx, "what a build without workers left behind could not be moved; trying again", "build", build, "error", err)
				continue
			}
			rescued[build] = true
			r.Log.InfoContext(ctx, "moved what a build without workers left behind to this one", "build", build, "workflows", said)
		}
	}
}

// say logs a state once.
func (r *Rollout) say(message string, arguments ...any) {
	if r.said == message {
		return
	}
	r.said = message
	r.Log.Info(message, slices.Concat([]any{"build", r.Build}, arguments)...)
}
