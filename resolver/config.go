package resolver

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// Config says whom to ask and for how long.
type Config struct {
	Resolvers        []string      `env:"DNS_RESOLVERS" envDefault:"1.1.1.1:53,8.8.8.8:53,9.9.9.9:53" doc:"recursive resolvers as host:port, all asked at once; validating ones (DNSSEC), as CAs use. More of them see slow propagation better and cost more queries"`
	QueryTimeout     time.Duration `env:"DNS_TIMEOUT" envDefault:"2s" doc:"for one query, with its repetition and TCP; a resolver that is slower counts as not having answered"`
	CheckTimeout     time.Duration `env:"DNS_CHECK_TIMEOUT" envDefault:"5s" doc:"for the whole check of one domain; what has not been answered by then is unknown"`
	RequireOwnership bool          `env:"REQUIRE_OWNERSHIP" envDefault:"true" doc:"whether the ownership TXT record must be there before a certificate is ordered; without it whoever connects a name first may have it"`
}

// Validate names the variable that is wrong and what it expects.
func (c Config) Validate() error {
	var faults []error
	if len(c.Resolvers) == 0 {
		faults = append(faults, errors.New("DNS_RESOLVERS is empty; it expects addresses such as 1.1.1.1:53,8.8.8.8:53"))
	}
	for _, address := range c.Resolvers {
		if !isHostPort(address) {
			faults = append(faults, fmt.Errorf("DNS_RESOLVERS has %q; it expects host:port, such as 1.1.1.1:53 or [2606:4700:4700::1111]:53", address))
		}
	}
	if c.QueryTimeout <= 0 {
		faults = append(faults, fmt.Errorf("DNS_TIMEOUT is %s; it expects more than nothing, such as 2s", c.QueryTimeout))
	}
	if c.CheckTimeout < c.QueryTimeout {
		faults = append(faults, fmt.Errorf("DNS_CHECK_TIMEOUT is %s; it expects at least DNS_TIMEOUT, which is %s", c.CheckTimeout, c.QueryTimeout))
	}
	return errors.Join(faults...)
}

func isHostPort(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}
