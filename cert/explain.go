package cert

import "slices"

// Verb is a request by which a person goes on after a problem.
type Verb string

// The verbs that problems lead to. Each has a command of the CLI and, but for Repeat, a route of the API with the same effect.
const (
	Connect    Verb = "connect"
	CheckNow   Verb = "check"
	RequestNow Verb = "request" // a certificate
	Resume     Verb = "resume"
	HandBack   Verb = "hand-back"
	ShowStatus Verb = "status"
	Repeat     Verb = "repeat" // the same request again
)

// Verbs lists every verb.
var Verbs = []Verb{Connect, CheckNow, RequestNow, Resume, HandBack, ShowStatus, Repeat}

// Route returns the verb's method and path in the API; empty for Repeat.
func (v Verb) Route() string {
	switch v {
	case Connect:
		return "POST /v1/domains"
	case ShowStatus:
		return "GET /v1/domains/{name}"
	case Repeat, "":
		return ""
	default:
		return "POST /v1/domains/{name}/" + string(v)
	}
}

// Command returns the verb's command in the CLI, for a domain or for one that is to be connected; empty for Repeat.
func (v Verb) Command(hostname string) string {
	switch v {
	case Connect:
		return "evercert connect " + hostname + " --tenant T"
	case Repeat, "":
		return ""
	default:
		return "evercert " + string(v) + " " + hostname
	}
}

// Explanation is what people read about a problem code. The table in docs/diagnosis.md and the list in the OpenAPI document are made of it.
type Explanation struct {
	Code       Code
	Meaning    string
	WhoActs    []Actor
	Severities []Severity // empty where a request was refused and there is nothing to block
	Remedy     string
	Verb       Verb // by which a person goes on once the remedy is done; see Code.Verb
}

// Verb returns the request that is accepted in the present state of the domain and goes on once the problem's remedy is done:
//
//   - nothing but connecting it again is accepted once it is removed;
//   - a domain that is paused is resumed first, since a request for a certificate is refused, and a check waits;
//   - while people have its case, requests may be refused (row A5), so support hands it back;
//   - else it is the one of the code.
func (c Code) Verb(s Status, paused bool) Verb {
	i := slices.IndexFunc(Explanations, func(e Explanation) bool { return e.Code == c })
	if i < 0 {
		return ShowStatus // of a newer build
	}
	verb := Explanations[i].Verb
	switch {
	case verb == Connect, verb == Repeat, verb == ShowStatus:
		return verb
	case s.Domain == DomainRemoved:
		return Connect
	case paused:
		return Resume
	case s.Escalated && verb == RequestNow:
		return HandBack
	default:
		return verb
	}
}

