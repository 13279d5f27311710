// Package activities holds what the workflows do outside of Temporal, one struct for each part of the outside: DNS, Issuance, Installation,
// Records, Caretaker. Each struct declares the ports that it needs, and worker/main.go connects them with the adapters. Every activity may
// run twice; its comment says why that is safe. All errors are converted for Temporal in one place (door.go).
package activities
