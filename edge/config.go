package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/evercert/evercert/config"
	"github.com/evercert/evercert/dcv"
	"github.com/evercert/evercert/keyring"
	"github.com/evercert/evercert/store"
)

// Config is what an edge process reads from its environment.
type Config struct {
	config.Logging
	Store   store.Config
	Keyring keyring.Config
	DCV     dcv.Config // DCV_LISTEN makes this process a name server of the validation zone

	HTTPSListen string `env:"EDGE_HTTPS_LISTEN" envDefault:":8443" doc:"address to listen on for HTTPS"`
	// HTTPListen serves the answers to the CA, redirects and the health check.
	HTTPListen string `env:"EDGE_HTTP_LISTEN" envDefault:":8080" doc:"address to listen on for plain HTTP"`
	// Upstream is the platform that requests are forwarded to. When it is empty, a built-in page answers.
	Upstream string `env:"EDGE_UPSTREAM" doc:"URL of the platform, such as http://shops.internal:3000; empty: a built-in page"`
	// PublicHTTPSPort is used in redirects.
	PublicHTTPSPort int `env:"EDGE_PUBLIC_HTTPS_PORT" envDefault:"443" doc:"port on which visitors reach EDGE_HTTPS_LISTEN"`
	// CacheSize: a certificate needs about 5 kB of memory. One that is not in memory is read from CopyDir, or from the database.
	CacheSize int `env:"EDGE_CACHE_SIZE" envDefault:"10000" doc:"certificates kept in memory"`
	// CopyDir holds this edge's own sealed copy of what it serves. From it the edge serves when it starts while the database is down. A
	// certificate needs about 4 kB. Each edge needs its own folder.
	CopyDir string `env:"EDGE_COPY_DIR" envDefault:"/var/lib/evercert/edge" doc:"folder of this edge's sealed copy; none: no copy is kept"`
}

// Validate names each variable that is wrong and what it expects.
func (c Config) Validate() error {
	_, upstreamError := c.upstream()
	errs := []error{upstreamError, checkListen("EDGE_HTTPS_LISTEN", c.HTTPSListen), checkListen("EDGE_HTTP_LISTEN", c.HTTPListen)}
	if c.PublicHTTPSPort < 1 || c.PublicHTTPSPort > 65535 {
		errs = append(errs, fmt.Errorf("EDGE_PUBLIC_HTTPS_PORT is %d; it expects a port from 1 to 65535", c.PublicHTTPSPort))
	}
	if c.CacheSize < 1 {
		errs = append(errs, fmt.Errorf("EDGE_CACHE_SIZE is %d; it expects at least 1", c.CacheSize))
	}
	return errors.Join(errs...)
}

// noCopy is the value of EDGE_COPY_DIR that switches the copy off.
const noCopy = "none"

// copyFolder returns the folder of the copy; empty when it is switched off.
func (c Config) copyFolder() string {
	if c.CopyDir == noCopy {
		return ""
	}
	return c.CopyDir
}

// upstream returns the parsed EDGE_UPSTREAM; nil for the built-in page.
func (c Config) upstream() (*url.URL, error) {
	if c.Upstream == "" {
		return nil, nil
	}
	u, err := url.Parse(c.Upstream)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New(
			"EDGE_UPSTREAM is not such a URL; it expects http://host:port or https://host:port, " +
				"optionally with a path, without user, query and " +
				"fragment",
		)
	}
	return u, nil
}

func checkListen(variable, address string) error {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return fmt.Errorf("%s is %q; it expects host:port, or :port for all addresses", variable, address)
	}
	return nil
}
