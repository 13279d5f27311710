package reach

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/evercert/evercert/cert"
)

// maxURL bounds the address that a redirect leads to; Let's Encrypt follows paths of up to 2,000 bytes.
const maxURL = 2000

// followed are the statuses that a CA may follow (Baseline Requirements §3.2.2.4.19); 303 is none of them.
var followedStatuses = []int{301, 302, 307, 308}

func quoted(text string) string { return strconv.QuoteToASCII(cert.Line(text, maxTold)) }

// isAddress recognises addresses however they are written; 0x7f.1 and 2130706433 are some to many programs.
func isAddress(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	last := host[strings.LastIndex(host, ".")+1:]
	_, err := strconv.ParseUint(last, 0, 64) // no top-level domain is a number (RFC 3696 §2)
	return err == nil
}

// isHostname reports whether DNS can be asked for a host: letters, digits, hyphens and underscores between dots.
func isHostname(host string) bool {
	if len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}
