//go:build race

package main

// requestsByDefault is small under the race detector, where a request takes five times as long: `make test` sends all of them without it,
// too.
const requestsByDefault = 1000
