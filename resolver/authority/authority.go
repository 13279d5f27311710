package authority

import (
	"math/rand/v2"
	"net/netip"
	"sync"
)

// NewTree returns a Tree that knows the root servers only.
func NewTree(config Config) *Tree {
	config = config.withDefaults()
	t := &Tree{
		config: config, client: client{timeout: config.QueryTimeout, slots: config.Slots, plain: new(sync.Map)}, seed: rand.Uint32(),
		cuts: map[string]*cut{}, places: map[string]place{}, hosts: map[string]host{}, zones: map[*cut]*Zone{},
		answered: map[netip.AddrPort]bool{}, silent: map[netip.AddrPort]error{},
	}
	t.candidates = t.nameServers
	t.root = &cut{name: ".", registry: true}
	for _, address := range config.Roots {
		if root, err := netip.ParseAddrPort(address); err == nil {
			t.root.fixed = append(t.root.fixed, Server{Address: root})
		}
	}
	rotate(t.root.fixed, t.seed)
	t.cuts["."] = t.root
	return t
}
