package served

import (
	"context"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/evercert/evercert/store"
)

const (
	listEvery   = 5 * time.Minute  // limits the effect of a lost notification
	listTimeout = time.Minute      // for reading the whole list
	readTimeout = 10 * time.Second // for some certificates
	batch       = 200              // certificates read at once, some hundred kilobytes
	retryAfter  = time.Second      // when the database has failed
	saveShare   = 20               // saving the list takes at most a twentieth of the time
	saveEvery   = 50 * time.Millisecond
)

// Database is where the set is read from. An error means that the database did not answer; the caller retries.
type Database interface {
	// ListenServed calls changed with each name whose certificate or redirect rule has changed, until ctx ends, and returns ctx's error. It
	// reconnects by itself: it calls lost when the connection breaks or can't be made, and changed("") after each connect.
	ListenServed(ctx context.Context, changed func(name string), lost func()) error
	// ServedNames calls each with every name or wildcard that is served, in any order.
	ServedNames(ctx context.Context, each func(store.Serving)) error
	// ServedCertificates returns the certificates that the names, or wildcards, are served with. A name that is in no certificate's Names is
	// not served.
	ServedCertificates(ctx context.Context, names []string) ([]store.ServedCertificate, error)
}

// Follow keeps the set and the copy equal to the database until ctx ends, and returns ctx's error. It calls changed with each name, or
// wildcard, that is served differently from now on, from two goroutines. It may be called once.
func (s *Set) Follow(ctx context.Context, db Database, changed func(name string)) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return db.ListenServed(ctx, func(name string) {
			if name == "" {
				s.connected(true)
				return
			}
			s.hear(name)
			changed(name)
		}, func() { s.connected(false) })
	})
	group.Go(func() error { return s.keepUp(ctx, db, changed) })
	return group.Wait()
}

// keepUp runs the pending steps and waits for more.
func (s *Set) keepUp(ctx context.Context, db Database, changed func(name string)) error {
	defer s.save()
	s.listAt = time.Now().Add(listEvery)
	timer := time.NewTimer(listEvery)
	defer timer.Stop()
	failing := false
	for {
		wait, err := s.step(ctx, db, changed)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			wait = retryAfter
			if !failing {
				s.log.WarnContext(ctx, "the served names can't be read from the database: the edge continues with those it knows", "error", err)
			}
		}
		failing = err != nil
		if wait == 0 {
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.news:
		case <-timer.C:
		}
	}
}

// step runs the most urgent step, and returns how long to wait for the next one.
func (s *Set) step(ctx context.Context, db Database, changed func(name string)) (wait time.Duration, err error) {
	now := time.Now()
	if s.listDue.Load() || now.After(s.listAt) {
		return 0, s.list(ctx, db, changed)
	}
	if s.unsaved && s.disk.writable() && now.After(s.saveAt) {
		s.save()
		return 0, nil
	}
	if names := s.next(); len(names) > 0 {
		return 0, s.fetch(ctx, db, names, changed)
	}
	wait = s.listAt.Sub(now)
	if s.unsaved && s.disk.writable() {
		wait = min(wait, s.saveAt.Sub(now))
	}
	return max(wait, time.Millisecond), nil
}

// list compares the set with the whole list of the database. Names that change during the comparison are announced, and read after it.
func (s *Set) list(ctx context.Context, db Database, changed func(name string)) error {
	s.mu.RLock()
	listening := s.listening
	s.mu.RUnlock()
	s.listDue.Store(false)
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	differing := map[string]place{}
	listed := make(map[string]struct{}, len(s.names))
	err := db.ServedNames(ctx, func(row store.Serving) {
		listed[row.Name] = struct{}{}
		p := place{serial: digest(row.Serial), redirect: row.HTTPSRedirect}
		known, ok := s.names[row.Name]
		if known.serial == p.serial {
			p.at, p.length = known.at, known.length
		}
		if !ok || p != known {
			differing[row.Name] = p
		}
	})
	if err != nil {
		s.listDue.Store(true)
		return err
	}
	var gone []string
	for name := range s.names {
		if _, ok := listed[name]; !ok {
			gone = append(gone, name)
		}
	}
	s.apply(differing, gone)
	s.mu.Lock()
	s.current = s.hears && s.listening == listening
	s.mu.Unlock()
	s.listAt = time.Now().Add(listEvery)
	for name := range differing {
		changed(name)
	}
	for _, name := range gone {
		changed(name)
	}
	s.resumeCopying()
	return nil
}

// resumeCopying tries the disk again when it has failed or was locked by another process, and copies what is missing.
func (s *Set) resumeCopying() {
	s.uncopied = nil
	if s.disk.dir == "" {
		return
	}
	if !s.disk.writable() && s.disk.acquire() {
		s.adopt()
	}
	if !s.disk.writable() {
		return
	}
	for name, p := range s.names {
		if p.length == 0 {
			s.uncopied = append(s.uncopied, name)
		}
	}
}

