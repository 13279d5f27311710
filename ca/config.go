package ca

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strings"
	"time"

	"github.com/evercert/evercert/config"
)

// Config is one CA with evercert's account there. The default budgets are those of Let's Encrypt's production
// (letsencrypt.org/docs/rate-limits, 2026-08-05); for another CA, or a raised limit, set other figures.
type Config struct {
	Directory string `env:"ACME_DIRECTORY,notEmpty" doc:"https address of the CA's ACME directory"`
	// RootPEM is for private and test CAs. Its certificates are trusted in addition to the system's.
	RootPEM string `env:"ACME_ROOT_PEM" doc:"file of PEM certificates trusted for the CA's own HTTPS"`
	// Contact: few CAs still send notices to it.
	Contact string `env:"ACME_CONTACT" doc:"e-mail address given to the CA at registration"`
	// Profile: when it is empty, the CA chooses, and may choose another one later.
	Profile       string        `env:"ACME_PROFILE" doc:"certificate profile to order, such as classic or shortlived; empty: the CA's choice"`
	EABKeyID      string        `env:"ACME_EAB_KID" doc:"key identifier of the external account binding, for CAs that demand one"`
	EABKey        config.Secret `env:"ACME_EAB_HMAC" doc:"key of the external account binding, base64url as the CA shows it"`
	Name          string        `env:"ACME_NAME" doc:"the CA's name for people; empty: the host of the directory"`
	CAAIdentities []string      `env:"ACME_CAA_IDENTITIES" doc:"issuer domain names of this CA in CAA records; empty: the directory's"`
	Timeout       time.Duration `env:"ACME_TIMEOUT" envDefault:"30s" doc:"longest time for one request, its nonce and retries included"`

	OrdersPer3Hours     int `env:"ACME_ORDERS_PER_3H" envDefault:"300" doc:"new orders of the account; 0 is no limit"`
	OrdersPerDomainWeek int `env:"ACME_ORDERS_PER_DOMAIN_WEEK" envDefault:"50" doc:"orders that hold names of one registered domain; 0 is no limit"`
	OrdersPerSetWeek    int `env:"ACME_ORDERS_PER_SET_WEEK" envDefault:"5" doc:"orders for exactly the same names; 0 is no limit"`
	FailuresPerNameHour int `env:"ACME_FAILURES_PER_NAME_HOUR" envDefault:"5" doc:"failed validations of one name; 0 is no limit"`
}

// CheckList reports CAs that cannot be told apart: by their names, which people read, or by their directories, by which orders are kept.
func CheckList(list []Config) error {
	var problems []error
	for i, c := range list {
		for n, other := range list[:i] {
			if strings.EqualFold(c.DisplayName(), other.DisplayName()) {
				problems = append(
					problems,
					fmt.Errorf("%s is %q, as that of CA %d; it expects a name of its own", variable("ACME_NAME", i+1), c.DisplayName(), n+1),
				)
			}
			if c.Directory == other.Directory {
				problems = append(problems, fmt.Errorf("%s is the directory of CA %d; it expects another CA's", variable("ACME_DIRECTORY", i+1), n+1))
			}
		}
	}
	return errors.Join(problems...)
}

// variable is the name of a setting of the nth CA: ACME_NAME, ACME_2_NAME, ….
func variable(name string, n int) string {
	if n == 1 {
		return name
	}
	return fmt.Sprintf("ACME_%d_%s", n, strings.TrimPrefix(name, "ACME_"))
}

// Validate returns an error for every setting that can't work, and names its variable.
func (c Config) Validate() error {
	var problems []error
	complain := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if u, err := url.Parse(c.Directory); err != nil || u.Scheme != "https" || u.Host == "" {
		complain("ACME_DIRECTORY is %q; it expects an https address such as https://acme-v02.api.letsencrypt.org/directory", c.Directory)
	}
	if c.Contact != "" {
		if _, err := mail.ParseAddress(strings.TrimPrefix(c.Contact, "mailto:")); err != nil {
			complain("ACME_CONTACT is %q; it expects an e-mail address", c.Contact)
		}
	}
	if (c.EABKeyID == "") != (c.EABKey == "") {
		complain("ACME_EAB_KID and ACME_EAB_HMAC belong together; one of them is empty")
	}
	const shortest = 32 // bytes, for HMAC-SHA256 (RFC 7518 §3.2)
	if key, err := base64.RawURLEncoding.DecodeString(
		strings.TrimRight(string(c.EABKey), "="),
	); c.EABKey != "" &&
		(err != nil || len(key) < shortest) {
		complain("ACME_EAB_HMAC expects base64url of at least %d bytes; its value is not shown because it is a secret", shortest)
	}
	if c.Timeout < time.Second {
		complain("ACME_TIMEOUT is %s; it expects at least 1s", c.Timeout)
	}
	for _, budget := range []struct {
		variable string
		value    int
	}{
		{"ACME_ORDERS_PER_3H", c.OrdersPer3Hours},
		{"ACME_ORDERS_PER_DOMAIN_WEEK", c.OrdersPerDomainWeek},
		{"ACME_ORDERS_PER_SET_WEEK", c.OrdersPerSetWeek},
		{"ACME_FAILURES_PER_NAME_HOUR", c.FailuresPerNameHour},
	} {
		if budget.value < 0 {
			complain("%s is %d; it expects 0 for no limit, or a number above it", budget.variable, budget.value)
		}
	}
	return errors.Join(problems...)
}

// DisplayName is what people call the CA: ACME_NAME, or the host of its directory.
func (c Config) DisplayName() string {
	if c.Name != "" {
		return c.Name
	}
	u, err := url.Parse(c.Directory)
	if err != nil {
		return c.Directory
	}
	return u.Hostname()
}

// contacts returns the contact addresses in ACME's format (RFC 8555 §7.3).
func (c Config) contacts() []string {
	if c.Contact == "" {
		return nil
	}
	return []string{"mailto:" + strings.TrimPrefix(c.Contact, "mailto:")}
}
