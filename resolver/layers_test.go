package resolver_test

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// maxLayers is how many layers of files a newcomer has to read to get to the top of a package.
const maxLayers = 6

// TestA9_FilesStandInLayers holds that the files of a package can be read from the bottom up: a file uses definitions of lower layers only,
// and no two files use each other. A method or field is a definition of the file that it stands in. A file that uses no other stands in the
// first layer; any other stands one above the highest that it uses.
//
// Each package is counted by itself, because a package is used by its exported names and need not be read for that. Packages are ordered
// by the compiler: imports make no circles.
func TestA9_FilesStandInLayers(t *testing.T) {
	t.Parallel()
	exports := exportData(t)
	for _, dir := range []string{".", "lookup", "caa", "guard", "reach", "registration"} {
		t.Run(dir, func(t *testing.T) {
			uses := usesOf(t, dir, exports)
			layers := map[string]int{}
			for _, file := range slices.Sorted(maps.Keys(uses)) {
				layerOf(t, file, uses, layers, nil)
			}
			for n := range maxLayers + 1 {
				for _, file := range slices.Sorted(maps.Keys(layers)) {
					if layers[file] == n {
						t.Logf("%d  %-20s uses %s", n, file, strings.Join(slices.Sorted(maps.Keys(uses[file])), " "))
					}
				}
			}
			highest := slices.Max(slices.Collect(maps.Values(layers)))
			require.LessOrEqual(t, highest, maxLayers, "layers of files in %s", dir)
		})
	}
}

// layerOf returns the layer of a file. It fails where the file uses itself through others; way holds those in between.
func layerOf(t *testing.T, file string, uses map[string]map[string]bool, layers map[string]int, way []string) int {
	if known, ok := layers[file]; ok {
		return known
	}
	if i := slices.Index(way, file); i >= 0 {
		require.FailNow(t, "files use each other", strings.Join(append(way[i:], file), " uses "))
	}
	layer := 1
	for used := range uses[file] {
		layer = max(layer, layerOf(t, used, uses, layers, append(slices.Clone(way), file))+1)
	}
	layers[file] = layer
	return layer
}

// usesOf returns, for each file of the package in a directory, the other files of the package whose definitions it uses.
func usesOf(t *testing.T, dir string, exports map[string]string) map[string]map[string]bool {
	fset := token.NewFileSet()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	var files []*ast.File
	uses := map[string]map[string]bool{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") || filepath.Base(path) == "doc.go" {
			continue
		}
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		files = append(files, file)
		uses[filepath.Base(path)] = map[string]bool{}
	}
	require.NotEmpty(t, files)
	fileOf := func(pos token.Pos) string { return filepath.Base(fset.Position(pos).Filename) }
	open := func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no export data for %s", path)
		}
		return os.Open(exports[path])
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{}}
	config := types.Config{Importer: importer.ForCompiler(fset, "gc", open)}
	pkg, err := config.Check(dir, fset, files, info)
	require.NoError(t, err)
	for ident, object := range info.Uses {
		if object.Pkg() == pkg && fileOf(object.Pos()) != fileOf(ident.Pos()) {
			uses[fileOf(ident.Pos())][fileOf(object.Pos())] = true
		}
	}
	return uses
}

// exportData returns the files that hold what the compiler knows of each package that package resolver is built from.
func exportData(t *testing.T) map[string]string {
	list := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", ".")
	list.Stderr = os.Stderr
	out, err := list.Output()
	require.NoError(t, err)
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		exports[path] = file
	}
	return exports
}
