package control

import (
	"strings"
	"testing"
)

func TestE1_TheStatusSaysWhatToDoAboutABuild(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v    Version
		want string
	}{
		{Version{State: StateCurrent, Workers: 1, Domains: 5}, "nothing to do"},
		{Version{State: StateCurrent, Domains: 5}, "start one"},
		{Version{State: stateInactive, Workers: 1}, "deploy current B"},
		{Version{State: "draining", Workers: 1, Domains: 5}, "deploy drain B"},
		{Version{State: "draining", Workers: 1, Cases: 5}, "deploy drain B"},
		{Version{State: "draining", Domains: 5}, "deploy rescue B"},
		{Version{State: "drained", Workers: 1}, "can be stopped"},
		{Version{State: "draining"}, "nothing to do"},
	} {
		c.v.Build = "B"
		if got := c.v.next(); !strings.Contains(got, c.want) {
			t.Errorf("%+v: got %q, want %q in it", c.v, got, c.want)
		}
	}
}
