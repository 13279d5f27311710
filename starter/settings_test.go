package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const devStack = `{"temporal":"127.0.0.1:17233","namespace":"dev","postgres":"postgres://evercert@127.0.0.1:15432/evercert",
	"env":{"VALIDATION_ZONE":"dcv.test","PLATFORM_TARGET":"edge.test","PLATFORM_ADDRESSES":"127.0.0.1",
	"TEST_SUFFIXES":"ready.test,empty.test","ACME_ROOT_PEM":"/ca/trust.pem","API_TOKEN":"x"}}`

// inProject makes a project with a running stack, and works in a folder below its root.
func inProject(t *testing.T) {
	t.Helper()
	root := t.TempDir()
	below := filepath.Join(root, "some", "folder")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, ".dev"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, ".dev", "stack.json"), []byte(devStack), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(below)
}

func TestADevelopmentStackIsFoundFromBelowItsRoot(t *testing.T) {
	inProject(t)
	s, err := loadSettings(map[string]string{"USER": "ann"}, "")
	if err != nil {
		t.Fatal(err)
	}
	if string(s.Store.URL) != "postgres://evercert@127.0.0.1:15432/evercert" || s.Temporal.Address != "127.0.0.1:17233" ||
		s.Temporal.Namespace != "dev" ||
		s.Control.ValidationZone != "dcv.test" || len(s.Control.TestSuffixes) != 2 ||
		len(s.Control.ReservedLabels) != 2 {
		t.Errorf("got %+v", s)
	}
}

func TestTheEnvironmentAndAStackAreNeverMixed(t *testing.T) {
	inProject(t)
	_, err := loadSettings(map[string]string{"DATABASE_URL": "postgres://evercert@db.example.net/evercert"}, "")
	if err == nil || !strings.Contains(err.Error(), "VALIDATION_ZONE is not set") {
		t.Errorf("the stack of the folder lent its zone to another database: %v", err)
	}
	named := write(t, "stack.json", devStack)
	s, err := loadSettings(
		map[string]string{"DATABASE_URL": "postgres://evercert@db.example.net/evercert", "TEMPORAL_ADDRESS": "temporal:7233"},
		named,
	)
	if err != nil || strings.Contains(string(s.Store.URL), "db.example.net") || s.Temporal.Address != "127.0.0.1:17233" {
		t.Errorf("a stack that is named counts: %+v, %v", s, err)
	}
}

func TestAStackFileThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"no/such/stack.json", write(t, "stack.json", "{")} {
		if _, err := loadSettings(nil, file); err == nil || !strings.Contains(err.Error(), "stack") {
			t.Errorf("%s: %v", file, err)
		}
	}
}
