package store

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/evercert/evercert/config"
)

// defaultMaxConns is the envDefault of Config.MaxConns, for stores that are opened without a Config.
const defaultMaxConns = 20

// Config says where the database is.
type Config struct {
	// URL needs PostgreSQL 15 or later. The first process that starts creates and migrates the tables.
	URL config.Secret `env:"DATABASE_URL,notEmpty" doc:"postgres://user:password@host:5432/database?sslmode=verify-full"`

	// MaxConns also limits the orders that are placed at once: each holds a connection while the CA answers newOrder, and orders may use half
	// of the pool. Each connection costs the server some megabytes. ListenServed uses one connection more.
	MaxConns int `env:"DATABASE_MAX_CONNS" envDefault:"20" doc:"most connections to PostgreSQL of this process"`
}

// Validate returns an error that names the wrong setting and the expected value.
func (c Config) Validate() error {
	var errs []error
	if u, err := url.Parse(string(c.URL)); err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") || len(u.Path) < 2 {
		errs = append(
			errs,
			errors.New("DATABASE_URL expects postgres://user:password@host:5432/database; its value is not shown because it may hold a password"),
		)
	}
	if c.MaxConns < 2 || c.MaxConns > 1000 {
		errs = append(errs, fmt.Errorf("DATABASE_MAX_CONNS is %d; it expects a number from 2 to 1000", c.MaxConns))
	}
	return errors.Join(errs...)
}
