package install

import (
	"errors"
	"fmt"
	"net"
)

// Config lists the edges.
type Config struct {
	// Addresses lists every edge process. A certificate counts as installed when each of them serves it, so one address that is down delays
	// every installation.
	Addresses []string `env:"EDGE_ADDRESSES" envDefault:"127.0.0.1:8443" doc:"host:port of every edge process, separated by commas"`
}

// Validate returns an error for addresses that can't be dialled.
func (c Config) Validate() error {
	if len(c.Addresses) == 0 {
		return errors.New("EDGE_ADDRESSES is empty; it expects host:port of each edge process, separated by commas")
	}
	for _, address := range c.Addresses {
		if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
			return fmt.Errorf("EDGE_ADDRESSES holds %q; it expects host:port of each edge process, separated by commas", address)
		}
	}
	return nil
}
