package served

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/evercert/evercert/keyring"
	"github.com/evercert/evercert/store"
)

const (
	listFile   = "names"         // the list, replaced as a whole: sealed parts, each after its length
	dataFile   = "certificates." // and a number: sealed certificates, one after the other; the list holds the file's number and each position
	lockFile   = "lock"
	sealedList = "edge copy: names" // the associated data of sealed bytes

	folderMode fs.FileMode = 0o700
	fileMode   fs.FileMode = 0o600

	slack     = 4 << 20 // bytes of unused certificates that are tolerated
	partNames = 4096    // names in a part of the list, so that the whole list is never in memory
)

// disk is the copy on disk. It can fail at any time; the edge then continues without it.
type disk struct {
	dir   string
	keys  *keyring.Keyring
	log   *slog.Logger
	slack int64

	lock    *os.File // nil: another process writes this copy, or the folder can't be written
	broken  bool     // a write has failed
	data    *os.File // nil: none yet
	number  int64    // of the data file
	end     int64    // where the next certificate goes
	wasteAt int64    // the size of the data file from which unused bytes are counted again
	logged  string   // the last error that was logged
}

func (d *disk) writable() bool { return d.lock != nil && !d.broken }

// trouble logs an error that prevents writing the copy, once.
func (d *disk) trouble(err error) {
	if d.logged != err.Error() {
		d.logged = err.Error()
		d.log.Warn("the edge's own copy can't be kept: names that change now are not served as they should be after a start without database",
			"folder", d.dir, "error", err)
	}
}

// acquire makes this process the writer of the copy.
func (d *disk) acquire() bool {
	d.broken = false
	if d.lock != nil {
		return true
	}
	if err := os.MkdirAll(d.dir, folderMode); err != nil {
		d.trouble(err)
		return false
	}
	lock, err := os.OpenFile(filepath.Join(d.dir, lockFile), os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		d.trouble(err)
		return false
	}
	if err := takeLock(lock); err != nil {
		d.trouble(errors.Join(fmt.Errorf("another process has it; each edge needs a folder of its own, EDGE_COPY_DIR: %w", err), lock.Close()))
		return false
	}
	d.lock = lock
	return true
}

// load reads the list and opens the certificates that it points to.
func (d *disk) load() (map[string]place, *os.File) {
	d.data = nil
	names, err := d.readList()
	if err != nil {
		names = map[string]place{}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.log.Warn("the edge's own copy can't be used, and is made anew from the database", "folder", d.dir, "error", err)
	}
	return names, d.data
}

func (d *disk) readList() (map[string]place, error) {
	list, err := os.Open(filepath.Join(d.dir, listFile))
	if err != nil {
		return nil, err
	}
	number, names, err := d.readParts(bufio.NewReaderSize(list, 1<<16))
	if err = errors.Join(err, list.Close()); err != nil {
		return nil, err
	}
	flag := os.O_RDWR
	if d.lock == nil {
		flag = os.O_RDONLY
	}
	data, err := os.OpenFile(d.dataPath(number), flag, fileMode)
	if err != nil {
		return nil, err
	}
	info, err := data.Stat()
	if err != nil {
		return nil, errors.Join(err, data.Close())
	}
	for name, p := range names {
		if p.at < 0 || p.at+int64(p.length) > info.Size() { // the file is truncated
			p.at, p.length = 0, 0
			names[name] = p
		}
	}
	d.data, d.number, d.end = data, number, info.Size()
	d.wasteAt = d.slack + 2*used(names)
	return names, nil
}

