package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A field with the tag envNumbered is a list of equal groups, such as the platform's CAs:
//
//	CAs []ca.Config `envNumbered:"ACME_"`
//
// The first group is read from ACME_DIRECTORY, ACME_NAME, …; the second from ACME_2_DIRECTORY, ACME_2_NAME, …; and so on. The first one
// is always there. A variable of a group without the group before it is a fault: nobody would notice that it is not read.
const numberedTag = "envNumbered"

// isNumbered reports whether a field is a list of groups.
func isNumbered(f reflect.StructField) bool {
	return f.IsExported() && f.Tag.Get(numberedTag) != "" && f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct
}

// numbered is a list of groups with the beginning of its variables' names.
type numbered struct {
	list  reflect.Value
	first string // "ACME_"
}

// numberedIn returns the lists of groups in a struct and in the groups of it.
func numberedIn(settings reflect.Value) []numbered {
	var all []numbered
	for i := range settings.NumField() {
		switch f := settings.Type().Field(i); {
		case isNumbered(f):
			all = append(all, numbered{settings.Field(i), f.Tag.Get(numberedTag)})
		case f.IsExported() && isGroup(f):
			all = append(all, numberedIn(settings.Field(i))...)
		}
	}
	return all
}

// prefix returns the beginning of the variables of the nth group.
func (n numbered) prefix(group int) string {
	if group == 1 {
		return n.first
	}
	return n.first + strconv.Itoa(group) + "_"
}

// groups returns the numbers of the groups of which a variable is set, and always 1.
func (n numbered) groups(environ map[string]string) []int {
	pattern := regexp.MustCompile(`^` + regexp.QuoteMeta(n.first) + `([0-9]+)_`)
	groups := []int{1}
	for variable, value := range environ {
		if value == "" { // as not set: files for containers name variables that are left empty
			continue
		}
		if m := pattern.FindStringSubmatch(variable); m != nil {
			if group, err := strconv.Atoi(m[1]); err == nil && !slices.Contains(groups, group) {
				groups = append(groups, group)
			}
		}
	}
	slices.Sort(groups)
	return groups
}

// environ is the environment as the nth group reads it: its variables have the names of the first group's.
func (n numbered) environ(whole map[string]string, group int) map[string]string {
	if group == 1 {
		return whole
	}
	own := map[string]string{}
	for variable, value := range whole {
		if rest, ok := strings.CutPrefix(variable, n.prefix(group)); ok {
			own[n.first+rest] = value
		}
	}
	return own
}

// parseNumbered fills a list of groups. Each group is read and validated by itself, and its faults name its own variables.
func (l *loader) parseNumbered(n numbered) {
	name := regexp.MustCompile(`\b` + regexp.QuoteMeta(n.first))
	for i, group := range n.groups(l.environ) {
		if group != i+1 {
			l.add("", fmt.Sprintf("%s… is set, and %s… is not; number the groups without a gap", n.prefix(group), n.prefix(i+1)))
			return
		}
		element := reflect.New(n.list.Type().Elem()).Elem()
		inner := loader{environ: n.environ(l.environ, group), listed: map[string]bool{}}
		inner.parse(element, "")
		inner.validate(element)
		for _, fault := range inner.faults {
			l.add("", name.ReplaceAllString(fault, n.prefix(group)))
		}
		n.list.Set(reflect.Append(n.list, element))
	}
}

// describe lists the settings of all groups; of an empty list those of the first group, with their defaults.
func (n numbered) describe() []Setting {
	groups := n.list
	if groups.Len() == 0 {
		groups = reflect.MakeSlice(n.list.Type(), 1, 1)
	}
	var settings []Setting
	for i := range groups.Len() {
		for _, s := range Describe(groups.Index(i).Interface()) {
			s.Name = n.prefix(i+1) + strings.TrimPrefix(s.Name, n.first)
			settings = append(settings, s)
		}
	}
	return settings
}
