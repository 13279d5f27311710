package cert

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// NameRules decides which names may be connected.
type NameRules struct {
	PlatformSuffix string   // names under it are the platform's own, e.g. shops.example.net
	PlatformNames  []string // further names and zones that belong to the platform: its edge, its validation zone
	ReservedLabels []string // labels below a store's platform domain that the platform keeps, e.g. m, skin
	TestSuffixes   []string // suffixes outside the public ones that are allowed, for tests and private CAs
}

// maxNameLength is what fits in 255 octets on the wire (RFC 1035 §2.3.4).
const maxNameLength = 253

// longestInput bounds the work for a hostile input, in bytes. No name of maxNameLength is written in more: a character
// takes up to four bytes, and each adds at least one to its A-label.
const longestInput = 4 * maxNameLength

// nameProfile is IDNA 2008 as registries use it: it maps case and width, then checks every rule (RFC 5891, UTS 46).
var nameProfile = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true),
	idna.ValidateLabels(true), idna.CheckHyphens(true), idna.CheckJoiners(true), idna.Transitional(false))

// capitalSharpS is the capital of ß. The tables of idna make it "ss", which is another owner's name; Unicode made it ß in version 15.1
// (UTS 46, revision 31), as browsers do.
const capitalSharpS = "\u1e9e"

// Parse turns what a person typed into the name that evercert keeps: A-labels, lower case, no trailing dot.
// The problem says what is wrong with it and what to type instead.
func (r NameRules) Parse(input string) (string, error) {
	name := strings.TrimSpace(input)
	var dotted bool
	for _, dot := range []string{".", "。", "．", "｡"} { // the full stops that IDNA takes for one (RFC 3490 §3.1)
		if name, dotted = strings.CutSuffix(name, dot); dotted {
			break
		}
	}
	switch {
	case name == "":
		return "", invalid(input, "it is empty", "type a name such as www.example.com")
	case !utf8.ValidString(name) || len(name) > longestInput:
		return "", invalid(input, "it is not text that could be a domain name", "type a name such as www.example.com")
	}
	switch {
	case isAddress(name):
		return "", invalid(input, "it is an IP address", "connect a domain name; certificates here are for names")
	case strings.ContainsAny(name, "/:@?# "):
		return "", invalid(
			input,
			"it is an address of a page or a mailbox, not a domain name",
			"type the name only, without https://, path or port",
		)
	}
	if strings.Contains(name, "*") {
		return "", invalid(input, "wildcards can't be connected", "connect each name that visitors use")
	}
	ascii, err := nameProfile.ToASCII(strings.ReplaceAll(name, capitalSharpS, "ß")) // as far as it got, beside an error
	if len(ascii) > maxNameLength {
		return "", invalid(
			input,
			fmt.Sprintf("it is %d characters long", len(ascii)),
			fmt.Sprintf("use a name of at most %d characters", maxNameLength),
		)
	}
	if err != nil {
		return "", invalid(input, describeIDNA(name, err), "use letters, digits and hyphens; at most 63 characters between two dots")
	}
	switch {
	case strings.HasSuffix(ascii, "."):
		return "", invalid(input, "it has two dots in a row", "type a name such as www.example.com")
	case isAddress(ascii): // typed in wide digits
		return "", invalid(input, "it is an IP address", "connect a domain name; certificates here are for names")
	}
	if p := r.refuse(ascii); p != nil {
		return "", *p
	}
	return ascii, nil
}

// refuse applies the platform's own rules and those of the public suffix list to a well-formed name.
func (r NameRules) refuse(name string) *Problem {
	if p := r.refusePlatform(name); p != nil {
		return p
	}
	if p := refuseSpecialUse(name); p != nil && !within(name, r.TestSuffixes) {
		return p
	}
	if !strings.Contains(name, ".") {
		p := invalid(name, "it has no dot", "type the whole name, such as www.example.com")
		return &p
	}
	suffix, icann := publicsuffix.PublicSuffix(name)
	switch {
	case suffix == name && icann: // a company's own suffix, such as github.io, belongs to somebody, who can show it
		return &Problem{
			Code: DomainNotAllowed, WhoActs: TenantActs, Message: Unicode(name) + " is a public suffix, under which others register names",
			Remediation: "connect a name that you registered, such as shop." + Unicode(name),
		}
	case !icann && !strings.Contains(suffix, ".") && !within(name, r.TestSuffixes):
		return &Problem{
			Code: DomainNotAllowed, WhoActs: TenantActs,
			Message:     fmt.Sprintf("%s ends in %q, which is no public suffix: no CA issues certificates for it", Unicode(name), suffix),
			Remediation: "connect a name that is registered on the public internet",
		}
	}
	return nil
}

// specialUse are zones that are set aside (IANA, Special-Use Domain Names): what is below them is not somebody's registered name in
// public DNS.
var specialUse = []struct{ zone, is string }{
	{"onion", "an address of the Tor network, which DNS does not know (RFC 7686)"},
	{"in-addr.arpa", "a name that DNS makes of an IP address (RFC 1035 §3.5, RFC 6761 §6.1)"},
	{"ip6.arpa", "a name that DNS makes of an IP address (RFC 3596 §2.5, RFC 6761 §6.1)"},
	{"home.arpa", "a name for home networks (RFC 8375)"},
	{"arpa", "a name of the internet's infrastructure (RFC 3172)"},
	{"localhost", "a name of the machine itself (RFC 6761 §6.3)"},
	{"local", "a name for the local network (RFC 6762)"},
	{"invalid", "a name that is never valid (RFC 6761 §6.4)"},
	{"test", "a name for tests (RFC 6761 §6.2)"},
	{"example", "a name for documentation (RFC 6761 §6.5)"},
	{"alt", "a name outside DNS (RFC 9476)"},
}

