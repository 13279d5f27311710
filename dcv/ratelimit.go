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
	// rateBurst limits the answers that a network may save up: those of one second.
	rateBurst = time.Second
	// The prefixes of the networks that share a limit. A sender that can forge one address of a site can forge all of them.
	ratePrefix4, ratePrefix6 = 24, 56
	// The table holds rateSets * rateWays networks, in 1.6 MB.
	rateSets, rateWays = 8192, 8
	// rateLogEvery limits how often an attack is logged.
	rateLogEvery = time.Minute
)

// rateLimit limits the answers by UDP to one network, so that attackers can't flood it by forging its addresses. It works as the
// response rate limiting of BIND and NSD: the prefixes are BIND's defaults (BIND 9 ARM "rate-limit"), and 200 answers a second, the
// default of DCV_RATE_LIMIT, is NSD's default (rrl.c). It does not distinguish kinds of answers as they do: a CA asks this zone for one
// kind, and no answer by UDP is longer than 1232 octets.
//
// Above the limit every answer is truncated, as in Knot DNS by default (slip 1). A truncated answer is as long as its question, so it
// amplifies nothing. A real resolver in the limited network repeats its question by TCP at once, where addresses can't be forged.
// Dropping the answer would be worse: the resolver waits, and an attacker has time to forge the answer (CVE-2013-5661).
//
// Each network has a token bucket. The time at which the bucket is full again is its whole state. The table never grows. A network
// that finds no free place replaces the one with the fullest bucket, since that one loses least. So a sender of many forged addresses
// replaces only its own, and can't free a network that is limited.
type rateLimit struct {
	interval time.Duration // in which a bucket gets one token
	exempt   networks
	now      func() time.Duration // the time since newRateLimit
	seed     maphash.Seed         // so that attackers can't choose networks that share a set
	sets     []rateSet

	log     *slog.Logger
	limited atomic.Uint64 // since the last log line
	logAt   atomic.Int64  // the earliest time of the next log line, on the clock now
}

type rateSet struct {
	mu      sync.Mutex
	buckets [rateWays]rateBucket
}

type rateBucket struct {
	network uint64 // 0: free
	fullAt  time.Duration
}

// rateVerdict says how an answer is sent.
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

// take counts one answer to the asker's network and decides how it is sent.
func (l *rateLimit) take(ctx context.Context, asker net.Addr) rateVerdict {
	address, ok := addressOf(asker)
	if _, udp := asker.(*net.UDPAddr); l == nil || !udp || !ok || l.exempt.contain(address) {
		return sendWhole
	}
	v := l.takeFrom(network(address))
	if v != sendWhole {
		l.logLimited(ctx, address)
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

// find returns the bucket of a network. A network that is new gets a full one.
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

// logLimited counts a limited answer, and logs the count at most once per rateLogEvery.
func (l *rateLimit) logLimited(ctx context.Context, asker netip.Addr) {
	l.limited.Add(1)
	now, at := l.now(), l.logAt.Load()
	if int64(now) < at || !l.logAt.CompareAndSwap(at, int64(now+rateLogEvery)) {
		return
	}
	l.log.WarnContext(ctx, "more questions by UDP than DCV_RATE_LIMIT allows: "+
		"an attacker floods a network with our answers, or a large resolver should be in DCV_RATE_EXEMPT",
		"limited_answers", l.limited.Swap(0), "last_asker", asker)
}

// network returns a number for the network of an address, never 0.
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
