package served

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/keyring"
)

func TestF22_TheCopyServesWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 1000 { // several batches
		b.db.set(fmt.Sprintf("%04x", i), shop(i))
	}
	b.db.set("aa", "a.example", "b.example", "*.shops.example")
	b.run()
	b.copied()
	b.stop()
	for range 2 { // in the second round nothing changed in between
		again := b.open()
		require.Equal(t, 1003, again.Len())
		require.Equal(t, 1003, again.Copied())
		for i := range 1000 {
			serves(t, again, shop(i), fmt.Sprintf("%04x", i))
		}
		serves(t, again, "any.shops.example", "aa")
		for _, name := range []string{"shops.example", "a.b.shops.example", "unknown.example", ""} {
			require.False(t, again.Find(name).Served, name)
		}
		require.False(t, again.Find("a.example").Sure, "it may have changed since")
		require.NoError(t, again.Close())
	}
	require.Less(t, used(b.set.names), int64(1001*4000), "a certificate of several names is kept once")
}

// TestAListOfSeveralParts: a part of another list, or parts in the wrong order, are refused.
func TestAListOfSeveralParts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := &disk{dir: b.dir, keys: b.keys, number: 7}
	names := map[string]place{}
	for i := range 2*partNames + 1 {
		names[shop(i)] = place{serial: uint64(i), at: int64(i), length: 9, redirect: i%2 == 0} //nolint:gosec // small
	}
	var list, other bytes.Buffer
	require.NoError(t, d.writeParts(&list, names))
	require.NoError(t, d.writeParts(&other, names))
	number, read, err := d.readParts(bytes.NewReader(list.Bytes()))
	require.NoError(t, err)
	require.Equal(t, int64(7), number)
	require.Equal(t, names, read)

	parts := func(list []byte) (parts [][]byte) {
		for len(list) > 0 {
			length := 4 + binary.BigEndian.Uint32(list)
			parts, list = append(parts, list[:length]), list[length:]
		}
		return parts
	}
	a, o := parts(list.Bytes()), parts(other.Bytes())
	require.Len(t, a, 3)
	for what, wrong := range map[string][][]byte{
		"in another order": {a[1], a[0], a[2]}, "twice": {a[0], a[0], a[2]}, "cut off": {a[0], a[1]}, "of another list": {a[0], o[1], a[2]},
		"none": {},
	} {
		_, _, err := d.readParts(bytes.NewReader(slices.Concat(wrong...)))
		require.Error(t, err, what)
	}
}

func TestF24_TheCopyIsSealedAndTheOwners(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.db.set("0a", "secret-customer.example")
	b.run()
	b.copied()
	b.stop()
	files := 0
	require.NoError(t, filepath.WalkDir(b.dir, func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := entry.Info()
		require.NoError(t, err)
		if entry.IsDir() {
			require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
			return nil
		}
		files++
		require.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), path)
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, text := range []string{"secret-customer", "chain of", "sealed key of"} {
			require.NotContains(t, string(content), text, path)
		}
		return nil
	}))
	require.Equal(t, 3, files, "the list, the certificates, the lock")
}

func TestTheSetFollowsTheDatabase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.db.set("0a", "shop.example")
	b.run()
	b.eventually("it is compared", func() bool { return b.set.Find("shop.example").Sure })
	b.copied()
	unknown := b.set.Find("new.example")
	require.True(t, unknown.Sure && !unknown.Served, "an unknown name is known to be unknown")

	b.db.install("0b", "new.example", "*.shops.example")
	require.False(t, b.set.Find("new.example").Sure && !b.set.Find("new.example").Served, "from the message on")
	b.eventually("it is read", func() bool {
		f := b.set.Find("x.shops.example")
		return f.Sure && f.Copied()
	})
	serves(t, b.set, "new.example", "0b")
	b.db.install("0c", "new.example")
	b.eventually("the renewed one is read", func() bool { return b.set.Find("new.example").Sure })
	serves(t, b.set, "new.example", "0c")
	serves(t, b.set, "x.shops.example", "0b")
	b.db.install("", "new.example")
	b.eventually("it is gone", func() bool {
		f := b.set.Find("new.example")
		return f.Sure && !f.Served
	})
	b.copied()
}