// readParts reads a list, and fails unless it is complete.
func (d *disk) readParts(list io.Reader) (number int64, names map[string]place, err error) {
	names = map[string]place{}
	var first header
	for part := int64(0); part == 0 || part < first.parts; part++ {
		var length uint32
		if err := binary.Read(list, binary.BigEndian, &length); err != nil {
			return 0, nil, fmt.Errorf("%w: %w", errEncoding, err)
		}
		sealed, err := io.ReadAll(io.LimitReader(list, int64(length)))
		if err != nil {
			return 0, nil, err
		}
		plain, err := d.keys.Unseal(sealed, sealedList)
		if err != nil {
			return 0, nil, fmt.Errorf("it was damaged, or sealed by a key that is not in KEYRING_FILE: %w", err)
		}
		h, err := decodePart(plain, names)
		if err != nil {
			return 0, nil, err
		}
		if part == 0 {
			first = h
		}
		if (h != header{first.id, first.number, part, first.parts}) {
			return 0, nil, errEncoding
		}
	}
	return first.number, names, nil
}

// writeParts writes a list.
func (d *disk) writeParts(list io.Writer, names map[string]place) error {
	h := header{id: time.Now().UnixNano(), number: d.number, parts: int64(max(1, (len(names)+partNames-1)/partNames))}
	next, stop := iter.Pull2(maps.All(names))
	defer stop()
	for ; h.part < h.parts; h.part++ {
		plain := h.append(make([]byte, 0, 64*partNames))
		for range partNames {
			name, p, ok := next()
			if !ok {
				break
			}
			plain = appendName(plain, name, p)
		}
		sealed, err := d.keys.Seal(plain, sealedList)
		if err != nil {
			return err
		}
		if err := binary.Write(list, binary.BigEndian, uint32(len(sealed))); err != nil { //nolint:gosec // some hundred kilobytes
			return err
		}
		if _, err := list.Write(sealed); err != nil {
			return err
		}
	}
	return nil
}

func (d *disk) dataPath(number int64) string {
	return filepath.Join(d.dir, dataFile+strconv.FormatInt(number, 10))
}

// read reads a certificate. It takes the file as a parameter, because the data file may have been replaced since the place was found; the
// old one can still be read.
func (d *disk) read(data *os.File, p place) (store.ServedCertificate, error) {
	sealed := make([]byte, p.length)
	if _, err := data.ReadAt(sealed, p.at); err != nil {
		return store.ServedCertificate{}, fmt.Errorf("read the edge's own copy: %w", err)
	}
	plain, err := d.keys.Unseal(sealed, sealedCertificate(p.serial))
	if err != nil {
		return store.ServedCertificate{}, fmt.Errorf("read the edge's own copy: %w", err)
	}
	return decodeCertificate(plain)
}

// sealedCertificate binds a certificate to its serial number.
func sealedCertificate(serial uint64) string {
	return "edge copy: certificate " + strconv.FormatUint(serial, 16)
}

// add appends a certificate and returns its place; the length is 0 when the disk fails. The certificate survives a crash from the moment
// that a list which points to it is saved.
func (d *disk) add(c store.ServedCertificate) (at int64, length uint32) {
	if !d.writable() {
		return 0, 0
	}
	sealed, err := d.keys.Seal(encodeCertificate(c), sealedCertificate(digest(c.Serial)))
	if err == nil && d.data == nil {
		err = d.begin()
	}
	if err == nil {
		_, err = d.data.WriteAt(sealed, d.end)
	}
	if err != nil { // the next certificate overwrites what was written of it
		d.fail(err)
		return 0, 0
	}
	at = d.end
	d.end += int64(len(sealed))
	return at, uint32(len(sealed)) //nolint:gosec // a chain is some kilobytes
}