// adopt takes over the copy that another process has written until now. The names are the database's, which was just read.
func (s *Set) adopt() {
	kept, data := s.disk.load()
	names := maps.Clone(s.names)
	for name, p := range names {
		p.at, p.length = 0, 0
		if k := kept[name]; k.serial == p.serial {
			p.at, p.length = k.at, k.length
		}
		names[name] = p
	}
	s.mu.Lock()
	s.names, s.data = names, data
	s.mu.Unlock()
	s.unsaved = true
}

// next returns the names to read from the database: those that have changed, else some whose certificates are not copied yet.
func (s *Set) next() []string {
	s.mu.RLock()
	names := make([]string, 0, min(batch, len(s.heard)))
	for name := range s.heard {
		if len(names) == batch {
			break
		}
		names = append(names, name)
	}
	s.mu.RUnlock()
	if len(names) > 0 || !s.disk.writable() {
		return names
	}
	for len(s.uncopied) > 0 && len(names) < batch {
		last := len(s.uncopied) - 1
		name := s.uncopied[last]
		s.uncopied = s.uncopied[:last]
		if p, ok := s.names[name]; ok && p.length == 0 { // it may have been copied with another name of the same certificate
			names = append(names, name)
		}
	}
	if len(s.uncopied) == 0 {
		s.uncopied = nil
	}
	return names
}

// fetch reads what names are served with, and copies it. It announces copied names that had changed once more: until the change was read,
// a handshake that did not get the database's answer in time was served from the older copy, and that answer may be in a cache.
func (s *Set) fetch(ctx context.Context, db Database, names []string, changed func(name string)) error {
	asked := s.marks(names)
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	certificates, err := db.ServedCertificates(ctx, names)
	if err != nil {
		s.uncopied = append(s.uncopied, names...)
		return err
	}
	read := map[string]place{}
	for _, c := range certificates {
		p := place{serial: digest(c.Serial), redirect: c.HTTPSRedirect}
		p.at, p.length = s.disk.add(c)
		for _, name := range c.Names {
			read[name] = p
		}
	}
	gone := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		_, ok := read[name]
		return ok
	})
	s.apply(read, gone)
	s.unmark(asked)
	for name := range asked {
		if read[name].length > 0 {
			changed(name)
		}
	}
	return nil
}

// marks returns the numbers of the last announcements of names.
func (s *Set) marks(names []string) map[string]uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	marks := map[string]uint64{}
	for _, name := range names {
		if n, ok := s.heard[name]; ok {
			marks[name] = n
		}
	}
	return marks
}

// unmark removes announcements that were read, unless a newer one has arrived.
func (s *Set) unmark(marks map[string]uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, n := range marks {
		if s.heard[name] == n {
			delete(s.heard, name)
		}
	}
}

// apply changes the set. A name that is gone can't return from the disk after this, even if the list on it can't be replaced any more.
func (s *Set) apply(differing map[string]place, gone []string) {
	gone = slices.DeleteFunc(gone, func(name string) bool {
		_, ok := s.names[name]
		return !ok
	})
	if len(differing) == 0 && len(gone) == 0 {
		return
	}
	for name := range differing {
		s.noteListed(name)
	}
	var left []place
	for _, name := range gone {
		s.noteListed(name)
		left = append(left, s.names[name], s.listed[name])
	}
	s.mu.Lock()
	maps.Copy(s.names, differing)
	for _, name := range gone {
		delete(s.names, name)
	}
	s.data = s.disk.data
	s.mu.Unlock()
	s.unsaved = true
	for _, name := range gone {
		s.listed[name] = place{} // it is erased if no other name uses it
	}
	s.disk.erase(s.unused(left))
}

// noteListed keeps the place that the saved list has for a name that changes now.
func (s *Set) noteListed(name string) {
	if _, ok := s.listed[name]; !ok {
		s.listed[name] = s.names[name]
	}
}

// unused returns the places that no name uses any more, neither in memory nor in the saved list.
func (s *Set) unused(left []place) []place {
	at := map[int64]place{}
	for _, p := range left {
		if p.length > 0 {
			at[p.at] = p
		}
	}
	if len(at) == 0 {
		return nil
	}
	for _, names := range []map[string]place{s.names, s.listed} {
		for _, p := range names {
			if p.length > 0 {
				delete(at, p.at)
			}
		}
	}
	return slices.Collect(maps.Values(at))
}

// save writes the list to the disk.
func (s *Set) save() {
	if !s.unsaved || !s.disk.writable() {
		return
	}
	begin := time.Now()
	names, saved := s.names, false
	if s.disk.isWasteful(names) {
		if moved, ok := s.disk.compact(names); ok {
			names, saved = moved, true
		}
	}
	if saved || s.disk.save(names) {
		s.unsaved = false
		s.listed = map[string]place{} // a cleared map would keep its memory
	}
	s.mu.Lock()
	s.names, s.data = names, s.disk.data
	s.mu.Unlock()
	end := time.Now()
	s.saveAt = end.Add(max(saveEvery, saveShare*end.Sub(begin)))
}