func refuseSpecialUse(name string) *Problem {
	for _, s := range specialUse {
		if within(name, []string{s.zone}) && name != s.zone {
			return &Problem{
				Code: NameSpecialUse, WhoActs: TenantActs, Message: fmt.Sprintf("%s can't be connected: it is %s", Unicode(Line(name, MaxInput)), s.is),
				Remediation: "connect a name that is registered on the public internet",
			}
		}
	}
	return nil
}

// refusePlatform refuses names under the platform's own suffix. They need no connection: the platform's wildcard
// certificate covers one label below the suffix, and CAs issue no *.* wildcards for names deeper down.
func (r NameRules) refusePlatform(name string) *Problem {
	if within(name, r.PlatformNames) {
		return reserved(name, "belongs to the platform itself")
	}
	if r.PlatformSuffix == "" || !within(name, []string{r.PlatformSuffix}) {
		return nil
	}
	labels := strings.Split(strings.TrimSuffix(strings.TrimSuffix(name, r.PlatformSuffix), "."), ".")
	switch {
	case labels[0] == "":
		return reserved(name, "is the platform's own suffix")
	case len(labels) == 1:
		return reserved(name, "is a platform domain, which the platform's wildcard certificate covers already")
	case slices.Contains(r.ReservedLabels, labels[0]):
		return reserved(name, fmt.Sprintf("starts with %q, which is reserved on platform domains", labels[0]))
	default:
		return &Problem{
			Code: NameTooDeep, WhoActs: TenantActs,
			Message: fmt.Sprintf(
				"%s has %d labels below %s; a wildcard certificate covers one, and CAs issue none for *.*",
				name,
				len(labels),
				r.PlatformSuffix,
			),
			Remediation: "use a platform domain with one label, or connect a domain of your own",
		}
	}
}

// IsApex reports whether a name is the registered domain itself, which can't hold a CNAME record. A company's own public suffix is one
// where it was registered, as github.io was under io.
func IsApex(name string) bool {
	if registered, err := publicsuffix.EffectiveTLDPlusOne(name); err == nil {
		return registered == name
	}
	_, above, _ := strings.Cut(name, ".")
	suffix, icann := publicsuffix.PublicSuffix(above)
	_, isListed := publicsuffix.PublicSuffix(name)
	return !isListed && icann && suffix == above
}

// RegisteredDomain is the name that was bought at a registrar, by the public suffix list; CAs count certificates by it.
func RegisteredDomain(name string) string {
	if registered, err := publicsuffix.EffectiveTLDPlusOne(strings.TrimPrefix(name, "*.")); err == nil {
		return registered
	}
	return name
}

// Unicode shows a name as people write it. A name that does not convert is shown as it is.
func Unicode(name string) string {
	if u, err := idna.Display.ToUnicode(name); err == nil {
		return u
	}
	return name
}

func invalid(input, why, remedy string) Problem {
	return Problem{
		Code:        NameInvalid,
		WhoActs:     TenantActs,
		Message:     fmt.Sprintf("%q can't be connected: %s", Line(input, MaxInput), why),
		Remediation: remedy,
	}
}

func reserved(name, why string) *Problem {
	return &Problem{
		Code: NameReserved, WhoActs: TenantActs, Message: name + " " + why,
		Remediation: "connect a domain of your own; platform domains need no connection",
	}
}

func describeIDNA(name string, err error) string {
	for label := range strings.SplitSeq(name, ".") {
		switch {
		case label == "":
			return "it has two dots in a row"
		case len(label) > 63 && isASCII(label):
			return fmt.Sprintf("the part %q… is %d characters long", label[:10], len(label))
		case strings.Contains(label, "_"):
			return fmt.Sprintf("the part %q has an underscore, which certificates can't hold", Line(label, MaxInput))
		case reservedHyphens(label):
			return fmt.Sprintf(
				"the part %q has hyphens in places 3 and 4, which are reserved for encoded names (RFC 5891 §4.2.3.1)",
				Line(label, MaxInput),
			)
		case strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-"):
			return fmt.Sprintf("the part %q begins or ends with a hyphen", Line(label, MaxInput))
		}
	}
	return strings.TrimPrefix(err.Error(), "idna: ")
}

// reservedHyphens reports whether a label looks like an encoded one and is of no encoding that is known; xn-- is.
func reservedHyphens(label string) bool {
	r := []rune(label)
	return len(r) >= 4 && r[2] == '-' && r[3] == '-' && !strings.EqualFold(string(r[:2]), "xn")
}

func isAddress(name string) bool {
	_, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil
}

func isASCII(s string) bool {
	for _, c := range s {
		if c > 127 {
			return false
		}
	}
	return true
}

func within(name string, zones []string) bool {
	for _, z := range zones {
		if z != "" && (name == z || strings.HasSuffix(name, "."+z)) {
			return true
		}
	}
	return false
}
