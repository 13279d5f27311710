package install

import (
	"errors"
	"fmt"
	"net"
)

// Config says where the edges are.
type Config struct {
	Addresses []string `env:"EDGE_ADDRESSES" envDefault:"127.0.0.1:8443" doc:"host:port of every edge process, separated by commas; an installation counts when each of them serves the certificate, so an address that is down holds back all"`
}

// Validate reports addresses that can't be dialled.
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
