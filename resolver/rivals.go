package resolver

import (
	"strings"

	"github.com/evercert/evercert/resolver/lookup"
)

// rivals are services that get certificates for a tenant's name by a CNAME record at _acme-challenge, as evercert does, each by the ends of
// the targets in its own documentation. There can be one such record at a name, so that one of the two goes without.
var rivals = []struct{ suffix, service string }{
	{".dcv.cloudflare.com", "Cloudflare"},                  // developers.cloudflare.com/ssl, delegated DCV
	{".fastly-validations.com", "Fastly"},                  // docs.fastly.com, managed certificates, ACME DNS challenge
	{".validate-akdv.net", "Akamai"},                       // techdocs.akamai.com/property-mgr, default DV certificates
	{".authorize.certificatemanager.goog", "Google Cloud"}, // cloud.google.com/certificate-manager, DNS authorizations; Firebase Hosting, too
	{".flydns.net", "Fly.io"},                              // fly.io/docs, custom domains
	{".auth.acme-dns.io", "acme-dns"},                      // github.com/acme-dns/acme-dns, the public instance
}

// rivalIn returns the first service that the aliases of a challenge name lead to, empty if none is known.
func rivalIn(aliases []string) string {
	for _, alias := range aliases {
		for _, r := range rivals {
			if strings.HasSuffix(lookup.NoDot(alias), r.suffix) {
				return r.service
			}
		}
	}
	return ""
}
