package dcv

import (
	"context"
	"encoding/binary"
	"hash/maphash"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// rateBurst is how long a network may save up answers that it did not ask for.
	rateBurst = time.Second
	// The networks that share a limit: a site's worth of addresses, all of which one sender can forge as well as one.
	ratePrefix4, ratePrefix6 = 24, 56
	// rateSets times rateWays networks are remembered, in 1.6 MB.
	rateSets, rateWays = 8192, 8
	// rateTellEvery keeps an attack from filling the log as well.
	rateTellEvery = time.Minute
)

// rateLimit bounds the answers by UDP to one network, so that nobody floods others with them by forging their address. The
// scheme is that of BIND's and NSD's response rate limiting (BIND 9 ARM "rate-limit", whose default prefixes these are;
// NSD rrl.c, whose default of 200 answers a second DCV_RATE_LIMIT has), but without their kinds of answers: a CA asks this zone
// for one kind, and none of its answers by UDP is longer than 1232 octets.
//
// Beyond the limit every answer goes out truncated, as Knot DNS does it by default (slip 1). A truncated one is as long as its question,
// so nothing is amplified, and an honest resolver, in whose name somebody else is asking, comes by TCP at once, where addresses can't be
// forged. One that gets no answer waits and asks again, and meanwhile somebody may forge the answer that it waits for (CVE-2013-5661).
//
// Each network has a token bucket, told by one instant: when it is full again. The table never grows. A network that finds no
// room replaces the one whose bucket is fullest, since forgetting that one forgets least: a sender of many forged addresses
// pushes out its own kind and can't free a network that is being limited.
type rateLimit struct {
	interval time.Duration // in which a bucket gets one token
	exempt   networks
	now      func() time.Duration // since some start
	seed     maphash.Seed         // so that nobody can choose networks that meet in one set
	sets     []rateSet

	log     *slog.Logger
	limited atomic.Uint64 // since the log was told
	tellAt  atomic.Int64  // no earlier, by now
}

type rateSet struct {
	mu      sync.Mutex
	buckets [rateWays]rateBucket
}

type rateBucket struct {
	network uint64 // 0: free
	fullAt  time.Duration
}

// rateVerdict is what happens to an answer.
type rateVerdict int

const (
	sendWhole rateVerdict = iota
	sendTruncated
)

// newRateLimit returns nil when there is no limit.
func newRateLimit(c Config, log *slog.Logger) *rateLimit {
	if c.RateLimit == 0 {
		return nil
	}
	start := time.Now()
	return &rateLimit{
		interval: time.Second / time.Duration(c.RateLimit), exempt: c.rateExempt(), seed: maphash.MakeSeed(), sets: make([]rateSet, rateSets),
		now: func() time.Duration { return time.Since(start) }, log: log,
	}
}

// take takes one answer from the allowance of the asker's network.
func (l *rateLimit) take(ctx context.Context, asker net.Addr) rateVerdict {
	address, ok := addressOf(asker)
	if _, udp := asker.(*net.UDPAddr); l == nil || !udp || !ok || l.exempt.contain(address) {
		return sendWhole
	}
	v := l.takeFrom(network(address))
	if v != sendWhole {
		l.tell(ctx, address)
	}
	return v
}

func (l *rateLimit) takeFrom(network uint64) rateVerdict {
	now := l.now()
	set := &l.sets[maphash.Comparable(l.seed, network)%rateSets]
	set.mu.Lock()
	defer set.mu.Unlock()
	bucket := set.find(network)
	if fullAt := max(bucket.fullAt, now) + l.interval; fullAt-now <= rateBurst {
		bucket.fullAt = fullAt
		return sendWhole
	}
	return sendTruncated
}

// find returns the bucket of a network, a full one if it has none yet.
func (s *rateSet) find(network uint64) *rateBucket {
	fullest := &s.buckets[0]
	for i := range s.buckets {
		bucket := &s.buckets[i]
		if bucket.network == network {
			return bucket
		}
		if bucket.fullAt < fullest.fullAt {
			fullest = bucket
		}
	}
	*fullest = rateBucket{network: network}
	return fullest
}

// networks are those of DCV_RATE_EXEMPT.
type networks []netip.Prefix

func (n networks) contain(address netip.Addr) bool {
	for _, prefix := range n {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

// tell says in the log that a limit is at work, now and then.
func (l *rateLimit) tell(ctx context.Context, asker netip.Addr) {
	l.limited.Add(1)
	now, at := l.now(), l.tellAt.Load()
	if int64(now) < at || !l.tellAt.CompareAndSwap(at, int64(now+rateTellEvery)) {
		return
	}
	l.log.WarnContext(ctx, "more questions by UDP than DCV_RATE_LIMIT allows: somebody floods a network with our answers, or a large resolver should be in DCV_RATE_EXEMPT",
		"limited_answers", l.limited.Swap(0), "last_asker", asker)
}

// network is a number for the network of an address, never 0.
func network(address netip.Addr) uint64 {
	const family4, family6 = 1 << 62, 1 << 63
	if address.Is4() {
		octets := address.As4()
		return family4 | uint64(binary.BigEndian.Uint32(octets[:])>>(32-ratePrefix4))
	}
	octets := address.As16()
	return family6 | binary.BigEndian.Uint64(octets[:8])>>(64-ratePrefix6)
}

func addressOf(asker net.Addr) (netip.Addr, bool) {
	at, ok := asker.(interface{ AddrPort() netip.AddrPort })
	if !ok {
		return netip.Addr{}, false
	}
	address := at.AddrPort().Addr().Unmap().WithZone("")
	return address, address.IsValid()
}
