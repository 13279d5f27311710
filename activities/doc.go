// Package activities holds what the workflows do in the outside world, one struct for each world: DNS, Issuance, Installation,
// Records. Each struct names the ports that it needs; worker/main.go plugs the adapters in. Every activity may run twice:
// its comment says why that is safe. Errors change shape here, in one place (door.go).
package activities