// TestLostNewsAreFound: while the connection for notifications is down the set says that it is not sure; afterwards it is compared with the
// whole list.
func TestLostNewsAreFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.db.set("0a", "kept.example", "renewed.example", "removed.example")
	b.run()
	b.copied()
	b.eventually("it is compared", func() bool { return b.set.Find("kept.example").Sure })
	b.db.breakDown(true)
	b.db.reconnect()
	b.eventually("it isn't sure", func() bool { return !b.set.Find("kept.example").Sure && !b.set.Find("unknown.example").Sure })
	serves(t, b.set, "kept.example", "0a")

	b.db.set("0b", "renewed.example", "new.example")
	b.db.set("", "removed.example")
	b.mu.Lock()
	b.changed = nil
	b.mu.Unlock()
	b.db.breakDown(false)
	b.db.reconnect()
	b.eventually("it is compared", func() bool { return b.set.Find("kept.example").Sure })
	require.False(t, b.set.Find("removed.example").Served)
	b.copied()
	serves(t, b.set, "renewed.example", "0b")
	b.eventually("changes are announced to those that cache certificates", func() bool {
		return b.announced("renewed.example") && b.announced("new.example") && b.announced("removed.example")
	})
	require.False(t, b.announced("kept.example"))
}

// TestAListAloneMakesNothingSure: while the connection for notifications is down, the database may change right after the list was read.
func TestAListAloneMakesNothingSure(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.db.set("0a", "shop.example")
	set := b.open()
	defer set.Close() //nolint:errcheck // nothing is lost
	compare := func() { require.NoError(t, set.list(t.Context(), b.db, func(string) {})) }
	compare()
	require.True(t, set.Find("shop.example").Served)
	require.False(t, set.Find("shop.example").Sure)
	set.connected(true)
	require.False(t, set.Find("shop.example").Sure, "not before the next comparison")
	compare()
	require.True(t, set.Find("shop.example").Sure)
	set.connected(false)
	compare()
	require.False(t, set.Find("shop.example").Sure)
}

// TestAChangeDuringAListIsNotLost: the list was read before the change.
func TestAChangeDuringAListIsNotLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.db.set("0a", "shop.example", "removed.example")
	hold := make(chan struct{})
	b.db.hold = hold
	b.run()
	b.eventually("the list is read", func() bool {
		b.db.mu.Lock()
		defer b.db.mu.Unlock()
		return b.db.lists == 1
	})
	b.db.install("0b", "shop.example", "new.example")
	b.db.install("", "removed.example")
	close(hold)
	b.copied()
	b.eventually("all is read", func() bool {
		return b.set.Find("shop.example").Sure && b.set.Find("new.example").Sure && b.set.Find("removed.example").Sure
	})
	serves(t, b.set, "shop.example", "0b")
	serves(t, b.set, "new.example", "0b")
	require.False(t, b.set.Find("removed.example").Served)
}

// TestAChangeDuringAReadIsNotLost: the certificate was read before the second change.
func TestAChangeDuringAReadIsNotLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.db.set("0a", "shop.example")
	b.run()
	b.copied()
	b.eventually("it is compared", func() bool { return b.set.Find("shop.example").Sure })
	hold := make(chan struct{})
	b.db.mu.Lock()
	reads := b.db.reads
	b.db.holdRead = hold
	b.db.mu.Unlock()
	b.db.install("0b", "shop.example")
	b.eventually("it is read", func() bool {
		b.db.mu.Lock()
		defer b.db.mu.Unlock()
		return b.db.reads > reads
	})
	b.db.install("0c", "shop.example")
	close(hold)
	b.eventually("the set is sure", func() bool { return b.set.Find("shop.example").Sure })
	serves(t, b.set, "shop.example", "0c")
}

