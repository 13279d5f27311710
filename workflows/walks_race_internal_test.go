//go:build race

package workflows

// walksByDefault is small under the race detector, where a walk takes ten times as long: `make test` also makes all walks without it.
const walksByDefault = 60
