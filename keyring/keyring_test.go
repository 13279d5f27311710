package keyring_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/keyring"
)

func generate(t *testing.T) (path string, ring *keyring.Keyring) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "keyring.json")
	require.NoError(t, keyring.Generate(path))
	return path, load(t, path)
}

func load(t *testing.T, path string) *keyring.Keyring {
	t.Helper()
	ring, err := keyring.Load(path)
	require.NoError(t, err)
	return ring
}

func TestWhatIsSealedOpensAgain(t *testing.T) {
	t.Parallel()
	path, ring := generate(t)
	for _, secret := range [][]byte{[]byte("a private key"), {}, bytes.Repeat([]byte{0x42}, 1<<16)} {
		sealed, err := ring.Seal(secret, "key-1")
		require.NoError(t, err)
		for _, opener := range []*keyring.Keyring{ring, load(t, path)} { // a second Keyring, as after a restart
			opened, err := opener.Unseal(sealed, "key-1")
			require.NoError(t, err)
			require.Equal(t, string(secret), string(opened))
		}
	}
}

func TestSealedBytesHideTheSecretAndDifferEachTime(t *testing.T) {
	t.Parallel()
	_, ring := generate(t)
	secret := []byte("-----BEGIN EC PRIVATE KEY-----")
	first, err := ring.Seal(secret, "key-1")
	require.NoError(t, err)
	second, err := ring.Seal(secret, "key-1")
	require.NoError(t, err)
	require.NotContains(t, string(first), "PRIVATE KEY")
	require.NotEqual(t, first, second, "each secret has a data key of its own")
}

func TestSealedUnderOneIDDoesNotOpenUnderAnother(t *testing.T) {
	t.Parallel()
	_, ring := generate(t)
	sealed, err := ring.Seal([]byte("secret"), "key-1")
	require.NoError(t, err)
	_, err = ring.Unseal(sealed, "key-2")
	require.ErrorContains(t, err, "unseal key-2")
}

func TestTamperedBytesDoNotOpen(t *testing.T) {
	t.Parallel()
	_, ring := generate(t)
	sealed, err := ring.Seal([]byte("secret"), "key-1")
	require.NoError(t, err)
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		_, err := ring.Unseal(changed, "key-1")
		require.Errorf(t, err, "byte %d of %d changed", i, len(sealed))
	}
	for cut := range sealed {
		_, err := ring.Unseal(sealed[:cut], "key-1")
		require.Errorf(t, err, "cut after %d bytes", cut)
	}
}

func TestAnotherKeyringDoesNotOpen(t *testing.T) {
	t.Parallel()
	_, ring := generate(t)
	_, foreign := generate(t)
	sealed, err := ring.Seal([]byte("secret"), "key-1")
	require.NoError(t, err)
	_, err = foreign.Unseal(sealed, "key-1")
	require.Error(t, err)
}

