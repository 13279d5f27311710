package authority

import (
	"context"
	"sync"
)

// sharedCalls does each piece of work once, however many want its result. A result that is an error of ours (see ours) is not kept:
// whoever did the work doesn't want to know any more, and another that waits does it again. Its zero value is ready for use.
type sharedCalls[K comparable, V any] struct {
	mu    sync.Mutex
	calls map[K]*sharedCall[V]
}

// sharedCall is a piece of work under way, or its result once done is closed.
type sharedCall[V any] struct {
	done  chan struct{}
	value V
	err   error
}

// do calls work, or waits for the result of the same work called before.
func (s *sharedCalls[K, V]) do(ctx context.Context, key K, work func() (V, error)) (V, error) {
	for {
		call, mine := s.find(key)
		if mine {
			call.value, call.err = work()
			s.finish(key, call)
			return call.value, call.err
		}
		select {
		case <-call.done:
		case <-ctx.Done():
			var none V
			return none, ctx.Err()
		}
		if call.err == nil || !ours(call.err) || ctx.Err() != nil {
			return call.value, call.err
		}
	}
}

// find returns the call for a key, and whether it is new: then the caller does the work.
func (s *sharedCalls[K, V]) find(key K) (call *sharedCall[V], mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if call = s.calls[key]; call != nil {
		return call, false
	}
	if s.calls == nil {
		s.calls = map[K]*sharedCall[V]{}
	}
	call = &sharedCall[V]{done: make(chan struct{})}
	s.calls[key] = call
	return call, true
}

func (s *sharedCalls[K, V]) finish(key K, call *sharedCall[V]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if call.err != nil && ours(call.err) {
		delete(s.calls, key)
	}
	close(call.done)
}
