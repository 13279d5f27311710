package reach

import (
	"net/http"
	"net/netip"
	"strings"
)

const cloudflare = "Cloudflare"

// cdn is a content delivery network that publishes its addresses.
type cdn struct {
	name     string
	networks []netip.Prefix
}

// publishedCDNs are the networks that publish a short list: Cloudflare (www.cloudflare.com/ips-v4 and ips-v6) and Fastly
// (api.fastly.com/public-ip-list), both as of October 2026. They change about once a year; an address that is missing here is
// still recognised by the headers of its answer.
var publishedCDNs = []cdn{
	{cloudflare, prefixes(
		"173.245.48.0/20", "103.21.244.0/22", "103.22.200.0/22", "103.31.4.0/22", "141.101.64.0/18", "108.162.192.0/18",
		"190.93.240.0/20", "188.114.96.0/20", "197.234.240.0/22", "198.41.128.0/17", "162.158.0.0/15", "104.16.0.0/13",
		"104.24.0.0/14", "172.64.0.0/13", "131.0.72.0/22",
		"2400:cb00::/32", "2606:4700::/32", "2803:f800::/32", "2405:b500::/32", "2405:8100::/32", "2a06:98c0::/29", "2c0f:f248::/32",
	)},
	{"Fastly", prefixes(
		"23.235.32.0/20", "43.249.72.0/22", "103.244.50.0/24", "103.245.222.0/23", "103.245.224.0/24", "104.156.80.0/20",
		"140.248.64.0/18", "140.248.128.0/17", "146.75.0.0/17", "151.101.0.0/16", "157.52.64.0/18", "167.82.0.0/17",
		"167.82.128.0/20", "167.82.160.0/20", "167.82.224.0/20", "172.111.64.0/18", "185.31.16.0/22", "199.27.72.0/21", "199.232.0.0/16",
		"2a04:4e40::/32", "2a04:4e42::/32",
	)},
}

func prefixes(texts ...string) []netip.Prefix {
	parsed := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		parsed[i] = netip.MustParsePrefix(text)
	}
	return parsed
}

// cdnHeaders are what CDNs add to the answers that they pass on: the header is there, and holds the value if there is one.
var cdnHeaders = []struct{ name, header, value string }{
	{cloudflare, "Server", "cloudflare"},
	{cloudflare, "Cf-Ray", ""},
	{"Fastly", "X-Fastly-Request-Id", ""},
	{"Fastly", "X-Served-By", "cache-"},
	{"Amazon CloudFront", "X-Amz-Cf-Id", ""},
	{"Amazon CloudFront", "Via", "cloudfront"},
	{"Akamai", "Server", "akamai"},
	{"Akamai", "X-Akamai-Transformed", ""},
	{"Sucuri", "Server", "sucuri"},
	{"Sucuri", "X-Sucuri-Id", ""},
	{"Imperva", "X-Iinfo", ""},
	{"Imperva", "X-Cdn", "imperva"},
	{"Imperva", "X-Cdn", "incapsula"},
	{"Azure Front Door", "X-Azure-Ref", ""},
	{"bunny.net", "Server", "bunnycdn"},
	{"KeyCDN", "Server", "keycdn"},
	{"CDN77", "Server", "cdn77"},
	{"DDoS-Guard", "Server", "ddos-guard"},
	{"Google Cloud", "Via", "1.1 google"},
}

// cdnIn names the CDN that an answer came through, or nothing.
func cdnIn(header http.Header) string {
	for _, known := range cdnHeaders {
		for _, value := range header.Values(known.header) {
			if strings.Contains(strings.ToLower(value), known.value) {
				return known.name
			}
		}
	}
	return ""
}