// TestF22_AChangedNameIsAnnouncedAgainOnceItWasRead: when the database answers late, a handshake between the announcement and the read is
// served from the older copy. A cache that has that answer needs a second announcement.
func TestF22_AChangedNameIsAnnouncedAgainOnceItWasRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.db.set("0a", "shop.example")
	b.run()
	b.copied()
	b.eventually("it is compared", func() bool { return b.set.Find("shop.example").Sure })
	announced := func() (n int) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, name := range b.changed {
			if name == "shop.example" {
				n++
			}
		}
		return n
	}
	hold, before := make(chan struct{}), announced()
	b.db.mu.Lock()
	b.db.holdRead = hold
	b.db.mu.Unlock()
	b.db.install("0b", "shop.example")
	b.eventually("it is announced", func() bool { return announced() > before })
	require.Equal(t, before+1, announced(), "it is not read yet")
	require.False(t, b.set.Find("shop.example").Sure)
	close(hold)
	b.eventually("it is announced again", func() bool { return announced() == before+2 })
	require.True(t, b.set.Find("shop.example").Sure, "from the second time on the set has the new certificate")
	serves(t, b.set, "shop.example", "0b")
}

// TestARemovedNameDoesNotComeBack: neither after a crash, nor when the list on the disk can't be replaced.
func TestARemovedNameDoesNotComeBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.db.set("0a", "removed.example")
	b.db.set("0b", "kept.example")
	b.run()
	b.copied()
	b.stop()
	set := b.open()
	set.apply(nil, []string{"removed.example"}) // and the process dies here
	require.NoError(t, set.Close())
	again := b.open()
	_, err := again.Certificate(again.Find("removed.example"))
	require.Error(t, err)
	serves(t, again, "kept.example", "0b")
}

func TestACopyThatCannotBeUsedIsMadeAnew(t *testing.T) {
	t.Parallel()
	for what, damage := range map[string]func(b *bundle){
		"of another keyring":        func(b *bundle) { b.keys = newKeys(b.t) },
		"with a damaged list":       func(b *bundle) { b.rewrite(listFile, func(c []byte) []byte { c[len(c)/2] ^= 1; return c }) },
		"with a list cut off":       func(b *bundle) { b.rewrite(listFile, func(c []byte) []byte { return c[:len(c)/2] }) },
		"with an empty list":        func(b *bundle) { b.rewrite(listFile, func([]byte) []byte { return nil }) },
		"with damaged certificates": func(b *bundle) { b.rewrite(dataFile+"*", func(c []byte) []byte { return make([]byte, len(c)) }) },
		"with certificates cut off": func(b *bundle) { b.rewrite(dataFile+"*", func(c []byte) []byte { return c[:len(c)/2] }) },
		"without its certificates":  func(b *bundle) { b.remove(dataFile + "*") },
		"without its list":          func(b *bundle) { b.remove(listFile) },
		"of another version": func(b *bundle) {
			sealed, err := b.keys.Seal([]byte{version + 1, 0, 0, 0, 2}, sealedList)
			require.NoError(b.t, err)
			b.rewrite(listFile, func([]byte) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(sealed))), sealed...) })
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			for i := range 10 {
				b.db.set(fmt.Sprintf("%02x", i), shop(i))
			}
			b.run()
			b.copied()
			b.stop()
			damage(b)
			b.run()
			for i := range 10 { // as an edge does with a certificate that it can't use
				if found := b.set.Find(shop(i)); found.Copied() {
					if _, err := b.set.Certificate(found); err != nil {
						b.set.Spoiled(shop(i))
					}
				}
			}
			b.copied()
			for i := range 10 {
				serves(t, b.set, shop(i), fmt.Sprintf("%02x", i))
			}
		})
	}
}

// rewrite changes the files that match a pattern.
func (b *bundle) rewrite(pattern string, change func([]byte) []byte) {
	b.t.Helper()
	paths, err := filepath.Glob(filepath.Join(b.dir, pattern))
	require.NoError(b.t, err)
	require.NotEmpty(b.t, paths)
	for _, path := range paths {
		content, err := os.ReadFile(path)
		require.NoError(b.t, err)
		require.NoError(b.t, os.WriteFile(path, change(content), 0o600))
	}
}

