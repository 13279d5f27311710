package resolver

import (
	"fmt"
	"strings"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/lookup"
)

// The sentences in this package are for people who have never heard of a CNAME: what is wrong, then the one step that fixes it, with
// the record as the forms of DNS providers ask for it. Here are the parts that several checks share; each check has its own sentences.

const atProvider = "At your DNS provider "

// tenantActs returns the problem of a record that the tenant has to add or change; the remediation begins with atProvider.
func tenantActs(code cert.Code, want cert.Record, message, remediation string) cert.Problem {
	return cert.Problem{Code: code, WhoActs: cert.TenantActs, Message: message, Remediation: atProvider + remediation + ".", Record: &want}
}

// toAdd formats the step that adds a record.
func toAdd(want cert.Record) string {
	article := "a"
	if want.Type == "A" || want.Type == "AAAA" {
		article = "an"
	}
	return fmt.Sprintf("add %s %s record %s with the value %s", article, want.Type, cert.FormName(want.Name), want.Value)
}

// underDNAME replaces the step of a problem where a DNAME record leads all names below it to others, so that no record can stand at the
// name.
func underDNAME(p cert.Problem, want cert.Record, a lookup.Answer) cert.Problem {
	p.Message += fmt.Sprintf(" A DNAME record %s leads all names below it to others, so that no record can stand at %s.",
		cert.FormName(a.DNAME), want.Name)
	p.Remediation = atProvider + fmt.Sprintf("delete the DNAME record %s, then %s; or add the record where it leads to, at %s, with the "+
		"value %s.",
		cert.FormName(a.DNAME), toAdd(want), lookup.NoDot(a.Aliases[0]), want.Value)
	return p
}

// toAddAll formats the step that adds several records.
func toAddAll(records []cert.Record) string {
	steps := make([]string, len(records))
	for i, want := range records {
		steps[i] = toAdd(want)
	}
	return strings.Join(steps, ", and ")
}

// defaultMethods are those of a question that names none.
var defaultMethods = []cert.Method{cert.DNS01, cert.HTTP01}

// methodsOf returns the validation methods that may be chosen.
func methodsOf(q cert.Question) []cert.Method {
	if len(q.Methods) == 0 {
		return defaultMethods
	}
	return q.Methods
}

// addedTwice ends the message about a record at one of the doubledNames, which is its argument.
const addedTwice = "your DNS provider added the domain to its name a second time, which made it %s."

// doubledNames returns where a record lands when a DNS provider adds the domain to a name that has it already.
func doubledNames(want cert.Record) []string {
	registered := cert.RegisteredDomain(want.Name)
	names := []string{want.Name + "." + registered}
	if want.Hostname != registered {
		names = append(names, want.Name+"."+want.Hostname)
	}
	return names
}