// begin starts a new data file. A number is used only once: the list on disk may still point into an older file.
func (d *disk) begin() error {
	number := time.Now().UnixNano()
	data, err := os.OpenFile(d.dataPath(number), os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	d.data, d.number, d.end, d.wasteAt = data, number, 0, d.slack
	return nil
}

func (d *disk) fail(err error) {
	d.broken = true
	d.trouble(err)
}

// erase overwrites certificates in place. That needs no free space, and works even if no list can be written any more.
func (d *disk) erase(places []place) {
	if d.lock == nil || d.data == nil || len(places) == 0 {
		return
	}
	var err error
	for _, p := range places {
		_, failed := d.data.WriteAt(make([]byte, p.length), p.at)
		err = errors.Join(err, failed)
	}
	if err = errors.Join(err, d.data.Sync()); err != nil {
		d.fail(err)
	}
}

// save replaces the list, after the certificates that it points to are on the disk.
func (d *disk) save(names map[string]place) bool {
	err := d.trySave(names)
	if err != nil {
		d.fail(err)
		return false
	}
	d.broken = false
	if d.logged != "" {
		d.logged = ""
		d.log.Info("the edge's own copy is kept again", "folder", d.dir)
	}
	return true
}

func (d *disk) trySave(names map[string]place) error {
	if d.data == nil {
		if err := d.begin(); err != nil {
			return err
		}
	}
	if err := d.data.Sync(); err != nil {
		return err
	}
	write := func(list io.Writer) error { return d.writeParts(list, names) }
	if err := replaceFile(filepath.Join(d.dir, listFile), write); err != nil {
		return err
	}
	d.removeOthers()
	return nil
}

// removeOthers removes the data files that no list points to any more.
func (d *disk) removeOthers() {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return // the next call repeats it
	}
	for _, entry := range entries {
		path := filepath.Join(d.dir, entry.Name())
		if strings.HasPrefix(entry.Name(), dataFile) && path != d.dataPath(d.number) {
			os.Remove(path) //nolint:errcheck // the next call repeats it
		}
	}
}

// replaceFile writes a new file and renames it over the old one: after a crash, one of the two is there, complete.
func replaceFile(path string, write func(io.Writer) error) error {
	next := path + ".new"
	file, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	err = write(file)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(next)) // a full disk needs the space
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	if folder, err := os.Open(filepath.Dir(path)); err == nil { // the file is replaced, even if this fails
		folder.Sync()  //nolint:errcheck // not every file system supports it
		folder.Close() //nolint:errcheck // nothing was written to it
	}
	return nil
}

// used returns the size of the certificates that names point to.
func used(names map[string]place) int64 {
	lengths := map[int64]uint32{} // several names may have one certificate
	for _, p := range names {
		if p.length > 0 {
			lengths[p.at] = p.length
		}
	}
	var sum int64
	for length := range maps.Values(lengths) {
		sum += int64(length)
	}
	return sum
}

// isWasteful reports whether more than half of the data file is unused.
func (d *disk) isWasteful(names map[string]place) bool {
	if d.data == nil || d.end < d.wasteAt {
		return false
	}
	used := used(names)
	d.wasteAt = d.slack + 2*used
	return d.end >= d.wasteAt
}

// compact copies the certificates in use, still sealed, into a new data file. The old file stays until the list is replaced, and whoever
// has it open can read it. When compact fails, nothing has changed.
func (d *disk) compact(names map[string]place) (map[string]place, bool) {
	old := *d
	moved, err := d.move(names)
	if err == nil && d.save(moved) {
		return moved, true
	}
	if err != nil {
		d.fail(err)
	}
	if d.data != old.data {
		d.data.Close()                  //nolint:errcheck // no list points to it
		os.Remove(d.dataPath(d.number)) //nolint:errcheck // the next list that is saved removes it
	}
	d.data, d.number, d.end, d.wasteAt = old.data, old.number, old.end, old.end+d.slack
	return nil, false
}

func (d *disk) move(names map[string]place) (map[string]place, error) {
	from := d.data
	if err := d.begin(); err != nil {
		return nil, err
	}
	moved := make(map[string]place, len(names))
	at := map[int64]int64{}
	for name, p := range names {
		if p.length > 0 {
			if _, ok := at[p.at]; !ok {
				sealed := make([]byte, p.length)
				if _, err := from.ReadAt(sealed, p.at); err != nil {
					return nil, err
				}
				if _, err := d.data.WriteAt(sealed, d.end); err != nil {
					return nil, err
				}
				at[p.at] = d.end
				d.end += int64(p.length)
			}
			p.at = at[p.at]
		}
		moved[name] = p
	}
	d.wasteAt = d.slack + 2*d.end
	return moved, nil
}
