// Package keyring seals the secrets that evercert keeps in its database: the private keys of certificates and of ACME accounts. Each secret
// is encrypted with a new data key, and the data key with a key-encryption key from a file outside the database (envelope encryption, by
// Tink). So a copy of the database alone opens nothing.
package keyring

import (
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Keyring seals and unseals. It is safe for concurrent use, and printing or logging it shows no key.
type Keyring struct {
	envelope tink.AEAD
	keys     int
	primary  uint32
}

// newKeyring makes the envelope: AES-256-GCM data keys, encrypted by the keyset's keys.
func newKeyring(handle *keyset.Handle) (*Keyring, error) {
	wrapping, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("not a keyset for authenticated encryption: %w", err)
	}
	info := handle.KeysetInfo()
	return &Keyring{
		envelope: aead.NewKMSEnvelopeAEAD2(aead.AES256GCMKeyTemplate(), wrapping),
		keys:     len(info.GetKeyInfo()),
		primary:  info.GetPrimaryKeyId(),
	}, nil
}

// Seal encrypts a secret with the primary key. The result can be stored anywhere. id names the secret and is bound to it as associated
// data, so a sealed secret that was copied to another row does not open.
func (k *Keyring) Seal(plaintext []byte, id string) ([]byte, error) {
	sealed, err := k.envelope.Encrypt(plaintext, []byte(id))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", id, err)
	}
	return sealed, nil
}

// Unseal returns the secret that was sealed under id by any key in the keyring. It fails when the sealed bytes were changed, belong to
// another id, or were sealed by a key that is not in the file.
func (k *Keyring) Unseal(sealed []byte, id string) ([]byte, error) {
	plaintext, err := k.envelope.Decrypt(sealed, []byte(id))
	if err != nil {
		return nil, fmt.Errorf("unseal %s: %w", id, err)
	}
	return plaintext, nil
}

// Format prints the number of keys and the id of the sealing key, for every verb: %+v and %#v would print the keys otherwise. The receiver
// is a value, so that a Keyring that is not a pointer is safe too.
func (k Keyring) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "keyring (keys: %d, sealing with %d)", k.keys, k.primary)
}
