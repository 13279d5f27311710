package cert

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/e2e/drawn"
)

// codeWord finds a word of the code, such as caa_forbids, in text for people. Names of DNS records begin with an underscore.
var codeWord = regexp.MustCompile(`\b[a-z][a-z0-9]*(_[a-z0-9]+)+\b`)

func each[T ~string](t *testing.T, name string) (values []T) {
	t.Helper()
	for _, value := range drawn.Constants(t, ".", name) {
		values = append(values, T(value))
	}
	return values
}

// TestD4_LabelsAreWords: whatever value there is, people read words for it, without a full stop where the place that shows them adds one.
func TestD4_LabelsAreWords(t *testing.T) {
	t.Parallel()
	labels := []string{RecordWord("").Words(), NameResult{}.By()}
	verdicts := each[Verdict](t, "Verdict")
	for _, w := range each[RecordWord](t, "RecordWord") {
		labels = append(labels, w.Words())
	}
	for _, a := range each[Actor](t, "Actor") {
		labels = append(labels, a.Acts(), a.Who())
		labels = append(labels, Problem{Message: "It is wrong.", Remediation: "Do this.", WhoActs: a}.OneLine(), Problem{Message: "It is wrong", WhoActs: a}.OneLine())
	}
	for _, s := range each[Severity](t, "Severity") {
		labels = append(labels, s.Word())
	}
	for _, v := range verdicts {
		labels = append(labels, v.Conclusion(), CAAState{Verdict: v}.MayIssue(), Sighting{Verdict: v}.Shows(), Sighting{Verdict: v}.State().Words())
		for _, w := range verdicts {
			labels = append(labels, RecordChange{From: v, To: w}.Words())
		}
	}
	for _, label := range labels {
		require.Regexp(t, `[a-zA-Z]$`, label, "a label ends with a word, without a full stop")
		require.NotRegexp(t, codeWord, label)
	}
	require.Equal(t, "It is wrong – the tenant acts – Do this", Problem{Message: "It is wrong.", Remediation: "Do this.", WhoActs: TenantActs}.OneLine())
	require.Equal(t, "not yet propagated", RecordNotYetPropagated.Words())
}

func TestD5_SummariesAreSentences(t *testing.T) {
	t.Parallel()
	warning := Problem{Severity: Warns, WhoActs: TenantActs}
	ours, theirs := Problem{WhoActs: PlatformActs}, Problem{WhoActs: TenantActs, Severity: Blocks}
	names := []string{"xn--bcher-kva.de", "a.example", "b.example"}
	seen := map[string]bool{}
	for _, v := range each[Verdict](t, "Verdict") {
		for _, problems := range [][]Problem{nil, {warning}, {warning, ours}, {theirs}, {theirs, ours}} {
			for _, a := range []Answer{{}, {Failures: 1}, {Failures: 3, Held: true}} {
				a.Diagnosis = &Diagnosis{Verdict: v, Problems: problems}
				summary := a.Summary(names)
				require.Regexp(t, `^bücher\.de, a\.example and b\.example: .*[a-z]\.$`, summary)
				require.NotRegexp(t, codeWord, summary)
				seen[summary] = true
			}
		}
	}
	require.Len(t, seen, 9, "one for each case")
}

// TestF2_ProblemsAreWrittenForPeople reads the texts of every Problem in the product's source: no code is in them, and none ends in the middle of a
// sentence, where a value that is empty would leave it.
func TestF2_ProblemsAreWrittenForPeople(t *testing.T) {
	t.Parallel()
	read := 0
	require.NoError(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && slices.Contains([]string{"devstack", "e2e", "bench", "bin", ".git"}, entry.Name()) {
			return cmpErr(err)
		}
		if entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for node := range ast.Preorder(file) {
			field, ok := node.(*ast.KeyValueExpr)
			if !ok {
				continue
			}
			if key, ok := field.Key.(*ast.Ident); !ok || key.Name != "Message" && key.Name != "Remediation" {
				continue
			}
			texts := literals(t, field.Value)
			for i, text := range texts {
				read++
				require.NotRegexp(t, codeWord, text, path)
				if i == len(texts)-1 {
					require.NotRegexp(t, `\b(of|at|by|for|to|the|with) ?$`, text, "%s: the text ends in the middle of a sentence", path)
				}
			}
		}
		return nil
	}))
	require.Greater(t, read, 100)
}

// cmpErr returns the error of a walk, or that the folder is left out.
func cmpErr(err error) error {
	if err != nil {
		return err
	}
	return filepath.SkipDir
}

// literals returns the string literals of an expression in their order.
func literals(t *testing.T, of ast.Expr) (texts []string) {
	t.Helper()
	for node := range ast.Preorder(of) {
		if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			text, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			texts = append(texts, text)
		}
	}
	return texts
}
