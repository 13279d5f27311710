package config

import (
	"encoding"
	"fmt"
	"iter"
	"log/slog"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Setting is one variable of a configuration, for the documentation and for the log line at the start.
type Setting struct {
	Name     string // name of the environment variable
	Type     string // such as "duration", "number", "list", "secret"
	Default  string
	Required bool // it has no default and can't be empty
	Doc      string
	Value    string // the value in effect; a Secret, or the password in a URL, is redacted
}

// Describe lists the settings of v, a struct or a pointer to one, in the order of its fields.
func Describe(v any) []Setting {
	value := reflect.Indirect(reflect.ValueOf(v))
	var settings []Setting
	for f := range fields(value.Type(), "") {
		_, options, _ := strings.Cut(f.Tag.Get("env"), ",")
		flags := strings.Split(options, ",")
		settings = append(settings, Setting{
			Name:     f.variable,
			Type:     f.kind(),
			Default:  f.Tag.Get("envDefault"),
			Required: slices.Contains(flags, "required") || slices.Contains(flags, "notEmpty"),
			Doc:      f.Tag.Get("doc"),
			Value:    show(value.FieldByIndex(f.Index)),
		})
	}
	for _, n := range numberedIn(value) {
		settings = append(settings, n.describe()...)
	}
	return settings
}

// Log returns the effective configuration as one attribute of a log line, with secrets redacted.
func Log(v any) slog.Attr {
	var attrs []slog.Attr
	for _, s := range Describe(v) {
		attrs = append(attrs, slog.String(s.Name, s.Value))
	}
	return slog.GroupAttrs("config", attrs...)
}

// field is a struct field that holds one setting.
type field struct {
	reflect.StructField
	prefix   string
	variable string
}

// fields yields the settings of a struct and of the structs in it. Index is the path from the outermost struct.
func fields(t reflect.Type, prefix string) iter.Seq[field] {
	return func(yield func(field) bool) {
		walk(t, prefix, nil, yield)
	}
}

func walk(t reflect.Type, prefix string, path []int, yield func(field) bool) bool {
	for i := range t.NumField() {
		f := t.Field(i)
		f.Index = append(slices.Clone(path), i)
		name, _, _ := strings.Cut(f.Tag.Get("env"), ",")
		switch {
		case !f.IsExported():
		case isGroup(f):
			if !walk(f.Type, prefix+f.Tag.Get("envPrefix"), f.Index, yield) {
				return false
			}
		case name != "" && name != "-":
			if !yield(field{f, prefix, prefix + name}) {
				return false
			}
		}
	}
	return true
}

// isGroup reports whether a field is a struct of settings. A struct that is one setting, such as url.URL, has an env tag.
func isGroup(f reflect.StructField) bool {
	return f.Type.Kind() == reflect.Struct && f.Tag.Get("env") == ""
}

func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

var variablePattern = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$`)

func isVariable(word string) bool { return variablePattern.MatchString(word) }

func (f field) kind() string {
	switch {
	case f.Type == reflect.TypeFor[Secret]():
		return "secret"
	case f.Type.String() == "time.Duration":
		return "duration"
	case isText(f.Type):
		return "text"
	}
	switch f.Type.Kind() {
	case reflect.Slice:
		return "list"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	default:
		return "number"
	}
}

// show formats a value as in the environment. It redacts passwords in URLs, even when the setting is not a Secret.
func show(v reflect.Value) string {
	if v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8 {
		items := make([]string, v.Len())
		for i := range items {
			items[i] = show(v.Index(i))
		}
		return strings.Join(items, ",")
	}
	text := fmt.Sprint(v.Interface())
	if u, err := url.Parse(text); err == nil && u.User != nil {
		return u.Redacted()
	}
	return text
}
