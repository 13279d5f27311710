package workflows

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"
)

// declared are the package's files without its tests.
func declared(t *testing.T) (files []*ast.File) {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	require.NoError(t, err)
	set := token.NewFileSet()
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, path, nil, 0)
		require.NoError(t, err)
		files = append(files, file)
	}
	require.NotEmpty(t, files)
	return files
}

// steps and orders are all options, by the names of their variables. A test below checks that none is missing.
var (
	steps = map[string]stepOptions{
		"checkOptions": checkOptions, "csrOptions": csrOptions, "installOptions": installOptions, "verifyOptions": verifyOptions,
		"recordOptions": recordOptions,
	}
	orders = map[string]workflow.ActivityOptions{"orderOptions": orderOptions, "pageOptions": pageOptions}
	briefs = map[string]workflow.LocalActivityOptions{"policyOptions": policyOptions}
)

func TestAllOptionsAreLookedAt(t *testing.T) {
	t.Parallel()
	for _, file := range declared(t) {
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				for _, name := range s.(*ast.ValueSpec).Names {
					if !strings.HasSuffix(name.Name, "Options") {
						continue
					}
					_, step := steps[name.Name]
					_, order := orders[name.Name]
					_, brief := briefs[name.Name]
					require.True(t, step || order || brief, "no test covers %s", name.Name)
				}
			}
		}
	}
}

func TestEveryStepHasItsLimits(t *testing.T) {
	t.Parallel()
	regular := map[string]workflow.ActivityOptions{}
	local := map[string]workflow.LocalActivityOptions{}
	for name, o := range steps {
		regular[name], local[name] = o.patient, localOptions(o.brief)
	}
	maps.Copy(regular, orders)
	maps.Copy(local, briefs)
	for name, o := range local {
		require.Positive(t, o.StartToCloseTimeout, name)
		require.LessOrEqual(t, o.StartToCloseTimeout, 2*time.Second, "%s: a workflow task waits for it", name)
		require.Equal(t, o.StartToCloseTimeout, o.ScheduleToCloseTimeout, "%s: the SDK copies StartToClose into an unset ScheduleToClose", name)
		require.NotNil(t, o.RetryPolicy, name)
		require.EqualValues(t, 1, o.RetryPolicy.MaximumAttempts, "%s: what fails goes on as a regular activity", name)
	}
	for name, o := range regular {
		require.Positive(t, o.StartToCloseTimeout, name)
		require.Greater(t, o.ScheduleToCloseTimeout, o.StartToCloseTimeout, "%s is tried more than once", name)
		require.NotNil(t, o.RetryPolicy, name)
		attempts := o.RetryPolicy.MaximumAttempts // zero is no limit, and so is what endless_internal_test.go makes of it
		require.True(t, attempts == 0 || attempts > 1000, "%s ends by its time only", name)
		require.Positive(t, o.RetryPolicy.MaximumInterval, name)
		if o.StartToCloseTimeout > 30*time.Second {
			require.Positive(t, o.HeartbeatTimeout, "%s: a killed worker is noticed", name)
			require.LessOrEqual(t, o.HeartbeatTimeout, 30*time.Second, name)
		}
	}
	require.GreaterOrEqual(t, recordOptions.patient.ScheduleToCloseTimeout, 5*365*24*time.Hour,
		"what people read is written, however long that takes")
}

func TestLocalOptionsRefuseNoTime(t *testing.T) {
	t.Parallel()
	require.Panics(t, func() { localOptions(0) })
	require.Panics(t, func() { localOptions(-time.Second) })
}

// TestLocalOptionsAreMadeInOnePlace: that place sets both limits.
func TestLocalOptionsAreMadeInOnePlace(t *testing.T) {
	t.Parallel()
	made := 0
	for _, file := range declared(t) {
		for _, d := range file.Decls {
			f, _ := d.(*ast.FuncDecl)
			ast.Inspect(d, func(n ast.Node) bool {
				c, ok := n.(*ast.CompositeLit)
				if !ok {
					return true
				}
				if s, ok := c.Type.(*ast.SelectorExpr); ok && s.Sel.Name == "LocalActivityOptions" {
					require.NotNil(t, f)
					require.Equal(t, "localOptions", f.Name.Name)
					made++
				}
				return true
			})
		}
	}
	require.Equal(t, 1, made)
}

// TestAWorkflowReturnsNoError: except the one that begins its next run. Any other error would end a domain or a case for good.
func TestAWorkflowReturnsNoError(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, file := range declared(t) {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Name.Name != "Domain" && f.Name.Name != "Escalation" && f.Name.Name != "continueAsNew" {
				continue
			}
			ast.Inspect(f.Body, func(n ast.Node) bool {
				if _, inner := n.(*ast.FuncLit); inner {
					return false
				}
				r, ok := n.(*ast.ReturnStmt)
				if !ok {
					return true
				}
				seen++
				require.Len(t, r.Results, 1)
				switch v := r.Results[0].(type) {
				case *ast.Ident:
					require.Equal(t, "nil", v.Name, f.Name.Name)
				case *ast.CallExpr:
					called := v.Fun.(*ast.SelectorExpr).Sel.Name
					require.Contains(t, []string{"continueAsNew", "NewContinueAsNewErrorWithOptions"}, called, f.Name.Name)
				default:
					t.Errorf("%s returns %T", f.Name.Name, v)
				}
				return true
			})
		}
	}
	require.GreaterOrEqual(t, seen, 6)
}
