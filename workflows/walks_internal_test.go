//go:build !race

package workflows

// walksByDefault is how many random walks are made where nobody says a number.
const walksByDefault = 1000
