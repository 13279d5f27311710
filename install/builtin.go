// Package install puts a certificate on an edge and proves that it is served.
package install

import (
	"context"
	"fmt"
)

// Serving stores which names the built-in edges serve, and with which certificate. Its errors are those of the database.
type Serving interface {
	// Install serves the names with the certificate from now on. A second call with the same serial changes nothing.
	Install(ctx context.Context, names []string, serial string) error
	// Retire stops serving the names. Names that are not served are ignored.
	Retire(ctx context.Context, names []string) error
}

// Builtin is the edge that comes with evercert. Edge processes read certificates from the database when a client asks for a name, and
// PostgreSQL notifies them of changes. So installing is one transaction, whatever the number of edge processes.
type Builtin struct{ Serving Serving }

// Install serves the names with the certificate of this serial from now on.
func (b Builtin) Install(ctx context.Context, names []string, serial string) error {
	if err := b.Serving.Install(ctx, names, serial); err != nil {
		return fmt.Errorf("install certificate %s: %w", serial, err)
	}
	return nil
}

// Retire stops serving the names: visitors get the TLS alert unrecognized_name.
func (b Builtin) Retire(ctx context.Context, names []string) error {
	if err := b.Serving.Retire(ctx, names); err != nil {
		return fmt.Errorf("retire %d names: %w", len(names), err)
	}
	return nil
}
