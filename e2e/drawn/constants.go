package drawn

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Constants returns the values of the string constants of a type that the package in dir declares, file by file, in the order of their declaration.
func Constants(t *testing.T, dir, typeName string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var values []string
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".go") && !strings.HasSuffix(entry.Name(), "_test.go") {
			values = append(values, constantsIn(t, filepath.Join(dir, entry.Name()), typeName)...)
		}
	}
	require.NotEmpty(t, values, "no constants of type %s in %s", typeName, dir)
	return values
}

func constantsIn(t *testing.T, path, typeName string) (values []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
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
			if !ok { // a variable
				continue
			}
			text, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			values = append(values, text)
		}
	}
	return values
}
