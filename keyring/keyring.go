// Package keyring seals the secrets that evercert keeps in its database: the private keys of certificates and of ACME
// accounts. Each secret is encrypted with a fresh data key, and the data key with a key-encryption key that stands in
// a file outside the database (envelope encryption, by Tink). A copy of the database alone therefore opens nothing.
package keyring

import (
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Keyring seals and unseals. It is safe for concurrent use and shows no key when it is printed or logged.
type Keyring struct {
	envelope tink.AEAD
	keys     int
	primary  uint32
}

// newKeyring makes the envelope: AES-256-GCM data keys, wrapped by the keyset's keys.
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

// Seal encrypts a secret with the primary key. What comes back can be stored anywhere. id names the secret; it is
// bound to it as associated data, so that a sealed secret put in another's row does not open.
func (k *Keyring) Seal(plaintext []byte, id string) ([]byte, error) {
	sealed, err := k.envelope.Encrypt(plaintext, []byte(id))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", id, err)
	}
	return sealed, nil
}

// Unseal returns the secret that was sealed under id by any key that the keyring still holds. It fails when the sealed
// bytes were changed, belong to another id, or were sealed by a key that is not in the file.
func (k *Keyring) Unseal(sealed []byte, id string) ([]byte, error) {
	plaintext, err := k.envelope.Decrypt(sealed, []byte(id))
	if err != nil {
		return nil, fmt.Errorf("unseal %s: %w", id, err)
	}
	return plaintext, nil
}

// Format prints how many keys there are and which one seals, whatever the verb: %+v and %#v would otherwise walk
// towards the keys themselves. Its receiver is a value, so that a Keyring behind no pointer is covered too.
func (k Keyring) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "keyring (keys: %d, sealing with %d)", k.keys, k.primary)
}
