package workflows_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const house = "github.com/evercert/evercert/"

// listed is a package as `go list -json` prints it.
type listed struct {
	ImportPath, Name                   string
	Standard                           bool
	Imports, TestImports, XTestImports []string
	Deps                               []string // the packages that Imports needs, directly or not
}

// packages returns every package of this module and all that they import.
func packages(t *testing.T) map[string]listed {
	t.Helper()
	list := exec.CommandContext(
		t.Context(), "go", "list", "-deps", "-json=ImportPath,Name,Standard,Imports,TestImports,XTestImports,Deps", "./...",
	)
	list.Dir = ".."
	var complaint strings.Builder
	list.Stderr = &complaint
	out, err := list.Output()
	require.NoError(t, err, complaint.String())
	all := map[string]listed{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all[p.ImportPath] = p
	}
}

// reaches reports whether a package imports a module, directly or through others.
func (p listed) reaches(module string) bool {
	return slices.ContainsFunc(p.Deps, func(dep string) bool { return dep == module || strings.HasPrefix(dep, module+"/") })
}

// TestArrows checks which packages may import which. The linter checks direct imports only.
func TestArrows(t *testing.T) {
	t.Parallel()
	all := packages(t)
	of := func(folder string) listed {
		p, ok := all[house+folder]
		require.True(t, ok, "no package %s", folder)
		return p
	}

	t.Run("deterministic code stands on no outside world", func(t *testing.T) {
		t.Parallel()
		for adapter, module := range map[string]string{
			"ca": "github.com/go-acme/lego/v4", "store": "github.com/jackc/pgx/v5", "resolver": "github.com/miekg/dns",
		} {
			require.True(t, of(adapter).reaches(module), "%s is not what %s uses any more: fix this test", module, adapter)
			require.False(t, of("workflows").reaches(module), module)
		}
	})
	t.Run("the language stands on the standard library", func(t *testing.T) {
		t.Parallel()
		for _, dep := range of("cert").Deps {
			require.True(t, all[dep].Standard || strings.HasPrefix(dep, "golang.org/x/"), "cert stands on %s", dep)
		}
	})
	t.Run("adapters do not know each other", func(t *testing.T) {
		t.Parallel()
		adapters := []string{"ca", "resolver", "dcv", "install", "store", "keyring"}
		for _, adapter := range adapters {
			for _, other := range adapters {
				if other != adapter {
					require.False(t, of(adapter).reaches(house+other), "%s stands on %s", adapter, other)
				}
			}
		}
	})
	t.Run("workflows import cert, and activities for their names", func(t *testing.T) {
		t.Parallel()
		for folder, may := range map[string][]string{
			"cert": nil, "activities": {"cert"}, "workflows": {"activities", "cert"}, "keyring": {"config"},
		} {
			for _, dep := range of(folder).Deps {
				if below, ours := strings.CutPrefix(dep, house); ours {
					require.Contains(t, may, below, "%s stands on %s", folder, below)
				}
			}
		}
	})
	t.Run("no package imports a main", func(t *testing.T) {
		t.Parallel()
		for _, main := range []string{"worker", "api", "edge", "starter"} {
			require.Equal(t, "main", of(main).Name)
			for path, p := range all {
				require.NotContains(t, p.Imports, house+main, path)
				if path != house+main {
					require.NotContains(t, slices.Concat(p.TestImports, p.XTestImports), house+main, path)
				}
			}
		}
	})
}
