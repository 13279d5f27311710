package keyring

import "errors"

// Config says where the key-encryption keys are.
type Config struct {
	File string `env:"KEYRING_FILE,required" doc:"keyset that seals private keys, mode 0600, the same in every process; back it up apart from the database, whose keys can't be opened without it"`
}

// Validate names the setting that is wrong. Whether the file can be read is seen by Load.
func (c Config) Validate() error {
	if c.File == "" {
		return errors.New("KEYRING_FILE is empty; it expects the path of a keyset file")
	}
	return nil
}
