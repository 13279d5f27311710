package activities

import (
	"context"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
)

// registered maps the registered names to methods.
type registered map[string]string

func (r registered) RegisterActivityWithOptions(do any, o activity.RegisterOptions) {
	full := runtime.FuncForPC(reflect.ValueOf(do).Pointer()).Name() // …/activities.(*DNS).CheckDNS-fm
	r[o.Name] = strings.TrimSuffix(full[strings.LastIndex(full, "/")+1:], "-fm")
}

// TestE1_ActivityNamesArePinned fails when a name changes that histories may contain. Add lines here, and change none: an activity that is
// not called any more keeps its name until no history of a running workflow contains it.
func TestE1_ActivityNamesArePinned(t *testing.T) {
	t.Parallel()
	have := registered{}
	Set{}.Register(have)
	require.Equal(t, registered{
		"CheckDNS":           "activities.(*DNS).CheckDNS",
		"CreateCSR":          "activities.(*Issuance).CreateCSR",
		"OrderCertificate":   "activities.(*Issuance).OrderCertificate",
		"InspectDomains":     "activities.(*Caretaker).InspectDomains",
		"InstallCertificate": "activities.(*Installation).InstallCertificate",
		"VerifyEdge":         "activities.(*Installation).VerifyEdge",
		"ReadPolicy":         "activities.(*Records).ReadPolicy",
		"RecordStatus":       "activities.(*Records).RecordStatus",
		"RecordCase":         "activities.(*Records).RecordCase",
	}, have)
}

// TestE1_EveryActivityIsRegistered checks all methods of the structs, so that a method that is not registered is found here, and not by a
// workflow that waits for it.
func TestE1_EveryActivityIsRegistered(t *testing.T) {
	t.Parallel()
	have := registered{}
	Set{}.Register(have)
	var methods []string
	for s, i := reflect.TypeFor[Set](), 0; i < s.NumField(); i++ {
		owner := s.Field(i).Type
		for method := range owner.Methods() {
			if method.Type.NumIn() > 1 && method.Type.In(1) == reflect.TypeFor[context.Context]() {
				methods = append(methods, "activities.(*"+owner.Elem().Name()+")."+method.Name)
			}
		}
	}
	var names []string
	for _, method := range have {
		names = append(names, method)
	}
	require.ElementsMatch(t, methods, names)
}
