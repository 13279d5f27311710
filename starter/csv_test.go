package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/evercert/evercert/cert"
)

func TestE4_CSVFilesAsPeopleHaveThem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, want string }{
		{"plain", "a.example,acme\nb.example,acme\n", "1 a.example acme []; 2 b.example acme []"},
		{"no newline at the end", "a.example,acme", "1 a.example acme []"},
		{"the tenant by flag", "a.example\nb.example,\nc.example,other\n", "1 a.example flag []; 2 b.example flag []; 3 c.example other []"},
		{"further names", "a.example,acme,www.a.example;b.example c.example\n", "1 a.example acme [www.a.example b.example c.example]"},
		{"byte order mark, CRLF", "\ufeffa.example,acme\r\nb.example,acme\r\n", "1 a.example acme []; 2 b.example acme []"},
		{"header", "Hostname,Tenant,Also\na.example,acme,b.example\n", "2 a.example acme [b.example]"},
		{"header after a mark", "\ufeff\"hostname\"\r\na.example\r\n", "2 a.example flag []"},
		{"columns in another order", "tenant,hostname\nacme,a.example\n", "2 a.example acme []"},
		{"empty lines keep their numbers", "\n\na.example\n  \n,,\nb.example\n", "3 a.example flag []; 6 b.example flag []"},
		{"quotes", "\"a.example\",\"acme\",\"b.example;c.example\"\n", "1 a.example acme [b.example c.example]"},
		{"spaces", "  a.example ,  acme\t\n", "1 a.example acme []"},
		{"empty columns of a spreadsheet", "a.example,acme,,,,\n", "1 a.example acme []"},
		{"the same row twice", "a.example,acme\na.example,acme\n", "1 a.example acme []; 2 a.example acme []"},
		{"a header that says domain", "domain,tenant\na.example,acme\n", "2 a.example acme []"},
		{"a header that says name", "Name,Tenant,,\na.example,acme,,\n", "2 a.example acme []"},
		{"a header in another order", "tenant,name\nacme,a.example\n", "2 a.example acme []"},
		{"Unicode", "bücher.example,acme\n", "1 bücher.example acme []"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rows, bad, err := readCSV(strings.NewReader(c.file), "flag")
			if err != nil || len(bad) > 0 {
				t.Fatalf("bad %+v, %v", bad, err)
			}
			var got []string
			for _, r := range rows {
				got = append(got, fmt.Sprintf("%d %s %s %v", r.Line, r.Hostname, r.Tenant, r.Also))
			}
			if strings.Join(got, "; ") != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestE4_WrongRowsAreNamedAndTheOthersKept(t *testing.T) {
	t.Parallel()
	file := "hostname,tenant,also\n" +
		"good1.example,acme\n" +
		"a \"quote\" inside,acme\n" + // 3
		"\"not closed,acme\n" + // 4
		"good2.example,acme\n" +
		"b.example,acme,c.example,d.example\n" + // 6
		"caf\xe9.example,acme\n" + // 7, Latin-1
		"GOOD1.example.,other\n" + // 8
		"good1.example,acme,more.example\n" + // 9
		"good3.example,acme\n"
	rows, bad, err := readCSV(strings.NewReader(file), "")
	if err != nil {
		t.Fatal(err)
	}
	var kept, refused []string
	for _, r := range rows {
		kept = append(kept, fmt.Sprintf("%d %s", r.Line, r.Hostname))
	}
	for _, b := range bad {
		refused = append(refused, fmt.Sprintf("%d %s", b.Line, b.Problem.Message))
		if b.Problem.Code != cert.RequestMalformed || b.Problem.Remediation == "" {
			t.Errorf("line %d: %+v", b.Line, b.Problem)
		}
	}
	if got := strings.Join(kept, "; "); got != "2 good1.example; 5 good2.example; 10 good3.example" {
		t.Errorf("kept %s", got)
	}
	want := `3 the line is not CSV: bare " in non-quoted-field
4 the line is not CSV: extraneous or missing " in quoted-field
6 the line has 4 fields
7 the line is not UTF-8
8 "GOOD1.example." is on line 2 already, with another tenant or other names
9 "good1.example" is on line 2 already, with another tenant or other names`
	if got := strings.Join(refused, "\n"); got != want {
		t.Errorf("refused:\n%s", got)
	}
}

func TestFilesOfNoUseAreRefusedAsAWhole(t *testing.T) {
	t.Parallel()
	for file, says := range map[string]string{
		"\xff\xfea\x00.\x00":                             "UTF-16",
		"hostname,tenant,owner\na.example,acme,bob\n":    `"owner"`,
		"hostname,hostname\na.example,a.example\n":       "twice",
		"hostname,domain\na.example,a.example\n":         "twice",
		"":                                               "there is no domain in the file",
		"\n , ,\n\n":                                     "there is no domain in the file",
		"hostname,tenant\n\n":                            "there is no domain in the file",
		"a.example;acme\nb.example;acme\n":               "line 1: request_malformed: the columns are separated by semicolons",
		"\nhostname;tenant\na.example;acme\n":            "line 2: request_malformed: the columns are separated by semicolons",
		"a.example\tacme\nb.example\tacme\n":             "line 1: request_malformed: the columns are separated by tabs",
		"hostname\ttenant\na.example\tacme\n":            "line 1: request_malformed: the columns are separated by tabs",
		"url,customer\na.example,acme\nb.example,acme\n": `line 1: request_malformed: the first line begins with "url"`,
		"Adresse;Kunde\na.example;acme\n":                "separated by semicolons",
		"a.example,acme," + strings.Repeat("x", maxLine): "longer than",
	} {
		rows, bad, err := readCSV(strings.NewReader(file), "")
		if err == nil || !strings.Contains(err.Error(), says) || rows != nil || bad != nil {
			t.Errorf("%.30q: %v rows, %v bad, %v", file, rows, bad, err)
		}
	}
}
