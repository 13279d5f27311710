// Package dnstruth holds what evercert says of domains against real name servers: a table of broken set-ups and healthy ones,
// faults of DNS itself, and records that appear server by server. All of it runs on a DNS tree of package dnslab.
package dnstruth

import (
	"os"
	"testing"

	"github.com/evercert/evercert/e2e/dnslab"
)

func TestMain(m *testing.M) { os.Exit(dnslab.InNamespace(m)) }
