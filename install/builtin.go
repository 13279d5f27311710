// Package install puts a certificate on an edge and proves that it is served.
package install

import (
	"context"
	"fmt"
)

// Serving is where the built-in edge reads which names are served with which certificate: the store.
type Serving interface {
	// Install serves the names with the certificate from now on. The same serial again changes nothing.
	Install(ctx context.Context, names []string, serial string) error
	// Retire ends serving the names.
	Retire(ctx context.Context, names []string) error
}

// Builtin is the edge that comes with evercert. It takes certificates from the database at the moment they are asked for, and
// is told of each change: installing is one transaction, whatever the number of edge processes.
type Builtin struct{ Serving Serving }

// Install serves the names with the certificate of this serial from now on.
func (b Builtin) Install(ctx context.Context, names []string, serial string) error {
	if err := b.Serving.Install(ctx, names, serial); err != nil {
		return fmt.Errorf("install certificate %s: %w", serial, err)
	}
	return nil
}

// Retire ends serving the names: their visitors get the TLS alert unrecognized_name.
func (b Builtin) Retire(ctx context.Context, names []string) error {
	if err := b.Serving.Retire(ctx, names); err != nil {
		return fmt.Errorf("retire %d names: %w", len(names), err)
	}
	return nil
}
