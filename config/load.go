// Package config reads a process's settings from its environment. Each setting is a field of a struct:
//
//		type Config struct {
//			config.Logging
//			Listen string `env:"API_LISTEN" envDefault:"127.0.0.1:8080" doc:"address to listen on; put a TLS proxy before it"`
//		}
//
//	 The tags are those of github.com/caarlos0/env, and doc says what is expected. When a struct has a method Validate() error, it is called
//	 after its fields are read; its errors name the variable and what it expects.
package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// Load reads T, a struct of settings, from the environment of the process. Its error is an *Error, which lists every variable that is
// missing or wrong.
func Load[T any]() (T, error) {
	return LoadFrom[T](Environment())
}

// LoadFrom is like Load, with another environment than that of the process.
func LoadFrom[T any](environ map[string]string) (T, error) {
	var settings T
	l := loader{environ: environ, listed: map[string]bool{}}
	l.parse(reflect.ValueOf(&settings).Elem(), "")
	for _, n := range numberedIn(reflect.ValueOf(&settings).Elem()) {
		l.parseNumbered(n)
	}
	l.validate(reflect.ValueOf(&settings).Elem())
	if len(l.faults) > 0 {
		return settings, &Error{Faults: l.faults}
	}
	return settings, nil
}

// Error lists everything that is wrong with a configuration, one sentence for each variable. It contains no value of a Secret.
type Error struct{ Faults []string }

func (e *Error) Error() string {
	if len(e.Faults) == 1 {
		return "wrong configuration: " + e.Faults[0]
	}
	return fmt.Sprintf("wrong configuration, %d faults:\n  %s", len(e.Faults), strings.Join(e.Faults, "\n  "))
}

type loader struct {
	environ map[string]string
	faults  []string
	listed  map[string]bool // variables and whole faults that are listed already
}

// parse fills the fields one by one, so that each error names its variable: the errors of env.Parse for a whole struct name the Go fields.
func (l *loader) parse(settings reflect.Value, prefix string) {
	for f := range fields(settings.Type(), prefix) {
		one := reflect.New(reflect.StructOf([]reflect.StructField{{Name: f.Name, Type: f.Type, Tag: f.Tag}}))
		err := env.ParseWithOptions(one.Interface(), env.Options{Environment: l.environ, Prefix: f.prefix})
		if err != nil {
			l.add(f.variable, f.describe(l.environ[f.variable], err))
			continue
		}
		settings.FieldByIndex(f.Index).Set(one.Elem().Field(0))
	}
}

// validate calls the Validate methods, inner structs first. It does not report a variable again that could not be parsed.
func (l *loader) validate(settings reflect.Value) {
	for i := range settings.NumField() {
		if f := settings.Type().Field(i); f.IsExported() && isGroup(f) {
			l.validate(settings.Field(i))
		}
	}
	judge, ok := reflect.TypeAssert[interface{ Validate() error }](settings.Addr())
	if !ok {
		return
	}
	for _, err := range flatten(judge.Validate()) {
		fault := err.Error()
		variable, _, _ := strings.Cut(fault, " ")
		l.add(strings.TrimSuffix(variable, ":"), fault)
	}
}

// add lists a fault. The same fault comes twice when a struct embeds another and has its Validate by promotion.
func (l *loader) add(variable, fault string) {
	if l.listed[variable] || l.listed[fault] {
		return
	}
	l.faults = append(l.faults, fault)
	l.listed[fault] = true
	if isVariable(variable) {
		l.listed[variable] = true
	}
}

// describe says what a setting expects, and the value that was given unless it may be a secret.
func (f field) describe(given string, err error) string {
	var empty env.EmptyVarError
	var unset env.VarIsNotSetError
	if errors.As(err, &empty) || errors.As(err, &unset) {
		return strings.TrimSuffix(fmt.Sprintf("%s is not set; it expects: %s", f.variable, f.Tag.Get("doc")), "; it expects: ")
	}
	switch {
	case f.Type == reflect.TypeFor[time.Duration]():
		return fmt.Sprintf("%s is %q; it expects a duration such as 90s, 15m or 2h", f.variable, given)
	case f.Type.Kind() == reflect.Bool:
		return fmt.Sprintf("%s is %q; it expects true or false", f.variable, given)
	case f.Type.Kind() >= reflect.Int && f.Type.Kind() <= reflect.Float64 && !isText(f.Type):
		return fmt.Sprintf("%s is %q; it expects a number (%s)", f.variable, given, f.Type)
	}
	if parse, ok := errors.AsType[env.ParseError](err); ok {
		err = parse.Err
	}
	return fmt.Sprintf("%s: %v", f.variable, err)
}

func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}

// Environment returns the environment of the process.
func Environment() map[string]string {
	environ := map[string]string{}
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		environ[name] = value
	}
	return environ
}
