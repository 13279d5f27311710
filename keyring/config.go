package keyring

import "errors"

// Config names the file of the key-encryption keys.
type Config struct {
	// File must be the same in every process. Back it up separately from the database: without it the keys in the database can't be opened.
	File string `env:"KEYRING_FILE,required" doc:"file of the keyset that seals private keys, mode 0600"`
}

// Validate returns an error that names the wrong setting. It does not read the file; Load does.
func (c Config) Validate() error {
	if c.File == "" {
		return errors.New("KEYRING_FILE is empty; it expects the path of a keyset file")
	}
	return nil
}