func (b *bundle) remove(pattern string) {
	b.t.Helper()
	paths, err := filepath.Glob(filepath.Join(b.dir, pattern))
	require.NoError(b.t, err)
	require.NotEmpty(b.t, paths)
	for _, path := range paths {
		require.NoError(b.t, os.Remove(path))
	}
}

func TestF24_ARotatedKeyringOpensTheCopy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := filepath.Join(t.TempDir(), "keyring.json")
	require.NoError(t, keyring.Generate(path))
	for i := range 3 {
		var err error
		b.keys, err = keyring.Load(path)
		require.NoError(t, err)
		b.db.set(fmt.Sprintf("%02x", i), shop(i))
		b.run()
		for old := range i {
			serves(t, b.set, shop(old), fmt.Sprintf("%02x", old))
		}
		b.copied()
		b.stop()
		require.NoError(t, keyring.Rotate(path))
	}
	require.NotContains(t, b.log.String(), "WARN")
}

// TestADiskThatFailsIsNoReasonToStop: the set continues in memory, logs the error once, and writes again when the disk works.
func TestADiskThatFailsIsNoReasonToStop(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, os.WriteFile(b.dir, nil, 0o600)) // a file in the place of the folder
	b.db.set("0a", "shop.example")
	b.run()
	b.eventually("it is compared", func() bool { return b.set.Find("shop.example").Sure })
	require.True(t, b.set.Find("shop.example").Served)
	require.False(t, b.set.Find("shop.example").Copied())
	b.db.install("0b", "other.example")
	b.eventually("it follows", func() bool { return b.set.Find("other.example").Sure })
	require.Contains(t, b.log.String(), "copy can't be kept")

	require.NoError(t, os.Remove(b.dir))
	b.db.reconnect() // the next comparison
	b.copied()
	require.Contains(t, b.log.String(), "kept again")
	b.stop()

	full := b.open()
	require.NoError(t, full.disk.data.Close()) // every write fails from here on, as on a full disk
	full.disk.data, _ = os.Open(os.DevNull)
	for i := range 10 {
		full.apply(map[string]place{shop(i): {serial: digest("0c")}}, nil)
		at, length := full.disk.add(certificate("0c"))
		require.Zero(t, at+int64(length))
	}
	require.Equal(t, 12, full.Len())
	require.NoError(t, full.Close())
}

// TestTwoEdgesDoNotShareAFolder: the second one reads the copy, and takes it over when the first one ends.
func TestTwoEdgesDoNotShareAFolder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.db.set("0a", "shop.example")
	b.run()
	b.copied()
	first := b.stop
	second := setup(t)
	second.dir, second.keys = b.dir, b.keys
	second.db.set("0a", "shop.example")
	second.run()
	serves(t, second.set, "shop.example", "0a")
	require.Contains(t, second.log.String(), "another process has it")
	second.eventually("it is compared", func() bool { return second.set.Find("shop.example").Sure })
	second.db.install("0b", "new.example")
	second.eventually("it follows", func() bool { return second.set.Find("new.example").Sure })
	require.False(t, second.set.Find("new.example").Copied())

	b.db.install("0c", "late.example")
	b.copied()
	first()
	second.db.set("0c", "late.example")
	second.db.reconnect()
	second.copied()
	serves(t, second.set, "shop.example", "0a")
	serves(t, second.set, "new.example", "0b")
}

