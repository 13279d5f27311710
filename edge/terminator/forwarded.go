package terminator

import (
	"net/http"
	"strings"
)

// forwardedPrefix begins the fields that the edge sets itself, and many more that frameworks trust: X-Forwarded-Port, -Ssl, -Prefix,
// -Server…
const forwardedPrefix = "X-Forwarded-"

// claims are further fields that upstreams trust for what only a proxy in front of them knows: the visitor's address, and the host, path
// and scheme of the request. Visitors can forge them, so they are removed. docs/config.md lists them.
var claims = map[string]bool{
	"Forwarded": true, // RFC 7239
	"X-Real-Ip": true, "True-Client-Ip": true, "X-Client-Ip": true, "Client-Ip": true, "X-Cluster-Client-Ip": true,
	"Cf-Connecting-Ip": true, "Fastly-Client-Ip": true, "X-Original-Forwarded-For": true,
	"X-Host": true, "X-Original-Host": true, "X-Http-Host-Override": true, "X-Original-Url": true, "X-Rewrite-Url": true,
	"X-Scheme": true, "X-Url-Scheme": true, "Front-End-Https": true,
	"Proxy": true, // becomes HTTP_PROXY in CGI, which many programs use as the proxy for their own requests (httpoxy.org)
}

// dropClaims removes the fields of a visitor that only a proxy may set. CGI and its successors (RFC 3875 §4.1.18, WSGI, Rack, PHP) don't
// distinguish "_" from "-".
func dropClaims(header http.Header) {
	for name := range header {
		canonical := name
		if strings.Contains(name, "_") {
			canonical = http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
		}
		if claims[canonical] || strings.HasPrefix(canonical, forwardedPrefix) {
			delete(header, name)
		}
	}
}