// Explanations has one entry for each code, in the order of their declaration.
var Explanations = []Explanation{
	{
		Code: DNSNoRecords, Verb: CheckNow, WhoActs: []Actor{TenantActs}, Severities: []Severity{Blocks, Warns},
		Meaning: "The name has no address.",
		Remedy:  "Add the CNAME, or for an apex the A and AAAA records, at the DNS provider.",
	},
	{
		Code: DNSWrongTarget, Verb: CheckNow, WhoActs: []Actor{TenantActs}, Severities: []Severity{Blocks, Warns},
		Meaning: "The name leads to another host, or in a circle.",
		Remedy: "Delete the records of that name and add those that are asked for; where a wildcard record leads it, only " +
			"add.",
	},
	{
		Code: DNSConflictingRecords, Verb: CheckNow, WhoActs: []Actor{TenantActs}, Severities: []Severity{Blocks, Warns},
		Meaning: "The right addresses are there, and others beside them.",
		Remedy:  "Delete the others.",
	},
	{
		Code: DNSLookupFailed, Verb: CheckNow, WhoActs: []Actor{PlatformActs, TenantActs, CAActs}, Severities: []Severity{Blocks, Warns},
		Meaning: "No answer came (time-out, SERVFAIL, REFUSED), or the platform's own name behind the tenant's record gives none. " +
			"The tenant acts where the CA, not evercert, got none; nobody but the CA where that was at a public suffix.",
		Remedy: "Nothing to do: evercert checks again. If it lasts, see the name servers in the same diagnosis.",
	},
	{
		Code: DNSSECBogus, Verb: CheckNow, WhoActs: []Actor{TenantActs, PlatformActs, RegistrarActs}, Severities: []Severity{Blocks, Warns},
		Meaning: "A zone that an answer comes through is signed, and its signatures or keys are wrong, or don't prove what it says; the " +
			"message names the zone. CAs get no answer then. The registrar acts where the zone is a registry's, the platform where the " +
			"root's keys don't fit (`DNS_TRUST_ANCHORS`).",
		Remedy: "At the registrar, correct or delete the DS record; at the DNS provider, sign the zone anew. Where an alias leads into " +
			"another's zone, lead it elsewhere.",
	},
	{
		Code: NameserverLame, Verb: CheckNow, WhoActs: []Actor{TenantActs}, Severities: []Severity{Blocks, Warns},
		Meaning: "A server that the domain is delegated to answers, and not for this zone.",
		Remedy:  "At the registrar, take the server out of the list; or have its operator serve the zone.",
	},
	{
		Code: NameserverUnreachable, Verb: CheckNow, WhoActs: []Actor{TenantActs, PlatformActs}, Severities: []Severity{Blocks, Warns},
		Meaning: "A server that the domain is delegated to does not answer; it blocks where none does, and for a while where " +
			"it showed something wrong before.",
		Remedy: "If it lasts: at the registrar, take the server out of the list; or have its operator fix it.",
	},
	{
		Code: NameserversDiffer, Verb: CheckNow, WhoActs: []Actor{TenantActs}, Severities: []Severity{Warns},
		Meaning: "The parent zone names other servers than the zone itself.",
		Remedy:  "At the registrar, enter the name servers that the DNS provider names.",
	},
	{
		Code: AnswersDiffer, Verb: CheckNow, WhoActs: []Actor{TenantActs}, Severities: []Severity{Blocks, Warns},
		Meaning: "The zone's servers don't show the same records.",
		Remedy:  "After a change, wait. If it lasts, have the DNS provider fix the server that lags behind.",
	},
	{
		Code: NameserversNotHosted, Verb: CheckNow, WhoActs: []Actor{TenantActs}, Severities: []Severity{Blocks},
		Meaning: "The domain is not hosted at the platform's name servers, and the platform demands it.",
		Remedy:  "At the registrar, enter the platform's name servers.",
	},
	{
		Code: CAAForbids, Verb: CheckNow, WhoActs: []Actor{TenantActs, PlatformActs}, Severities: []Severity{Blocks, Warns},
		Meaning: "CAA records let other CAs issue, not this one; or other methods; or hold a critical property that this CA does " +
			"not know. It warns where this CA issues all the same and others would not.",
		Remedy: "Add the CAA record that the problem shows, or give the one that it names the flags 0. The platform acts where " +
			"the records stand at its own name.",
	},
	{
		Code: CAALookupFailed, Verb: CheckNow, WhoActs: []Actor{PlatformActs, CAActs}, Severities: []Severity{Blocks},
		Meaning: "CAA could not be looked up, by evercert, or by the CA at a public suffix such as `net`. A CA issues nothing then.",
		Remedy:  "Nothing to do: evercert checks again.",
	},
	{
		Code: CAAAccountBound, Verb: CheckNow, WhoActs: []Actor{TenantActs, PlatformActs}, Severities: []Severity{Blocks, Warns},
		Meaning: "CAA records let another account of the CA issue, or one of which it is not known whether it will order. It " +
			"warns where this CA ignores it and others would.",
		Remedy: "Add the CAA record that the problem shows; or ask again with the account's URL.",
	},
	{
		Code: CAAOneCAOnly, Verb: CheckNow, WhoActs: []Actor{TenantActs}, Severities: []Severity{Warns},
		Meaning: "CAA records let one of the platform's CAs issue and not another, so that the domain can't fail over.",
		Remedy:  "Add the CAA record that the problem shows, or accept the wait while that CA is down.",
	},
	{
		Code: OwnershipMissing, Verb: CheckNow, WhoActs: []Actor{TenantActs}, Severities: []Severity{Blocks},
		Meaning: "The TXT record that shows whose a name is isn't there, neither at the name nor above it, or stands at a doubled " +
			"name. The problem names the name.",
		Remedy: "Add it, or rename it, at the DNS provider; the registered domain's record covers all names below.",
	},
	{
		Code: OwnershipMismatch, Verb: CheckNow, WhoActs: []Actor{TenantActs}, Severities: []Severity{Blocks},
		Meaning: "The ownership record names another account, or has the value of another name.",
		Remedy:  "Change its value, or connect the domain from the account that it names.",
	},
	{
		Code: DelegationMissing, Verb: CheckNow, WhoActs: []Actor{TenantActs}, Severities: []Severity{Blocks},
		Meaning: "The CNAME at `_acme-challenge` isn't there.",
		Remedy:  "Add it at the DNS provider.",
	},
	{
		Code: DelegationWrongTarget, Verb: CheckNow, WhoActs: []Actor{TenantActs}, Severities: []Severity{Blocks},
		Meaning: "It leads elsewhere, in a circle, into the tenant's own zone, or is a TXT record, an address or NS records.",
		Remedy:  "Change its value, or delete the other records and add the CNAME; switch off a proxy that hides it.",
	},
	{
		Code: DelegationDoubledName, Verb: CheckNow, WhoActs: []Actor{TenantActs}, Severities: []Severity{Blocks},
		Meaning: "It stands at a name that has the domain twice.",
		Remedy:  "Rename it.",
	},
	{
		Code: RivalDelegation, Verb: CheckNow, WhoActs: []Actor{TenantActs}, Severities: []Severity{Blocks},
		Meaning: "Another service gets its certificates by the CNAME at `_acme-challenge`; the message names the service.",
		Remedy: "Let the name lead to the platform, where http-01 is allowed; or connect another name; or, if that service no " +
			"longer serves the name, change the CNAME.",
	},
	{
		Code: SiteWouldBreak, Verb: CheckNow, WhoActs: []Actor{TenantActs}, Severities: []Severity{Warns},
		Meaning: "A wildcard record answers for the name. The first record added below the name takes it off the wildcard (RFC " +
			"4592 §2.2.2), and visitors with it.",
		Remedy: "Add the record of the name itself first.",
	},
	{
		Code: ProxiedByCDN, Verb: CheckNow, WhoActs: []Actor{TenantActs}, Severities: []Severity{Warns},
		Meaning: "A CDN stands in front of the name, so that visitors and CAs meet it first.",
		Remedy:  "Switch the proxy off for this record, or set the CDN up to ask the platform.",
	},
	{
		Code: ReservedAddress, Verb: CheckNow, WhoActs: []Actor{TenantActs, PlatformActs}, Severities: []Severity{Blocks, Warns},
		Meaning: "The name leads to a private or reserved address, which nobody on the internet can reach; it blocks where " +
			"there is no other.",
		Remedy: "Delete the record and add those that are asked for.",
	},
	{
		Code: IPv6Unreachable, Verb: CheckNow, WhoActs: []Actor{TenantActs, PlatformActs}, Severities: []Severity{Blocks, Warns},
		Meaning: "The IPv6 address does not answer, the IPv4 address does. CAs ask IPv6 first; it blocks where they don't " +
			"fall back.",
		Remedy: "Delete the AAAA record, or make its server answer.",
	},
	{
		Code: HTTPUnreachable, Verb: CheckNow, WhoActs: []Actor{TenantActs, PlatformActs}, Severities: []Severity{Blocks, Warns},
		Meaning: "Nothing answers on port 80 at an address of the name.",
		Remedy:  "Delete the record that leads there, or open port 80 to everybody. The platform acts where the address is its own.",
	},
	{
		Code: HTTPBadRedirect, Verb: CheckNow, WhoActs: []Actor{TenantActs}, Severities: []Severity{Blocks, Warns},
		Meaning: "Requests of the CA are sent on to where it can't go.",
		Remedy:  "Change the redirect, or let the name lead to the platform.",
	},
	{
		Code: HTTPUnexpectedResponse, Verb: CheckNow, WhoActs: []Actor{TenantActs, PlatformActs}, Severities: []Severity{Blocks, Warns},
		Meaning: "What answers is not what should: a login, a check for robots, another page, another protocol; or addresses " +
			"differ. Over HTTPS from here: the certificate is right, and no web site answers behind it.",
		Remedy: "Let requests below `/.well-known/acme-challenge/` through, or let the name lead to the platform. If the check " +
			"over HTTPS shows it, fix the web site.",
	},
	{
		Code: HTTPSUnreachable, Verb: CheckNow, WhoActs: []Actor{TenantActs, PlatformActs}, Severities: []Severity{Blocks, Warns},
		Meaning: "Nothing speaks TLS on port 443; or, at an installation, an edge does not answer.",
		Remedy:  "Open port 443 to everybody, or let the name lead to the platform; start the edge.",
	},
	{
		Code: TLSALPNRefused, Verb: CheckNow, WhoActs: []Actor{TenantActs}, Severities: []Severity{Blocks, Warns},
		Meaning: "Port 443 answers, and not to the protocol of tls-alpn-01. Reported where no other method works: nearly every " +
			"web server refuses it.",
		Remedy: "Let the name lead to the platform: only its edges answer that protocol.",
	},
	{
		Code: MultiPerspectiveFailed, Verb: RequestNow, WhoActs: []Actor{TenantActs}, Severities: []Severity{Blocks},
		Meaning: "The CA saw other records, or reached nothing, from other networks.",
		Remedy:  "Take out blocks by country or network for ports 53, 80 and 443; wait until every name server shows the same.",
	},
	{
		Code: DomainNotRegistered, Verb: CheckNow, WhoActs: []Actor{TenantActs}, Severities: []Severity{Blocks},
		Meaning: "The registered domain does not exist.",
		Remedy:  "Register it, or correct the name.",
	},
	{
		Code: DomainExpired, Verb: CheckNow, WhoActs: []Actor{TenantActs, RegistrarActs}, Severities: []Severity{Blocks, Warns},
		Meaning: "The registration has expired, is on hold, in redemption or about to be deleted.",
		Remedy:  "Renew it at the registrar.",
	},
	{
		Code: DomainNotAllowed, Verb: RequestNow, WhoActs: []Actor{TenantActs}, Severities: []Severity{Blocks},
		Meaning: "A public suffix of a registry (a company's own, such as `github.io`, is allowed with proof), a name outside the " +
			"public ones, or one that the CA's policy refuses.",
		Remedy: "Connect a name that is registered on the public internet; for one that the CA refuses, another name.",
	},
	{
		Code: NameReserved, Verb: Connect, WhoActs: []Actor{TenantActs},
		Meaning: "The name belongs to the platform.",
		Remedy:  "Connect a domain of one's own.",
	},
	{
		Code: NameTooDeep, Verb: Connect, WhoActs: []Actor{TenantActs},
		Meaning: "More than one label below the platform's suffix; no wildcard covers it.",
		Remedy:  "Use a platform domain with one label, or a domain of one's own.",
	},
	{
		Code: NameInvalid, Verb: Connect, WhoActs: []Actor{TenantActs, PlatformActs}, Severities: []Severity{Blocks},
		Meaning: "It is not a domain name, or not one that a certificate can hold; or it is too long for `_acme-challenge.` where " +
			"dns-01 alone is allowed, or a wildcard where dns-01 is not.",
		Remedy: "Type the name only, such as `www.example.com`; for a long name, allow http-01, for a wildcard dns-01.",
	},
	{
		Code: NameSpecialUse, Verb: Connect, WhoActs: []Actor{TenantActs},
		Meaning: "The name is set aside (`.onion`, `.arpa`, `.local` …, RFC 6761): it is nobody's registered name in public DNS.",
		Remedy:  "Connect a name that is registered on the public internet.",
	},
	{
		Code: CSRRejected, Verb: RequestNow, WhoActs: []Actor{PlatformActs}, Severities: []Severity{Blocks},
		Meaning: "The CA refuses the signing request or its key.",
		Remedy:  "The next attempt makes a new key and request; if it is refused again, contact support.",
	},
	{
		Code: RateLimited, Verb: RequestNow, WhoActs: []Actor{PlatformActs}, Severities: []Severity{Blocks},
		Meaning: "A limit of the CA is reached.",
		Remedy:  "Nothing to do: it goes on when there is room.",
	},
	{
		Code: WaitingForBudget, Verb: ShowStatus, WhoActs: []Actor{PlatformActs}, Severities: []Severity{Blocks},
		Meaning: "The CA's limits leave no room for another order now; the message has the place in line and its time.",
		Remedy:  "Nothing to do: evercert orders at that time.",
	},
	{
		Code: IdentifierPaused, Verb: RequestNow, WhoActs: []Actor{PlatformActs}, Severities: []Severity{Blocks},
		Meaning: "The CA has paused the name after many failed validations.",
		Remedy: "Fix what made them fail, lift the pause at the address that the CA gives, then hand the case back; or wait for " +
			"the daily attempt.",
	},
	{
		Code: CAUnavailable, Verb: RequestNow, WhoActs: []Actor{CAActs}, Severities: []Severity{Blocks},
		Meaning: "The CA is busy or down, does not finish, gives answers that can't be used, or does not know the order any more.",
		Remedy:  "Nothing to do: it is tried again.",
	},
	{
		Code: CARejected, Verb: RequestNow, WhoActs: []Actor{TenantActs, PlatformActs, CAActs}, Severities: []Severity{Blocks},
		Meaning: "The CA refused for a reason that has no other code.",
		Remedy:  "The message has the CA's words.",
	},
	{
		Code: AccountProblem, Verb: RequestNow, WhoActs: []Actor{PlatformActs}, Severities: []Severity{Blocks},
		Meaning: "The CA refuses the account, its terms, profile or external binding.",
		Remedy:  "Correct the settings `ACME_…` and restart the workers, or accept the CA's terms; domains go on by themselves.",
	},
	{
		Code: InstallFailed, Verb: ShowStatus, WhoActs: []Actor{PlatformActs}, Severities: []Severity{Blocks},
		Meaning: "An edge can't load the certificate now: it does not reach PostgreSQL, or its keyring lacks the key.",
		Remedy:  "Read the edge's log, which names the cause; evercert checks again by itself.",
	},
	{
		Code: ServedCertificateWrong, Verb: CheckNow, WhoActs: []Actor{TenantActs, PlatformActs}, Severities: []Severity{Blocks, Warns},
		Meaning: "What answers for the name shows another certificate than it should.",
		Remedy:  "Let the name lead to the platform; for an edge, read its log, which says why a certificate was not loaded.",
	},
	{
		Code: TenantInactive, Verb: Connect, WhoActs: []Actor{TenantActs},
		Meaning: "The tenant's account is not active, so it can't connect domains.",
		Remedy:  "Activate the account, or contact support.",
	},
	{
		Code: TenantDeleted, Verb: Connect, WhoActs: []Actor{TenantActs},
		Meaning: "The tenant's account was deleted, so it can't connect domains.",
		Remedy:  "Use another account, or contact support.",
	},
	{
		Code: NameTaken, Verb: Connect, WhoActs: []Actor{TenantActs},
		Meaning: "Another account has the name, or it is kept for that account for a while after its removal.",
		Remedy:  "Remove it from the other account first, wait until the time that the message says, or contact support.",
	},
	{
		Code: DomainUnknown, Verb: Connect, WhoActs: []Actor{TenantActs},
		Meaning: "Nobody connected this name here.",
		Remedy:  "Correct a typing error, or connect it.",
	},
	{
		Code: RequestRefused, Verb: ShowStatus, WhoActs: []Actor{TenantActs, PlatformActs},
		Meaning: "The verb does not fit the state of the domain.",
		Remedy:  "The message says why, and when it will.",
	},
	{
		Code: RequestMalformed, Verb: Repeat, WhoActs: []Actor{PlatformActs},
		Meaning: "The request could not be read.",
		Remedy:  "Correct it as the message says.",
	},
	{
		Code: Unauthorized, Verb: Repeat, WhoActs: []Actor{PlatformActs},
		Meaning: "No bearer token, or a wrong one.",
		Remedy:  "Send the token of `API_TOKEN`.",
	},
	{
		Code: WorkflowMissing, Verb: CheckNow, WhoActs: []Actor{PlatformActs}, Severities: []Severity{Blocks},
		Meaning: "The workflow of a connected domain is not running: somebody ended it in Temporal, or Temporal lost it.",
		Remedy:  "The caretaker starts it again within a day, any verb at once; `evercert audit` starts all.",
	},
	{
		Code: InternalError, Verb: ShowStatus, WhoActs: []Actor{PlatformActs}, Severities: []Severity{Blocks},
		Meaning: "A fault of evercert's own.",
		Remedy:  "It is tried again; the log names the cause.",
	},
	{
		Code: Unavailable, Verb: Repeat, WhoActs: []Actor{PlatformActs},
		Meaning: "PostgreSQL or Temporal does not answer. Nothing was changed.",
		Remedy:  "Nothing to do: send the request again in a minute.",
	},
	{
		Code: NoAnswer, Verb: ShowStatus, WhoActs: []Actor{PlatformActs},
		Meaning: "The request was sent, and its result was not seen in time.",
		Remedy:  "Wait a minute and read the status; repeat the request if nothing has changed.",
	},
}