func TestRotatedKeyringOpensOldAndSealsWithTheNewKey(t *testing.T) {
	t.Parallel()
	path, before := generate(t)
	old, err := before.Seal([]byte("old"), "key-1")
	require.NoError(t, err)

	require.NoError(t, keyring.Rotate(path))
	after := load(t, path)
	opened, err := after.Unseal(old, "key-1")
	require.NoError(t, err)
	require.Equal(t, "old", string(opened))

	fresh, err := after.Seal([]byte("new"), "key-2")
	require.NoError(t, err)
	_, err = before.Unseal(fresh, "key-2")
	require.Error(t, err, "the old keyring lacks the key that sealed this")

	require.NoError(t, keyring.Rotate(path))
	for id, sealed := range map[string][]byte{"key-1": old, "key-2": fresh} {
		_, err := load(t, path).Unseal(sealed, id)
		require.NoErrorf(t, err, "%s after the second rotation", id)
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
}

// Each rotation that reports success must leave its key in the file; otherwise what that key sealed would be lost.
func TestRotationsAtOnceLoseNoKey(t *testing.T) {
	t.Parallel()
	path, _ := generate(t)
	const rotations = 16
	var wg sync.WaitGroup
	errs := make([]error, rotations)
	for i := range rotations {
		wg.Go(func() { errs[i] = keyring.Rotate(path) })
	}
	wg.Wait()
	keys := 1
	for _, err := range errs {
		if err == nil {
			keys++
			continue
		}
		require.ErrorIs(t, err, fs.ErrExist)
	}
	require.Greater(t, keys, 1)
	require.Len(t, keysIn(t, path), keys)
	require.NoFileExists(t, path+".new")
}

func TestInterruptedRotationIsToldAndChangesNothing(t *testing.T) {
	t.Parallel()
	path, _ := generate(t)
	require.NoError(t, os.WriteFile(path+".new", nil, 0o600))
	err := keyring.Rotate(path)
	require.ErrorIs(t, err, fs.ErrExist)
	require.ErrorContains(t, err, path+".new")
	require.Len(t, keysIn(t, path), 1)
}

func TestGenerateNeverOverwrites(t *testing.T) {
	t.Parallel()
	path, ring := generate(t)
	sealed, err := ring.Seal([]byte("secret"), "key-1")
	require.NoError(t, err)
	require.ErrorIs(t, keyring.Generate(path), fs.ErrExist)
	_, err = load(t, path).Unseal(sealed, "key-1")
	require.NoError(t, err)
}

func TestFileThatOthersCanReachIsRefused(t *testing.T) {
	t.Parallel()
	path, _ := generate(t)
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o644, 0o620, 0o602, 0o601} {
		require.NoError(t, os.Chmod(path, mode))
		_, err := keyring.Load(path)
		require.ErrorContainsf(t, err, fmt.Sprintf("%#o", mode), "mode %#o", mode)
		require.ErrorContains(t, err, "chmod 0600 "+path)
		require.Error(t, keyring.Rotate(path))
		require.NoFileExists(t, path+".new")
	}
	require.NoError(t, os.Chmod(path, 0o400))
	load(t, path)
}

func TestBadFilesAreToldApart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keyring.json")
	_, err := keyring.Load(path)
	require.ErrorIs(t, err, fs.ErrNotExist)
	for _, content := range []string{"", "{}", "no json", `{"primaryKeyId":1,"key":[]}`} {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, err := keyring.Load(path)
		require.ErrorContainsf(t, err, "holds no Tink keyset", "content %q", content)
	}
}

func TestNothingPrintsAKey(t *testing.T) {
	t.Parallel()
	path, ring := generate(t)
	sealed, err := ring.Seal([]byte("secret"), "key-1")
	require.NoError(t, err)
	_, wrongID := ring.Unseal(sealed, "key-2")
	require.Error(t, wrongID)
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	broken := filepath.Join(t.TempDir(), "broken.json")
	require.NoError(t, os.WriteFile(broken, bytes.Replace(raw, []byte("AesGcmKey"), []byte("NoSuchKey"), 1), 0o600))
	_, unreadable := keyring.Load(broken)
	require.Error(t, unreadable)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("started", "keyring", ring, "value", *ring)
	slog.New(slog.NewTextHandler(&log, nil)).Info("started", "keyring", ring, "value", *ring)

	printed := log.String() + wrongID.Error() + unreadable.Error()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		printed += fmt.Sprintf(verb, ring) + fmt.Sprintf(verb, *ring)
	}
	require.Contains(t, printed, "keyring (keys: 1, sealing with ")
	for _, key := range keysIn(t, path) {
		value, err := base64.StdEncoding.DecodeString(key)
		require.NoError(t, err)
		secret := value[len(value)-32:] // the last field of an AesGcmKey message
		for _, form := range []string{key, string(secret), fmt.Sprintf("%x", secret), fmt.Sprintf("%v", secret), base64.StdEncoding.EncodeToString(secret)} {
			require.NotContains(t, printed, form)
		}
	}
}

// keysIn returns the values of the keys in the file.
func keysIn(t *testing.T, path string) []string {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var file struct {
		Key []struct {
			KeyData struct{ Value string }
		}
	}
	require.NoError(t, json.Unmarshal(raw, &file))
	var values []string
	for _, k := range file.Key {
		values = append(values, k.KeyData.Value)
	}
	return values
}

func TestConfigNamesTheSettingThatIsMissing(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, keyring.Config{}.Validate(), "KEYRING_FILE")
	require.NoError(t, keyring.Config{File: "keyring.json"}.Validate())
}
