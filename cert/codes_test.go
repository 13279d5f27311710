package cert

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/e2e/drawn"
)

var update = flag.Bool("update", false, "write the table of codes into docs/diagnosis.md")

func codesInSource(t *testing.T) []string {
	t.Helper()
	return drawn.Constants(t, ".", "Code")
}

func readDiagnosis(t *testing.T) string {
	t.Helper()
	document, err := os.ReadFile("../docs/diagnosis.md")
	require.NoError(t, err)
	return string(document)
}

const (
	codesBegin = "<!-- The table of codes begins: `go test ./cert -run TestF2_EveryCodeIsExplained -update` writes it. -->"
	codesEnd   = "<!-- The table of codes ends. -->"
)

// TestF2_EveryCodeIsExplained: each code has a meaning, somebody who acts, a remedy and a verb; people read the same in docs/diagnosis.md.
func TestF2_EveryCodeIsExplained(t *testing.T) {
	t.Parallel()
	var explained []string
	var table strings.Builder
	table.WriteString("\n| code | meaning | who acts | blocks or warns | what fixes it | then |\n|---|---|---|---|---|---|\n")
	for _, e := range Explanations {
		explained = append(explained, string(e.Code))
		require.NotEmpty(t, e.WhoActs, e.Code)
		require.Contains(t, Verbs, e.Verb, e.Code)
		for _, sentence := range []string{e.Meaning, e.Remedy} {
			require.Regexp(t, `^[A-Z].*[^ ]\.$`, sentence, e.Code)
			require.NotRegexp(t, codeWord, sentence, e.Code)
		}
		who, severities := make([]string, len(e.WhoActs)), make([]string, len(e.Severities))
		for i, a := range e.WhoActs {
			who[i] = strings.TrimPrefix(a.noun(), "the ")
		}
		for i, s := range e.Severities {
			severities[i] = string(s)
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s | %s | %s |\n",
			e.Code, e.Meaning, strings.Join(who, ", "), cmp.Or(strings.Join(severities, ", "), "–"), e.Remedy, e.Verb)
	}
	require.Equal(t, codesInSource(t), explained, "the codes that are declared, and those that are explained")
	drawn.Section(t, "../docs/diagnosis.md", codesBegin, codesEnd, table.String(), *update)
}

// letsdebugChecks are the names of all the problems that letsdebug reports, by method.
var letsdebugChecks = map[string][]string{
	"Every method": {
		"InvalidMethod", "InvalidDomain", "MethodNotSuitable", "StatusNotOperational", "SanctionedDomain", "DNSLookupFailed",
		"CAACriticalUnknown",
		"CAAIssuanceNotAllowed", "CAAPossiblyInvalid", "CAARequiresAccountUri", "RateLimit", "IssueFromLetsEncrypt", "ServiceBusy",
	},
	"http-01": {
		"DNSLookupFailed", "ReservedAddress", "NoRecords", "ANotWorking", "AAAANotWorking", "BadRedirect", "WebserverMisconfiguration",
		"UnexpectedHttpResponse",
		"MultipleIPAddressDiscrepancy", "PortForwarding", "BlockedByNginxTestCookie", "HttpOnHttpsPort", "BlockedByFirewall", "CloudflareCDN",
		"CloudflareSSLNotProvisioned",
	},
	"dns-01":      {"TXTRecordError", "TXTDoubleLabel", "ValidationMethodDisabled"},
	"tls-alpn-01": {"CloudflareCDN", "CloudflareSSLNotProvisioned"},
}

// Each row has our code, or the reason why the check can't apply.
func TestEveryCheckOfLetsdebugHasARow(t *testing.T) {
	t.Parallel()
	known := codesInSource(t)
	for method, checks := range letsdebugChecks {
		_, section, found := strings.Cut(readDiagnosis(t), "\n### "+method+"\n")
		require.True(t, found, "docs/diagnosis.md has no section of that name")
		section, _, _ = strings.Cut(section, "\n#")
		for _, check := range checks {
			rows := regexp.MustCompile("(?m)^\\| `"+check+"` \\| (.+) \\| (.+) \\| (.+) \\|$").FindAllStringSubmatch(section, -1)
			require.NotEmpty(t, rows, "%s: %s has no row", method, check)
			for _, row := range rows {
				require.True(t, strings.Contains(row[2], "Can't ") || slices.ContainsFunc(known, func(code string) bool {
					return strings.Contains(row[2], "`"+code+"`")
				}), "%s: %s has neither a code nor a reason: %s", method, check, row[2])
			}
		}
	}
}

func TestTheDiagnosisNamesNoCodeThatIsNone(t *testing.T) {
	t.Parallel()
	known := codesInSource(t)
	for _, match := range regexp.MustCompile("`([a-z0-9]+(?:_[a-z0-9]+)+)`").FindAllStringSubmatch(readDiagnosis(t), -1) {
		require.Contains(t, known, match[1])
	}
}

// What the resolver's walk finds is sent as it is.
func TestB3_EveryStateOfANameServerThatTheResolverFindsIsKnown(t *testing.T) {
	t.Parallel()
	var known []string
	for _, state := range ServerStates {
		known = append(known, string(state))
	}
	require.Equal(t, drawn.Constants(t, ".", "ServerState"), known)
	require.Equal(t, drawn.Constants(t, "../resolver/authority", "State"), known)
}
