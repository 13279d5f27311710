//go:build !race

package workflows

// walksByDefault is the number of random walks when the flag does not set it.
const walksByDefault = 1000