// TestRenewalsDoNotFillTheDisk: the space of replaced certificates is used again, and current ones can be read all the time.
func TestRenewalsDoNotFillTheDisk(t *testing.T) {
	t.Parallel()
	b := setup(t)
	set := b.open()
	set.disk.slack = 0 // small files are compacted too
	names := 50
	model := map[string]string{}
	var largest int64
	before := set.Find("none.example")
	for round := range 200 {
		if round == 20 {
			before = set.Find(shop(1))
		}
		read := map[string]place{}
		for range 20 {
			name, serial := shop(rand.IntN(names)), fmt.Sprintf("%04x", rand.IntN(1<<16)) //nolint:gosec // any will do
			p := place{serial: digest(serial)}
			p.at, p.length = set.disk.add(certificate(serial))
			read[name], model[name] = p, serial
		}
		set.apply(read, nil)
		set.save()
		largest = max(largest, set.disk.end)
	}
	require.Less(t, largest, 4*used(set.names)+100_000)
	for name, serial := range model {
		serves(t, set, name, serial)
	}
	if before.Copied() { // found before the file was replaced
		_, err := set.Certificate(before)
		require.NoError(t, err)
	}
	data, err := filepath.Glob(filepath.Join(b.dir, dataFile+"*"))
	require.NoError(t, err)
	require.Len(t, data, 1)
	require.NoError(t, set.Close())
	again := b.open()
	require.Equal(t, len(model), again.Copied())
	for name, serial := range model {
		serves(t, again, name, serial)
	}
}

// TestACrashAtAnyMomentLeavesATrueCopy copies the folder at random moments of random changes, as a crash leaves it: each name has a
// certificate that it had before, or none; a removed name has none.
func TestACrashAtAnyMomentLeavesATrueCopy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run()
	b.eventually("it is compared", func() bool { return b.set.Find("x.example").Sure })
	had, gone := map[string]bool{}, map[string]bool{}
	for range 300 {
		name, serial := shop(rand.IntN(20)), fmt.Sprintf("%08x", rand.Uint32()) //nolint:gosec // any will do
		switch rand.IntN(4) {                                                   //nolint:gosec // likewise
		case 0:
			b.db.install("", name)
			b.eventually("it is gone", func() bool { f := b.set.Find(name); return f.Sure && !f.Served })
			gone[name] = true
		case 1:
			crashed := b.crash()
			for name := range crashed.names {
				c, err := crashed.Certificate(crashed.Find(name))
				if err == nil {
					require.True(t, had[name+c.Serial], "%s has %s", name, c.Serial)
					require.False(t, gone[name], "%s came back", name)
				}
			}
		default:
			had[name+serial] = true
			delete(gone, name)
			b.db.install(serial, name)
			if rand.IntN(2) == 0 { //nolint:gosec // likewise
				b.eventually("it is there", func() bool { f := b.set.Find(name); return f.Sure && f.Served })
			}
		}
	}
}

// crash opens a copy of what is on the disk at this moment.
func (b *bundle) crash() *Set {
	b.t.Helper()
	dir := b.t.TempDir()
	entries, err := os.ReadDir(b.dir)
	require.NoError(b.t, err)
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(b.dir, entry.Name()))
		if os.IsNotExist(err) {
			continue // it was replaced at this moment
		}
		require.NoError(b.t, err)
		require.NoError(b.t, os.WriteFile(filepath.Join(dir, entry.Name()), content, 0o600))
	}
	return Open(dir, b.keys, slog.New(slog.DiscardHandler))
}

func TestWithoutAFolderNothingIsWritten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.db.set("0a", "shop.example")
	set := Open("", b.keys, slog.New(slog.NewTextHandler(b.log, nil)))
	b.follow(set)
	b.eventually("it is compared", func() bool { return set.Find("shop.example").Sure })
	require.True(t, set.Find("shop.example").Served)
	require.NoDirExists(t, b.dir)
	require.Empty(t, b.log.String())
}

// TestA7_100000NamesFitIn16MB is not parallel: it measures the memory of this process.
func TestA7_100000NamesFitIn16MB(t *testing.T) {
	before := heap()
	set := &Set{names: map[string]place{}}
	for i := range 100_000 {
		set.names[shop(i)] = place{serial: uint64(i), at: int64(i), length: 4000} //nolint:gosec // small
	}
	used := heap() - before
	t.Logf("%d names take %.1f MB", set.Len(), float64(used)/1e6)
	require.Less(t, used, uint64(16<<20))
	require.True(t, set.Find(shop(7)).Served)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
