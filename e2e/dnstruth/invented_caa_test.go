package dnstruth

import (
	"fmt"
	"strings"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/dnslab"
)

// inventedCAA are CAA records. Let's Encrypt is the only CA where a row says nothing else; all other records are right.
func inventedCAA() []invention {
	return append(inventedCAAValues(), inventedCAAPlaces()...)
}

// inventedCAAValues are the same but for what the CAA records of the domain say.
func inventedCAAValues() []invention {
	const (
		tree    = "RFC 8659 §3"
		grammar = "RFC 8659 §4.2; Boulder va/caa.go parseCAARecord"
		tags    = "RFC 8659 §4.1; Boulder va/caa.go filterCAA"
		flags   = "RFC 8659 §4.1 (bit 0 is critical, others are reserved); Boulder va/caa.go filterCAA"
		issuer  = "RFC 8659 §4.2; Boulder va/caa.go caaDomainMatches compares the whole text"
		account = "RFC 8657 §3; Boulder va/caa.go caaAccountURIMatches"
		method  = "RFC 8657 §4; Boulder va/caa.go caaValidationMethodMatches"
	)
	at := func(values ...string) row {
		text := owned + delegated + flat
		for _, value := range values {
			text += "@ CAA " + value + "\n"
		}
		return row{text: text}
	}
	yes := func(name, source string, values ...string) invention {
		r := at(values...)
		r.name = name
		return ready(source, r)
	}
	no := func(name, source string, says string, values ...string) invention {
		r := at(values...)
		r.name, r.codes = name, codes(cert.CAAForbids)
		r.says = append([]string{"letsencrypt.org", "$DOMAIN"}, strings.Fields(says)...)
		return doomed(source, r)
	}
	bound := func(name, source string, values ...string) invention {
		r := at(values...)
		r.name, r.codes, r.says = name, codes(cert.CAAAccountBound), []string{"https://ca.example/acct/1"}
		return doomed(source, r)
	}
	return []invention{
		no("CAA issuer typed as a web address", issuer, "https://letsencrypt.org", `0 issue "https://letsencrypt.org"`),
		no("CAA issuer with www", issuer, "www.letsencrypt.org", `0 issue "www.letsencrypt.org"`),
		no("CAA issuer in another top-level domain", issuer, "letsencrypt.com", `0 issue "letsencrypt.com"`),
		no("CAA issuer with a dot at its end", issuer, "", `0 issue "letsencrypt.org."`),
		no("CAA issuer in quotes of its own", issuer, "", `0 issue "\"letsencrypt.org\""`),
		no("CAA whole record typed into the value", issuer, "", `0 issue "0 issue letsencrypt.org"`),
		no("CAA two issuers in one value", issuer, "", `0 issue "letsencrypt.org, pki.goog"`),
		no("CAA account without the semicolon", grammar, "", `0 issue "letsencrypt.org accounturi=https://ca.example/acct/1"`),
		no("CAA value ends in two semicolons", grammar, "", `0 issue "letsencrypt.org;;"`),
		yes("CAA value ends in one semicolon", grammar, `0 issue "letsencrypt.org;"`),
		yes("CAA value with a space around it", grammar, `0 issue " letsencrypt.org ; "`),
		yes("CAA parameter with spaces around its sign", grammar, `0 issue "letsencrypt.org; accounturi = https://ca.example/acct/1 "`),
		yes(
			"CAA parameter of another CA",
			"RFC 8659 §4.2: parameters are for the issuer to define; Boulder va/caa.go reads the two that it knows",
			`0 issue "letsencrypt.org; cansignhttpexchanges=yes"`,
		),
		yes("CAA record that can't be read beside one that can", grammar, `0 issue "letsencrypt.org; ???"`, `0 issue "letsencrypt.org"`),
		yes("CAA tag in capitals", "RFC 8659 §4.1: matching of tags is case-insensitive", `0 ISSUE "letsencrypt.org"`),
		no(
			"CAA tag in capitals for another CA", "RFC 8659 §4.1: matching of tags is case-insensitive", "other.example",
			`0 Issue "other.example"`,
		),
		yes("CAA says only where to report", tags, `0 iodef "mailto:security@example.com"`),
		yes("CAA says critically where to report", tags+" (iodef is known)", `128 iodef "mailto:security@example.com"`),
		yes("CAA names us critically", tags, `128 issue "letsencrypt.org"`),
		yes("CAA with a contact only", tags, `0 contactemail "hostmaster@example.com"`),
		no("CAA with a critical contact", tags, "contactphone", `0 issue "letsencrypt.org"`, `128 contactphone "+15550100"`),
		yes("CAA with reserved flags on an unknown tag", flags, `126 future "x"`, `0 issue "letsencrypt.org"`),
		no("CAA with all flags on an unknown tag", flags, "future", `255 future "x"`, `0 issue "letsencrypt.org"`),
		yes("CAA tag with a typing error lets everybody issue", tags+": a set without issue restricts nobody", `0 isue "other.example"`),
		no("CAA tag with a typing error and the critical flag", tags, "isue", `128 isue "letsencrypt.org"`),
		yes(
			"CAA keeps wildcards for nobody", "RFC 8659 §4.3: issuewild is ignored for other names", `0 issue "letsencrypt.org"`,
			`0 issuewild ";"`,
		),
		yes(
			"CAA speaks of wildcards only",
			"RFC 8659 §4.3: issuewild is ignored for other names, and without issue nobody is kept out",
			`0 issuewild "other.example"`,
		),
		yes("CAA with other CAs around ours", tree, `0 issue "digicert.com"`, `0 issue "letsencrypt.org"`, `0 issue "sectigo.com"`),
		yes(
			"CAA of two accounts, the second ours", account, `0 issue "letsencrypt.org; accounturi=https://ca.example/acct/7"`,
			`0 issue "letsencrypt.org; accounturi=https://ca.example/acct/1"`,
		),
		bound("CAA account with a slash at its end", account, `0 issue "letsencrypt.org; accounturi=https://ca.example/acct/1/"`),
		bound("CAA account at http", account, `0 issue "letsencrypt.org; accounturi=http://ca.example/acct/1"`),
		bound("CAA account with one digit more", account, `0 issue "letsencrypt.org; accounturi=https://ca.example/acct/11"`),
		yes("CAA methods in another order", method, `0 issue "letsencrypt.org; validationmethods=http-01,dns-01"`),
		yes("CAA methods, one of them unknown", method, `0 issue "letsencrypt.org; validationmethods=dns-account-01,dns-01"`),
		no(
			"CAA methods with a space after the comma", grammar+": a value has no spaces", "",
			`0 issue "letsencrypt.org; validationmethods=http-01, dns-01"`,
		),
		no("CAA methods twice", method, "", `0 issue "letsencrypt.org; validationmethods=dns-01; validationmethods=dns-01"`),
		no("CAA methods empty", method, "", `0 issue "letsencrypt.org; validationmethods="`),
		yes(
			"CAA methods in letters that Boulder does not know",
			"Boulder va/caa.go caaValidationMethodMatches compares the tag letter by letter, and leaves others aside",
			`0 issue "letsencrypt.org; validationMethods=http-01"`,
		).only(dns01).may(cert.CAAForbids),
		yes(
			"CAA methods and accounts in either order", method+"; "+account,
			`0 issue "letsencrypt.org; validationmethods=dns-01; accounturi=https://ca.example/acct/1"`,
		),
	}
}

