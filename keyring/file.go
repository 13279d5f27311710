package keyring

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// fileMode lets only the owner read the keys; othersMode has the bits that give anyone else access.
const (
	fileMode   fs.FileMode = 0o600
	othersMode fs.FileMode = 0o077
)

// Generate writes a new keyset with one key to path, readable by its owner only. It never overwrites a file, because everything sealed by
// that file would be lost; the error then matches fs.ErrExist.
func Generate(path string) error {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return fmt.Errorf("generate keyring: make a key: %w", err)
	}
	file, err := create(path)
	if err != nil {
		return fmt.Errorf("generate keyring: %w", err)
	}
	if err := write(file, handle); err != nil {
		return fmt.Errorf("generate keyring: %w", errors.Join(err, os.Remove(path)))
	}
	if err := syncFolder(path); err != nil {
		return fmt.Errorf("generate keyring: %w", err)
	}
	return nil
}

// Load reads the keyset at path. It refuses a file that others than its owner may read or write.
func Load(path string) (*Keyring, error) {
	handle, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("load keyring: %w", err)
	}
	ring, err := newKeyring(handle)
	if err != nil {
		return nil, fmt.Errorf("load keyring: %s: %w", path, err)
	}
	return ring, nil
}

// Rotate adds a new key to the keyset at path and makes it the sealing key. The old keys stay, so that what they sealed can still be
// opened.
//
//	Processes read the file once, when they start. A process that started before the rotation can't open what the new key seals. So restart
//	the processes that only open (edges) before those that seal (workers).
//
//	The new keyset is written to path.new, which is then renamed to path: after a crash, path holds either the old keyset or the new one,
//	whole. path.new also prevents two rotations at once. A crash may leave path.new behind. Its key has sealed nothing yet, so remove the
//	file and rotate again.
func Rotate(path string) error {
	next := path + ".new"
	file, err := create(next)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("rotate keyring: another rotation is under way, or was interrupted: %w", err)
	}
	if err != nil {
		return fmt.Errorf("rotate keyring: %w", err)
	}
	handle, err := withNewPrimary(path) // read after path.new is created: no other rotation can run now
	if err != nil {
		return fmt.Errorf("rotate keyring: %w", errors.Join(err, file.Close(), os.Remove(next)))
	}
	if err := write(file, handle); err != nil {
		return fmt.Errorf("rotate keyring: %w", errors.Join(err, os.Remove(next)))
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("rotate keyring: %w", errors.Join(err, os.Remove(next)))
	}
	if err := syncFolder(path); err != nil {
		return fmt.Errorf("rotate keyring: %w", err)
	}
	return nil
}

// withNewPrimary returns the keyset at path with one more key, which becomes the sealing key.
func withNewPrimary(path string) (*keyset.Handle, error) {
	handle, err := read(path)
	if err != nil {
		return nil, err
	}
	manager := keyset.NewManagerFromHandle(handle)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	if err := manager.SetPrimary(id); err != nil {
		return nil, fmt.Errorf("make key %d the primary: %w", id, err)
	}
	return manager.Handle()
}

// read opens a keyset. It checks the mode of the open file, so that the file can't be exchanged in between.
func read(path string) (*keyset.Handle, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&othersMode != 0 {
		return nil, fmt.Errorf("%s has mode %#o, so that others than its owner can reach the keys: run chmod %#o %s", path, mode, fileMode, path)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(file))
	if err != nil {
		return nil, fmt.Errorf("%s holds no Tink keyset in JSON: %w", path, err)
	}
	return handle, nil
}

func create(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
}

// write stores a keyset in a new file and closes it.
func write(file *os.File, handle *keyset.Handle) error {
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(file)); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := file.Sync(); err != nil {
		return errors.Join(err, file.Close())
	}
	return file.Close()
}

// syncFolder makes a new file name survive a power failure.
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
