package terminator

import (
	"net/http"
	"strings"
)

// forwardedPrefix is that of the fields that the edge sets itself, and of the many more that frameworks believe: X-Forwarded-Port, -Ssl,
// -Prefix, -Server…
const forwardedPrefix = "X-Forwarded-"

// claims are further fields in which an upstream may believe what only a proxy in front of it can know: who the visitor is, and for which
// host, path and scheme the request was made. From a visitor they are forgeries. docs/config.md lists them.
var claims = map[string]bool{
	"Forwarded": true, // RFC 7239
	"X-Real-Ip": true, "True-Client-Ip": true, "X-Client-Ip": true, "Client-Ip": true, "X-Cluster-Client-Ip": true,
	"Cf-Connecting-Ip": true, "Fastly-Client-Ip": true, "X-Original-Forwarded-For": true,
	"X-Host": true, "X-Original-Host": true, "X-Http-Host-Override": true, "X-Original-Url": true, "X-Rewrite-Url": true,
	"X-Scheme": true, "X-Url-Scheme": true, "Front-End-Https": true,
	"Proxy": true, // becomes HTTP_PROXY in CGI, and by that the proxy of the program's own requests (httpoxy.org)
}

// dropClaims removes what a visitor claims in a proxy's name. CGI and its heirs (RFC 3875 §4.1.18, WSGI, Rack, PHP) don't tell "_" from
// "-".
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
