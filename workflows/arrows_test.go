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
	Deps                               []string // of Imports, and theirs
}

// packages is every package of the house and all that they stand on.
func packages(t *testing.T) map[string]listed {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Name,Standard,Imports,TestImports,XTestImports,Deps", "./...")
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

// reaches tells whether a package of the house stands on a module, anywhere below.
func (p listed) reaches(module string) bool {
	return slices.ContainsFunc(p.Deps, func(dep string) bool { return dep == module || strings.HasPrefix(dep, module+"/") })
}

// TestArrows holds the house to its plan: what may import what. The linter says the same sooner, but of direct imports only.
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
			require.True(t, of(adapter).reaches(module), "%s is not how %s speaks to the world any more: mend this test", module, adapter)
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
	t.Run("the story knows the language and the names of what is done", func(t *testing.T) {
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
	t.Run("nothing stands on a main", func(t *testing.T) {
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
