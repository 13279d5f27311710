package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
)

// portSet holds the port of every listener of the stack by name. They stay the
// same over restarts of a part, and from one `up` to the next where possible.
type portSet map[string]int

// usualPorts are the ones people expect; taken when they are free.
var usualPorts = portSet{"temporal": 7233, "temporal_ui": 8233, "api": 8080}

var portNames = []string{
	"temporal", "temporal_ui", "api", "postgres", "temporal_metrics", "dns", "dns_control",
	"acme", "ca_control", "edge_https", "edge_http", "dcv", "supervisor_control", "dbgate", "db_control", "acme2", "ca2_control",
}

// choosePorts decides on all ports and remembers them in dir/ports.json.
// With onlyFree the usual ports are left alone, so that several stacks and the
// tests can run beside each other. held keeps the others away from the ports for as long as it is open.
func choosePorts(dir string, onlyFree bool) (chosen portSet, held net.Listener, err error) {
	path := filepath.Join(dir, "ports.json")
	remembered := portSet{}
	if data, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(data, &remembered); err != nil {
			return nil, nil, fmt.Errorf("read the remembered ports: %w (delete %s to choose new ones)", err, path)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("read the remembered ports: %w", err)
	}
	block, held, err := claimBlock()
	if err != nil {
		return nil, nil, err
	}
	chosen = portSet{}
	taken := map[int]bool{}
	for _, name := range portNames {
		udp := name == "dns" || name == "dcv"
		usual := usualPorts[name]
		candidates := []int{usual, remembered[name]}
		if onlyFree {
			candidates = candidates[1:]
			taken[usual] = true
		}
		port, err := firstFree(append(candidates, block...), taken, udp)
		if err != nil {
			return nil, nil, fmt.Errorf("find a free port for %s: %w", name, err)
		}
		chosen[name], taken[port] = port, true
	}
	if err := writeJSON(path, chosen); err != nil {
		return nil, nil, fmt.Errorf("remember the ports: %w", err)
	}
	return chosen, held, nil
}

func firstFree(candidates []int, taken map[int]bool, udp bool) (int, error) {
	for _, port := range candidates {
		if port != 0 && !taken[port] && portFree(port, udp) {
			return port, nil
		}
	}
	return 0, errors.New("none of those that this stack may take is free")
}

// All ports lie below the range from which systems take those of outgoing
// connections (32768 and up on Linux, 49152 elsewhere): while a part restarts,
// no client may sit on its port.
const (
	lowestBlock, endOfBlocks = 20000, 32000
	blockSize                = 40 // more than there are portNames
)

// claimBlock returns ports that no other stack takes. A stack listens on its
// ports one by one, seconds after it has chosen them; several that start at the
// same moment and choose at random would meet. So each holds the first port of
// a block, and the others of the block are its own.
func claimBlock() (ports []int, held net.Listener, err error) {
	blocks := rand.Perm((endOfBlocks - lowestBlock) / blockSize)
	for _, n := range blocks {
		first := lowestBlock + n*blockSize
		if held, err = net.Listen("tcp", hostPort(first)); err != nil {
			continue
		}
		for port := first + 1; port < first+blockSize; port++ {
			ports = append(ports, port)
		}
		return ports, held, nil
	}
	return nil, nil, fmt.Errorf("no block of ports between %d and %d is free: %w", lowestBlock, endOfBlocks, err)
}

// randomFreePort picks a port for what listens on it at once.
func randomFreePort(udp bool) (int, error) {
	const lowest, highest, tries = endOfBlocks, 32768, 1000
	for range tries {
		port := lowest + rand.IntN(highest-lowest)
		if portFree(port, udp) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port found between %d and %d in %d tries", lowest, highest, tries)
}

func portFree(port int, udp bool) bool {
	l, err := net.Listen("tcp", hostPort(port))
	if err != nil || l.Close() != nil {
		return false
	}
	if !udp {
		return true
	}
	p, err := net.ListenPacket("udp", hostPort(port))
	return err == nil && p.Close() == nil
}
