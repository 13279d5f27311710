package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	promiseRow = regexp.MustCompile(`(?m)^\| ([A-F]\d+) \|`)
	// A citation is a row in the name of a test, or after the word row or rows.
	citedInTest = regexp.MustCompile(`\b(?:Test|Fuzz)([A-F]\d+)_`)
	citedInText = regexp.MustCompile(`\brows? ([A-F]\d+)((?:(?:, | and )[A-F]\d+)*)`)
	rowNumber   = regexp.MustCompile(`[A-F]\d+`)
)

// TestEveryPromiseThatIsCitedStandsInTheDocument: a reader finds each row that the code or a document names in docs/promises.md.
func TestEveryPromiseThatIsCitedStandsInTheDocument(t *testing.T) {
	t.Parallel()
	rows := map[string]bool{}
	for _, match := range promiseRow.FindAllStringSubmatch(readRoot(t, "docs/promises.md"), -1) {
		rows[match[1]] = true
	}
	cited := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "bin" || strings.HasPrefix(entry.Name(), ".") && entry.Name() != "..") {
			return fs.SkipDir
		}
		if ext := filepath.Ext(path); entry.IsDir() || ext != ".go" && ext != ".md" {
			return nil
		}
		text, err := os.ReadFile(path) //nolint:gosec // a file of this repository
		if err != nil {
			return err
		}
		for _, match := range append(citedInTest.FindAllString(string(text), -1), citedInText.FindAllString(string(text), -1)...) {
			for _, row := range rowNumber.FindAllString(match, -1) {
				cited++
				if !rows[row] {
					t.Errorf("%s cites row %s, which docs/promises.md does not have", path, row)
				}
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, cited, 100)
}
