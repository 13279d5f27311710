package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// modulePath is what our own import paths begin with.
const modulePath = "github.com/evercert/evercert/"

// setting is one variable that a process reads, by the tags of its field.
type setting struct{ name, fallback, doc string }

// required stands in the place of a default where there is none and the variable can't be left out.
const required = "required"

// settingsOf lists what the program in a folder reads from its environment: the fields of the struct that it gives to
// config.Load. A main can't be imported, so its source is read; the rules are those of config.Describe.
func settingsOf(t *testing.T, folder string) map[string]setting {
	t.Helper()
	return settingsIn(t, folder, parsePackage(t, folder).loaded(t))
}

// settingsIn lists the fields of one struct.
func settingsIn(t *testing.T, folder, structName string) map[string]setting {
	t.Helper()
	found := map[string]setting{}
	parsePackage(t, folder).collect(t, structName, "", found)
	if len(found) == 0 {
		t.Fatalf("%s: no settings found in %s", folder, structName)
	}
	return found
}

// sourcePackage is the part of a package's source that matters here.
type sourcePackage struct {
	folder  string
	files   []*ast.File
	structs map[string]sourceStruct
}

// sourceStruct is a struct type and the file whose imports its fields' types are named by.
type sourceStruct struct {
	fields []*ast.Field
	file   *ast.File
}

func parsePackage(t *testing.T, folder string) *sourcePackage {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	p := &sourcePackage{folder: folder, structs: map[string]sourceStruct{}}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		p.files = append(p.files, file)
		for n := range ast.Preorder(file) {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if s, ok := spec.Type.(*ast.StructType); ok {
					p.structs[spec.Name.Name] = sourceStruct{s.Fields.List, file}
				}
			}
		}
	}
	return p
}

// loaded finds the type T in config.Load[T]() or config.LoadFrom[T](environment).
func (p *sourcePackage) loaded(t *testing.T) string {
	t.Helper()
	for _, file := range p.files {
		for n := range ast.Preorder(file) {
			index, ok := n.(*ast.IndexExpr)
			if !ok {
				continue
			}
			function, isSelector := index.X.(*ast.SelectorExpr)
			settings, isName := index.Index.(*ast.Ident)
			if isSelector && isName && (function.Sel.Name == "Load" || function.Sel.Name == "LoadFrom") {
				return settings.Name
			}
		}
	}
	t.Fatalf("%s: no config.Load found", p.folder)
	return ""
}

// collect adds the settings of a struct and of the structs in it.
func (p *sourcePackage) collect(t *testing.T, structName, prefix string, found map[string]setting) {
	t.Helper()
	s, ok := p.structs[structName]
	if !ok {
		return // a type that is not a group of settings, such as time.Duration
	}
	for _, field := range s.fields {
		tag := tagOf(t, field)
		name, options, _ := strings.Cut(tag.Get("env"), ",")
		if name != "" && name != "-" {
			flags, fallback := strings.Split(options, ","), tag.Get("envDefault")
			if slices.Contains(flags, "required") || slices.Contains(flags, "notEmpty") {
				fallback = required
			}
			found[prefix+name] = setting{prefix + name, fallback, tag.Get("doc")}
			continue
		}
		group := field.Type
		if list, ok := group.(*ast.ArrayType); ok && tag.Get("envNumbered") != "" {
			group = list.Elt // the first one of the list has the names without a number
		}
		switch typ := group.(type) {
		case *ast.Ident:
			p.collect(t, typ.Name, prefix+tag.Get("envPrefix"), found)
		case *ast.SelectorExpr:
			if folder := imported(t, s.file, typ); folder != "" {
				parsePackage(t, folder).collect(t, typ.Sel.Name, prefix+tag.Get("envPrefix"), found)
			}
		}
	}
}

func tagOf(t *testing.T, field *ast.Field) reflect.StructTag {
	t.Helper()
	if field.Tag == nil {
		return ""
	}
	text, err := strconv.Unquote(field.Tag.Value)
	if err != nil {
		t.Fatal(err)
	}
	return reflect.StructTag(text)
}

// imported is the folder of the package that a type comes from, if it is one of ours. None of ours is imported by another name.
func imported(t *testing.T, file *ast.File, typ *ast.SelectorExpr) string {
	t.Helper()
	qualifier, ok := typ.X.(*ast.Ident)
	if !ok {
		return ""
	}
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if folder, ours := strings.CutPrefix(path, modulePath); ours && filepath.Base(folder) == qualifier.Name {
			return folder
		}
	}
	return ""
}
