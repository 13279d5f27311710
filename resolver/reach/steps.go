package reach

// Causes that are found in more than one way.
const (
	speaksTLS        = "the web server speaks TLS on port 80, where plain HTTP is asked for"
	noCertificateYet = "Cloudflare has no certificate for this name yet"
)

// The steps that tenants take, with {name}, {named} and {where} to fill in. All begin where a tenant can always do something: a name that
// leads to the platform has none of these problems.
const (
	stepPort80 = "At your DNS provider, delete the record {named} that leads to {where}, if that is not the server for {name}. " +
		"If it is, let that server and its firewall take requests on port 80 from everywhere."
	stepPort443 = "At your DNS provider, delete the record {named} that leads to {where}, if that is not the server for {name}. " +
		"If it is, let that server and its firewall take requests on port 443 from everywhere."
	stepIPv6 = "At your DNS provider, delete the AAAA record {named} that leads to {where}. " +
		"If visitors are meant to come over IPv6, make that server answer there as it does over IPv4."
	stepRedirect = "At your DNS provider, give {name} the records that we ask for. If it is right that {where} answers, " +
		"change the redirect there: requests for http://{name}/.well-known/acme-challenge/ must be answered, " +
		"or sent on to the same path of a public host."
	stepResponse = "At your DNS provider, give {name} the records that we ask for. If it is right that {where} answers, " +
		"let requests for http://{name}/.well-known/acme-challenge/ through there, " +
		"without a login, a check for robots or another page in their place."
	stepCertificate = "At your DNS provider, give {name} the records that we ask for. If it is right that {where} answers, " +
		"put a certificate for {name} on that server."
	stepALPN = "At your DNS provider, give {name} the records that we ask for: only our own servers can answer this kind of question."
	stepSite = "At your DNS provider, give {name} the records that we ask for. If it is right that {where} answers, " +
		"repair the web site on that server: its HTTPS is in order."

	stepSlash = "At your DNS provider, give {name} the records that we ask for. If it is right that {where} answers, " +
		"end the target of the redirect rule there with a slash, as in \"Redirect / https://{name}/\"."
	stepPlainHTTP = "At your DNS provider, give {name} the records that we ask for. If it is right that {where} answers, " +
		"switch TLS (SSL) off for port 80 on that web server; it belongs on port 443."
	stepFirewall = "At your DNS provider, give {name} the records that we ask for. If it is right that {where} answers, " +
		"let the ACME protocol through the firewall in front of it; Palo Alto Networks call this application \"acme-protocol\"."

	stepCloudflareTLS = "At your DNS provider, switch the proxy off for the record {named} (at Cloudflare: \"DNS only\"). If it must stay, " +
		"switch on Universal SSL at Cloudflare (SSL/TLS, Edge Certificates) and wait until its certificate is active."

	stepRouter = "At your DNS provider, give {name} the records that we ask for. If it is right that {where} answers, " +
		"set up port forwarding on that router: ports 80 and 443 must lead to the web server, and its own pages must stay inside."
	stepTestCookie = "At your DNS provider, give {name} the records that we ask for. If it is right that {where} answers, " +
		"put \"testcookie off;\" into that nginx for /.well-known/acme-challenge/; on shared hosting, ask the hosting company for it."
	stepRobots = "At your DNS provider, give {name} the records that we ask for, without a proxy in between. If the proxy must stay, " +
		"make a rule there that skips the check for robots for the path /.well-known/acme-challenge/."
	stepUnproxied = "At your DNS provider, switch the proxy off for the record {named} (at Cloudflare: \"DNS only\"), so that it leads to us."
	stepOrigin    = "At your DNS provider, switch the proxy off for the record {named} (at Cloudflare: \"DNS only\"), " +
		"or correct the server that the proxy asks."
	stepParked = "At your DNS provider, switch off parking or forwarding for {name}, and give it the records that we ask for."
)
