package store

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/evercert/evercert/config"
)

// defaultMaxConns is the envDefault of Config.MaxConns, for those who open a store without a Config.
const defaultMaxConns = 20

// Config says where the database is.
type Config struct {
	URL config.Secret `env:"DATABASE_URL,notEmpty" doc:"PostgreSQL 15 or later, as postgres://user:password@host:5432/database?sslmode=verify-full; the tables are made and migrated at the start"`

	// MaxConns limits the orders that are placed at once, too: each holds a connection while the CA answers newOrder,
	// and half of the pool is kept for everything else. ListenServed uses one connection more.
	MaxConns int `env:"DATABASE_MAX_CONNS" envDefault:"20" doc:"connections to PostgreSQL that this process keeps open at most; half of them can be held by orders that a CA is answering, so more let more orders be placed at once, and cost the server some megabytes each"`
}

// Validate names the setting that is wrong and what it expects.
func (c Config) Validate() error {
	var errs []error
	if u, err := url.Parse(string(c.URL)); err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") || len(u.Path) < 2 {
		errs = append(errs, errors.New("DATABASE_URL expects postgres://user:password@host:5432/database; its value is not shown because it may hold a password"))
	}
	if c.MaxConns < 2 || c.MaxConns > 1000 {
		errs = append(errs, fmt.Errorf("DATABASE_MAX_CONNS is %d; it expects a number from 2 to 1000", c.MaxConns))
	}
	return errors.Join(errs...)
}
