//go:build race

package workflows

// walksByDefault is small under the race detector, where a walk takes ten times as long: `make test` makes all of them without it, too.
const walksByDefault = 60
