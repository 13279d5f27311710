package ca

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestConfigNamesTheVariableThatIsWrong(t *testing.T) {
	t.Parallel()
	const longKey = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	for _, test := range []struct {
		variable string
		spoil    func(*Config)
	}{
		{"", func(*Config) {}},
		{"", func(c *Config) { c.EABKeyID, c.EABKey, c.Contact = "id", longKey, "ops@example.com" }},
		{"ACME_DIRECTORY", func(c *Config) { c.Directory = "http://ca.test/directory" }},
		{"ACME_DIRECTORY", func(c *Config) { c.Directory = "" }},
		{"ACME_CONTACT", func(c *Config) { c.Contact = "nobody" }},
		{"ACME_EAB_KID", func(c *Config) { c.EABKey = longKey }},
		{"ACME_EAB_HMAC", func(c *Config) { c.EABKeyID, c.EABKey = "id", "top secret" }},
		{"ACME_EAB_HMAC", func(c *Config) { c.EABKeyID, c.EABKey = "id", "dG9vIHNob3J0" }},
		{"ACME_TIMEOUT", func(c *Config) { c.Timeout = 0 }},
		{"ACME_ORDERS_PER_SET_WEEK", func(c *Config) { c.OrdersPerSetWeek = -1 }},
	} {
		c := Config{Directory: "https://ca.test/directory", Timeout: time.Minute}
		test.spoil(&c)
		err := c.Validate()
		switch {
		case test.variable == "" && err != nil:
			t.Errorf("good configuration refused: %v", err)
		case test.variable != "" && (err == nil || !strings.Contains(err.Error(), test.variable)):
			t.Errorf("got %v; want an error about %s", err, test.variable)
		}
		if err != nil && strings.Contains(err.Error(), "top secret") {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
}

func TestConfigNamesTheCAByItsHost(t *testing.T) {
	t.Parallel()
	if got := (Config{Directory: "https://ca.test:14000/dir"}).DisplayName(); got != "ca.test" {
		t.Errorf("named %q", got)
	}
}

func TestMissingRootFileStopsTheStart(t *testing.T) {
	t.Parallel()
	c := Config{Directory: "https://ca.test/directory", Timeout: time.Minute, RootPEM: t.TempDir() + "/none.pem"}
	if _, err := New(c, nil, nil, nil, nil); err == nil || !strings.Contains(err.Error(), "ACME_ROOT_PEM") {
		t.Errorf("got %v", err)
	}
}

func TestF12_TwoCAsWithOneNameOrOneDirectoryAreRefused(t *testing.T) {
	t.Parallel()
	list := []Config{
		{Directory: "https://one.example/dir", Name: "one"},
		{Directory: "https://two.example/dir"},
		{Directory: "https://three.example/dir", Name: "ONE"},
		{Directory: "https://two.example/dir", Name: "four"},
		{Directory: "https://two.example/other"},
	}
	want := `ACME_3_NAME is "ONE", as that of CA 1; it expects a name of its own
ACME_4_DIRECTORY is the directory of CA 2; it expects another CA's
ACME_5_NAME is "two.example", as that of CA 2; it expects a name of its own`
	if got := fmt.Sprint(CheckList(list)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if err := CheckList(list[:2]); err != nil {
		t.Errorf("two CAs: %v", err)
	}
}
