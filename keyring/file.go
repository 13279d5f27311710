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

// fileMode lets the owner alone read the keys; othersMode is every bit that lets anybody else touch them.
const (
	fileMode   fs.FileMode = 0o600
	othersMode fs.FileMode = 0o077
)

// Generate writes a new keyset with one key to path, readable by its owner only. A file that exists is never
// overwritten, because everything sealed by it would be lost; the error then matches fs.ErrExist.
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

// Load reads the keyset at path. A file that others than its owner may read or write is refused.
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

// Rotate adds a new key to the keyset at path and makes it the one that seals. The old keys stay, so that what they
// sealed still opens.
//
// Processes read the file once, at their start. One that started before the rotation can't open what is sealed by the
// new key, so restart the processes that only open (edges) before those that seal (workers).
//
// The new keyset is written beside the old one, as path.new, and renamed over it: a crash leaves either the old file
// or the new one in place, whole. path.new also keeps two rotations apart. A crash may leave it behind; nothing has
// been sealed by its key then, so remove it and rotate again.
func Rotate(path string) error {
	next := path + ".new"
	file, err := create(next)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("rotate keyring: another rotation is under way, or was interrupted: %w", err)
	}
	if err != nil {
		return fmt.Errorf("rotate keyring: %w", err)
	}
	handle, err := withNewPrimary(path) // read after path.new is ours: a rotation just before us is seen
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

// withNewPrimary is the keyset at path with one more key, which seals from then on.
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

// read opens a keyset. The mode is asked of the open file, so that it can't be exchanged in between.
func read(path string) (*keyset.Handle, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // nothing was written to it
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

// write stores a keyset in a file just created, and closes it.
func write(file *os.File, handle *keyset.Handle) error {
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(file)); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := file.Sync(); err != nil {
		return errors.Join(err, file.Close())
	}
	return file.Close()
}

// syncFolder makes a new name survive a power cut.
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
