package cert

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func codesInSource(t *testing.T) []string {
	t.Helper()
	return constants(t, "problem.go", "Code")
}

// constants returns the values of the string constants of a type that a Go file declares, in its order.
func constants(t *testing.T, path, typeName string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	var values []string
	for node := range ast.Preorder(file) {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			continue
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != typeName {
			continue
		}
		for _, value := range spec.Values {
			literal, ok := value.(*ast.BasicLit)
			require.True(t, ok, "a %s is not spelled out", typeName)
			text, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			values = append(values, text)
		}
	}
	return values
}

func readDiagnosis(t *testing.T) string {
	t.Helper()
	document, err := os.ReadFile("../docs/diagnosis.md")
	require.NoError(t, err)
	return string(document)
}

// A code that nobody explains helps nobody; one that is explained and gone misleads.
func TestEveryProblemCodeIsExplained(t *testing.T) {
	t.Parallel()
	_, section, found := strings.Cut(readDiagnosis(t), "\n## Every problem code\n")
	require.True(t, found, "docs/diagnosis.md has no section of that name")
	section, _, _ = strings.Cut(section, "\n## ")
	var explained []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| (.+) \\| (.+) \\| (.+) \\| (.+) \\|$").FindAllStringSubmatch(section, -1) {
		explained = append(explained, row[1])
		require.Regexp(t, "^(tenant|platform|CA|registrar)(, (tenant|platform|CA|registrar))*$", row[3], "who acts on %s", row[1])
		require.Regexp(t, "^(blocks|warns|blocks, warns|–)$", row[4], "the severity of %s", row[1])
	}
	require.Equal(t, strings.Count(section, "\n| `"), len(explained), "a row of the table is not of five cells")
	inSource := codesInSource(t)
	require.Greater(t, len(inSource), 40)
	slices.Sort(inSource)
	slices.Sort(explained)
	require.Equal(t, inSource, explained, "the codes of package cert, and those that docs/diagnosis.md explains")
}

// letsdebugChecks are the names of all the problems that letsdebug reports, by method.
var letsdebugChecks = map[string][]string{
	"Every method": {
		"InvalidMethod", "InvalidDomain", "MethodNotSuitable", "StatusNotOperational", "SanctionedDomain", "DNSLookupFailed", "CAACriticalUnknown",
		"CAAIssuanceNotAllowed", "CAAPossiblyInvalid", "CAARequiresAccountUri", "RateLimit", "IssueFromLetsEncrypt", "ServiceBusy",
	},
	"http-01": {
		"DNSLookupFailed", "ReservedAddress", "NoRecords", "ANotWorking", "AAAANotWorking", "BadRedirect", "WebserverMisconfiguration", "UnexpectedHttpResponse",
		"MultipleIPAddressDiscrepancy", "PortForwarding", "BlockedByNginxTestCookie", "HttpOnHttpsPort", "BlockedByFirewall", "CloudflareCDN", "CloudflareSSLNotProvisioned",
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
	require.Equal(t, constants(t, "dns.go", "ServerState"), known)
	require.Equal(t, constants(t, "../resolver/authority/zone.go", "State"), known)
}
