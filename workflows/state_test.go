package workflows_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/workflows"
)

func TestStateOfAnActiveDomainIsSmall(t *testing.T) {
	t.Parallel()
	d := shop
	d.Names = nil
	for i := range 5 {
		d.Names = append(d.Names, fmt.Sprintf("%d.a-rather-long-name-of-a-shop.in-some-town.example.com", i))
	}
	d.Hostname = d.Names[0]
	payload, err := json.Marshal(active(t, d))
	require.NoError(t, err)
	require.Less(t, len(payload), 4096, "%s", payload)
}

// TestStateHasNoPlaceForAKey: Temporal's histories contain the state, and must not contain keys.
func TestStateHasNoPlaceForAKey(t *testing.T) {
	t.Parallel()
	secret := regexp.MustCompile(`(?i)key|pem|der\b|csr|chain|token|secret|sealed|private|password`)
	seen := map[reflect.Type]bool{}
	var fields int
	var walk func(path string, kind reflect.Type)
	walk = func(path string, kind reflect.Type) {
		switch kind.Kind() {
		case reflect.Pointer, reflect.Array:
			walk(path, kind.Elem())
		case reflect.Slice:
			require.NotEqual(t, reflect.Uint8, kind.Elem().Kind(), "%s holds bytes", path)
			walk(path+"[]", kind.Elem())
		case reflect.Map:
			walk(path+" key", kind.Key())
			walk(path+" value", kind.Elem())
		case reflect.Interface, reflect.Func, reflect.Chan:
			t.Errorf("%s can hold anything", path)
		case reflect.Struct:
			if kind == reflect.TypeFor[time.Time]() || seen[kind] {
				return
			}
			seen[kind] = true
			for field := range kind.Fields() {
				fields++
				name := field.Name + " " + strings.Split(field.Tag.Get("json"), ",")[0]
				require.False(t, secret.MatchString(name), "%s.%s sounds like a secret", path, name)
				walk(path+"."+field.Name, field.Type)
			}
		}
	}
	walk("State", reflect.TypeFor[workflows.State]())
	require.Greater(t, fields, 40, "the whole state was checked")
}
