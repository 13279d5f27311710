package caa

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

// columns are the CAs of the table in docs/diagnosis.md, in its order.
var columns = []struct {
	heading string
	cas     []cert.CAIdentity
}{
	{"Let's Encrypt", []cert.CAIdentity{letsEncrypt, identity("another.example", "letsencrypt.org")}},
	{"Sectigo, ZeroSSL", []cert.CAIdentity{
		identity("sectigo.com"), identity("comodoca.com"), identity("comodo.com"), identity("usertrust.com"), identity("trust-provider.com"),
	}},
	{"DigiCert", []cert.CAIdentity{identity("digicert.com")}},
	{"other CAs", []cert.CAIdentity{
		google, identity("ssl.com"), identity("buypass.com"), identity("pebble.letsencrypt.org"), identity("private.example"),
	}},
}

// TestProfilesAreInTheDocument compares how CAs are known with the table in docs/diagnosis.md.
func TestProfilesAreInTheDocument(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/diagnosis.md")
	require.NoError(t, err)
	for i, p := range profiles {
		require.Contains(t, string(document), "\n| "+columns[i].heading+" | `"+strings.Join(p.issuers, "`, `")+"` | ")
	}
	require.Len(t, columns, len(profiles)+1, "all others have one column")
}

type tableRow struct {
	name    string
	records []string
	issues  []bool // by column
}

// documented reads the table of docs/diagnosis.md.
func documented(t *testing.T) []tableRow {
	t.Helper()
	document, err := os.ReadFile("../../docs/diagnosis.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(document), "\n## CAA, CA by CA\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	_, table, found := strings.Cut(section, "\n| order for | CAA records |")
	require.True(t, found)
	head, table, _ := strings.Cut(table, "\n")
	for i, c := range columns {
		require.Equal(t, c.heading, strings.TrimSpace(strings.Split(head, "|")[i]))
	}
	code := regexp.MustCompile("`([^`]*)`")
	var rows []tableRow
	for line := range strings.Lines(table) {
		cells := strings.Split(line, " | ")
		if len(cells) != len(columns)+3 {
			continue
		}
		row := tableRow{name: code.FindStringSubmatch(cells[0])[1]}
		for _, span := range code.FindAllStringSubmatch(cells[1], -1) {
			row.records = append(row.records, span[1])
		}
		require.True(t, len(row.records) > 0 || cells[1] == "none", cells[1])
		for _, verdict := range cells[2 : 2+len(columns)] {
			require.Contains(t, []string{"issues", "refuses"}, verdict, line)
			row.issues = append(row.issues, verdict == "issues")
		}
		rows = append(rows, row)
	}
	return rows
}

// TestF1_EachCAReadsCAAAsDocumented runs each row of the table in docs/diagnosis.md with each CA. Where records forbid, the remedy must let
// the CA issue; where they permit and the RFCs would not, there must be a warning, and nowhere else.
func TestF1_EachCAReadsCAAAsDocumented(t *testing.T) {
	t.Parallel()
	rows := documented(t)
	require.GreaterOrEqual(t, len(rows), 60)
	for _, row := range rows {
		for i, column := range columns {
			for _, ca := range column.cas {
				t.Run(row.name+" "+strings.Join(row.records, " and ")+" "+ca.Domains[0], func(t *testing.T) {
					t.Parallel()
					row.check(t, ca, row.issues[i], row.issues[len(columns)-1])
				})
			}
		}
	}
}

func (row tableRow) check(t *testing.T, ca cert.CAIdentity, issues, asWritten bool) {
	t.Helper()
	var records []string
	for _, record := range row.records {
		records = append(records, forCA(ca, record))
	}
	set := setAt(t, "example.com", records...)
	request := NewRequest(ca, row.name, cert.DNS01)
	warning, warns := Warning(row.name, []Set{set}, request)
	require.Equal(t, issues && !asWritten, warns, warning.Message)
	if issues {
		require.Equal(t, cert.OK, Verdict([]Set{set}, request))
		return
	}
	require.Equal(t, cert.Wrong, Verdict([]Set{set}, request))
	requireRemedy(t, row.name, set, request)
}

// requireRemedy does what a problem advises, and asks again. The advice must be what every CA of that name accepts.
func requireRemedy(t *testing.T, name string, set Set, request Request) {
	t.Helper()
	p := Problem(name, []Set{set}, request)
	if strings.Contains(p.Remediation, "change the flags") {
		for i, record := range set.Records {
			if profileOf(request.CA).stopsAt(record) {
				require.Contains(t, p.Remediation, strings.TrimPrefix(record.String(), record.Header().String()))
				set.Records[i].Flag = 0
			}
		}
	} else {
		require.NotNil(t, p.Record)
	}
	if p.Record != nil {
		require.Equal(t, strings.ToLower(p.Record.Value), p.Record.Value)
		require.Equal(t, strings.TrimPrefix(name, "*."), p.Record.Hostname)
		require.Contains(t, p.Remediation, p.Record.Value)
		set.Records = append(slices.Clone(set.Records), parseRecords(t, p.Record.Value)...)
	}
	require.Equal(t, cert.OK, Verdict([]Set{set}, request), p.Remediation)
	require.Equal(t, permitted, set.judge(request, asWritten), "the remedy is this CA's alone: %s", p.Remediation)
}
