//go:build !race

package main

// requestsByDefault is how many random requests are sent where nobody says otherwise.
const requestsByDefault = 20_000
