package cert

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// The words in which people read verdicts, states, actors and changes. The CLI, the pages and the mails take them from here and add the
// layout only. A label has no full stop at its end; a sentence has one. No code, such as caa_forbids, is in them.

// Acts returns who acts, as a label: "the tenant acts".
func (a Actor) Acts() string { return a.noun() + " acts" }

// Who returns who acts, for somebody who does not know whom evercert means by it.
func (a Actor) Who() string {
	switch a {
	case TenantActs:
		return "the tenant, whose domain it is"
	case RegistrarActs:
		return "the registrar of the domain"
	default:
		return a.noun()
	}
}

func (a Actor) noun() string {
	if a == CAActs {
		return "the CA"
	}
	return "the " + string(a)
}

// Word returns the severity as a label; a problem without one blocks.
func (s Severity) Word() string {
	if s == Warns {
		return "Warns"
	}
	return "Blocks"
}

// OneLine returns the problem as a label: what – who acts – what to do.
func (p Problem) OneLine() string {
	parts := []string{strings.TrimSuffix(p.Message, "."), p.WhoActs.Acts()}
	if p.Remediation != "" {
		parts = append(parts, strings.TrimSuffix(p.Remediation, "."))
	}
	return strings.Join(parts, " – ")
}

// Words returns the state of a record as a label.
func (w RecordWord) Words() string {
	return strings.ReplaceAll(cmp.Or(string(w), "not checked yet"), "_", " ")
}

// Words returns what became of the record that is asked for, as a label.
func (c RecordChange) Words() string {
	switch {
	case c.From == c.To:
		return "changed"
	case c.To == OK:
		return "appeared"
	case c.From == OK:
		return "gone"
	default:
		return string(c.From) + " to " + string(c.To)
	}
}

// Shows returns what a server shows in the place of a record, or why that is not known, as a label.
func (s Sighting) Shows() string {
	switch {
	case s.Error != "":
		return s.Error
	case s.Verdict == Unknown && len(s.Found) == 0:
		return "no answer"
	case len(s.Found) == 0:
		return "nothing"
	default:
		return strings.Join(s.Found, ", ")
	}
}

// From returns who shows it, as a label: a name server of the domain, or a resolver.
func (r ServerRole) From(server string) string {
	if r == Recursive {
		return "resolver " + server
	}
	return server
}

// MayIssue returns whether the CA may issue, as a label.
func (s CAAState) MayIssue() string {
	switch s.Verdict {
	case OK:
		return "yes"
	case Wrong:
		return "no"
	default:
		return "not known"
	}
}

// By returns the method by which the name is validated, as a label; "wait" while there is none.
func (n NameResult) By() string { return cmp.Or(string(n.Method), "wait") }

// Conclusion returns the verdict of a check as a label.
func (v Verdict) Conclusion() string {
	switch v {
	case OK:
		return "the records were checked: all that is needed is there"
	case Wrong:
		return "the records were checked: something is missing or wrong"
	default:
		return "the records were checked: not all servers answered, so it is not known whether they are right"
	}
}

// Summary returns the result of a check in one line of sentences. names are those that were asked about.
func (d Diagnosis) Summary(names []string) string {
	who := Enumerate(names)
	warnings := 0
	for _, p := range d.Problems {
		if p.Severity == Warns {
			warnings++
		}
	}
	blocking := len(d.Problems) - warnings
	switch {
	case d.Verdict == OK && warnings > 0:
		return fmt.Sprintf("%s: ready, with %s. A certificate ordered now is expected to be issued.", who, count(warnings, "warning"))
	case d.Verdict == OK:
		return who + ": ready. A certificate ordered now is expected to be issued."
	case d.Verdict == Wrong && blocking > 0:
		return fmt.Sprintf("%s: not ready. No certificate can be ordered because of %s.", who, count(blocking, "problem"))
	case d.Verdict == Wrong:
		return who + ": not ready. A certificate can't be ordered by any of the methods allowed."
	case slices.ContainsFunc(d.Problems, func(p Problem) bool { return p.Severity != Warns && p.WhoActs != PlatformActs }):
		return who + ": not known. Answers that a CA needs did not come: check again in a minute. What is surely wrong is listed below, and " +
			"can be fixed meanwhile."
	default:
		return who + ": not known. Answers that a CA needs did not come, which is not the domain's fault. Check again in a minute."
	}
}

// Summary returns the result of a finished check in one line of sentences: that of its diagnosis, unless the records are right and
// attempts at the certificate failed all the same.
func (a Answer) Summary(names []string) string {
	if a.Diagnosis.Verdict != OK || a.Failures == 0 {
		return a.Diagnosis.Summary(names)
	}
	failed := "1 attempt failed"
	if a.Failures > 1 {
		failed = fmt.Sprintf("%d attempts in a row failed", a.Failures)
	}
	if a.Held {
		return fmt.Sprintf("%s: the records are right, but %s. Nothing is ordered until support hands the domain back.", Enumerate(names), failed)
	}
	return fmt.Sprintf("%s: the records are right, but %s.", Enumerate(names), failed)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Enumerate joins names as a sentence does, as people write them.
func Enumerate(names []string) string {
	shown := make([]string, len(names))
	for i, n := range names {
		shown[i] = Unicode(n)
	}
	if len(shown) < 2 {
		return strings.Join(shown, "")
	}
	last := len(shown) - 1
	return strings.Join(shown[:last], ", ") + " and " + shown[last]
}