// inventedCAAPlaces differ by where the CAA records stand.
func inventedCAAPlaces() []invention {
	const (
		climb    = "RFC 8659 §3: the nearest set counts, and an alias's parents are not asked; Boulder va/caa.go selectCAA"
		wild     = "RFC 4592 §2.2.1: a wildcard makes no records for names that exist"
		issuance = "RFC 8659 §4.3"
	)
	forbids := codes(cert.CAAForbids)
	apex := `_evercert TXT "$OWNERSHIP(@)"` + "\n_acme-challenge CNAME $DELEGATION(@).\n@ A $EDGE4\n* CNAME $TARGET.\n"
	deep := "_evercert TXT $OWNERSHIP(@)\n_acme-challenge.shop.eu CNAME $DELEGATION(shop.eu).\n"
	brand := func(caa string) dnslab.Zone { // a zone under a top-level domain with CAA records, as brands have them
		tld := strings.Fields(caa)[0]
		text := dnslab.NS(a, b) + "_evercert.shop TXT \"$OWNERSHIP\"\n_acme-challenge.shop CNAME $DELEGATION(shop.brand." + tld +
			".).\n" + flat
		return dnslab.Zone{
			Name: "brand." + tld, On: dnslab.OnEach(text, a, b),
			Delegation: dnslab.NS(a, b) + fmt.Sprintf("$ORIGIN %s.\n@ CAA %s\n", tld, strings.TrimPrefix(caa, tld+" ")),
		}
	}
	return []invention{
		ready(climb, row{
			name: "CAA of a domain that the name leads to", text: owned + delegated + "shop CNAME www.$SECOND.\n",
			second: "www A $EDGE4\n@ CAA 0 issue \"other.example\"\n",
		}),
		doomed(climb, row{
			name: "CAA of a host that the name leads to through two domains", text: owned + delegated + "shop CNAME www.$SECOND.\n",
			second: "www CNAME cdn\ncdn A $EDGE4\ncdn CAA 0 issue \"other.example\"\n", codes: forbids,
			says: []string{"cdn.$SECOND"},
		}),
		ready(climb, row{
			name: "CAA of the host lets us in where the domain does not",
			text: owned + delegated + flat + "shop CAA 0 issue \"letsencrypt.org\"\n@ CAA 0 issue \";\"\n",
		}),
		ready(climb, row{
			name: "CAA of a name beside it",
			text: owned + delegated + flat + "www CAA 0 issue \";\"\n_acme-challenge CAA 0 issue \";\"\n",
		}),
		doomed("RFC 8659 §3: CAA of a parent name is looked up through its alias; Boulder leaves aliases to its resolver", row{
			name: "CAA behind the alias of the name above", hosts: []string{"shop.eu"}, text: deep +
				"shop.eu A $EDGE4\neu CNAME gate.$SECOND.\n", second: "gate A $EDGE4\ngate CAA 0 issue \"other.example\"\n",
			codes: forbids, says: []string{"gate.$SECOND"},
		}),
		ready(climb, row{
			name: "CAA above the alias of the name above", hosts: []string{"shop.eu"}, text: deep +
				"shop.eu A $EDGE4\neu CNAME gate.$SECOND.\n@ CAA 0 issue \"letsencrypt.org\"\n",
			second: "gate A $EDGE4\n@ CAA 0 issue \";\"\n",
		}),
		doomed("RFC 8659 §3: an empty set at the host, the next above counts", row{
			name: "CAA half-way up", hosts: []string{"shop.eu"},
			text: deep + "shop.eu A $EDGE4\neu CAA 0 issue \"other.example\"\n@ CAA 0 issue \"letsencrypt.org\"\n", codes: forbids,
			says: []string{"named eu"},
		}),
		ready(wild, row{
			name: "CAA of a wildcard beside the name",
			text: owned + delegated + flat + "* CAA 0 issue \";\"\n* A " + hostOld + "\n",
		}),
		doomed("RFC 4592 §2.2.1, RFC 8659 §3: what a wildcard makes counts as the name's own", row{
			name: "CAA of a wildcard that stands for the name", hosts: []string{
				"blog",
			}, methods: http01, text: "_evercert TXT $OWNERSHIP(@)\n* A $EDGE4\n" +
				"* CAA 0 issue \"other.example\"\n@ CAA 0 issue \"letsencrypt.org\"\n", codes: forbids,
		}),
		ready(issuance, row{
			name: "CAA lets us issue wildcards only", hosts: []string{"*.$DOMAIN"},
			text: apex + "@ CAA 0 issue \";\"\n@ CAA 0 issuewild \"letsencrypt.org\"\n",
		}),
		doomed(issuance, row{
			name: "CAA lets us issue wildcards and not the domain", hosts: []string{"@", "*.$DOMAIN"}, methods: dns01,
			text: apex + "@ CAA 0 issue \";\"\n@ CAA 0 issuewild \"letsencrypt.org\"\n", codes: forbids,
			says: []string{`0 issue "letsencrypt.org"`},
		}),
		ready(issuance+": without issuewild issue counts for wildcards", row{
			name: "CAA of a wildcard without a word on wildcards", hosts: []string{"*.$DOMAIN"},
			text: apex + "@ CAA 0 issue \"letsencrypt.org\"\n",
		}),
		doomed(issuance+"; RFC 8659 §3: the base name's set is looked up through its alias", row{
			name: "CAA for wildcards behind the alias of the base", hosts: []string{
				"*.eu",
			}, text: "_evercert.eu TXT \"$OWNERSHIP\"\n_acme-challenge.eu CNAME $DELEGATION(eu).\n" +
				"eu CNAME gate.$SECOND.\n*.eu CNAME $TARGET.\n",
			second: "gate A $EDGE4\ngate CAA 0 issue \"letsencrypt.org\"\ngate CAA 0 issuewild \";\"\n",
			codes:  forbids, says: []string{"gate.$SECOND"},
		}),
		ready(issuance, row{
			name: "CAA of the base lets us issue, and no word on wildcards", hosts: []string{"*.eu"},
			text: "_evercert.eu TXT \"$OWNERSHIP\"\n_acme-challenge.eu CNAME $DELEGATION(eu).\neu A $EDGE4\n" +
				"eu CAA 0 issue \"letsencrypt.org\"\n*.eu CNAME $TARGET.\n@ CAA 0 issuewild \";\"\n",
		}),
		doomed("RFC 8659 §3: the tree is climbed up to the top-level domain; Boulder va/caa.go parallelCAALookup asks it too", row{
			name: "CAA of a brand's top-level domain", absent: true, hosts: []string{"shop.brand.shut."}, extra: []dnslab.Zone{
				brand(`shut 0 issue "pki.goog"`),
			}, codes: forbids,
		}),
		ready("RFC 8659 §3", row{
			name: "CAA of a brand's top-level domain that lets us in", absent: true, hosts: []string{"shop.brand.open."},
			extra: []dnslab.Zone{brand(`open 0 issue "letsencrypt.org"`)},
		}),
		ready("RFC 7766 §5: answers that don't fit are asked for again over TCP", row{
			name: "CAA records that fill more than a datagram",
			text: owned + delegated + flat + manyCAs() + "@ CAA 0 issue \"letsencrypt.org\"\n",
		}),
		ready("RFC 8659 §3: both sets let the CA issue", row{
			name: "CAA on one server only, for us", text: owned + delegated + flat,
			on: onKnot(owned + delegated + flat + "@ CAA 0 issue \"letsencrypt.org\"\n"),
		}).may(cert.AnswersDiffer),
		ready(climb+"; RFC 6672 §2.3: the name that DNAME makes is looked up", row{
			name: "CAA of the domain that a DNAME leads to", hosts: []string{"shop.eu"},
			text:   "_evercert TXT $OWNERSHIP(@)\neu DNAME eu.$SECOND.\n",
			second: "_acme-challenge.shop.eu CNAME $DELEGATION(shop.eu).\nshop.eu A $EDGE4\n@ CAA 0 issue \";\"\n",
		}),
		doomed("RFC 6672 §2.3, RFC 8659 §3", row{
			name: "CAA of the name that a DNAME makes", hosts: []string{"shop.eu"},
			text: "_evercert TXT $OWNERSHIP(@)\neu DNAME eu.$SECOND.\n",
			second: "_acme-challenge.shop.eu CNAME $DELEGATION(shop.eu).\nshop.eu A $EDGE4\n" +
				"shop.eu CAA 0 issue \"other.example\"\n",
			codes: forbids, says: []string{"shop.eu.$SECOND"},
		}),
	}
}

// manyCAs are CAA records for other CAs, more than fit into a datagram.
func manyCAs() string {
	var text strings.Builder
	for i := range 60 {
		fmt.Fprintf(&text, "@ CAA 0 issue \"number-%02d.ca.example\"\n", i)
	}
	return text.String()
}
