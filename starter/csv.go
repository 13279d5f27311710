package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
)

// maxLine is longer than a row with a hundred names of the greatest length.
const maxLine = 64 << 10

// columns are where the fields of a row stand; -1 where there is no such column.
type columns struct{ hostname, tenant, also, count int }

// usual are the columns of a file that does not name them.
var usual = columns{hostname: 0, tenant: 1, also: 2, count: 3}

// readCSV reads a file of domains. Rows that can't be read are returned as refused; an error means that the whole file is of no use.
// Each line is a row of its own, so that one with a stray quote does not swallow those after it.
func readCSV(r io.Reader, tenant string) (rows []control.Row, bad []control.RowResult, err error) {
	reader := &rowReader{columns: usual, tenant: tenant, seen: map[string]control.Row{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	first := true
	for number := 1; lines.Scan(); number++ {
		line := lines.Bytes()
		if number == 1 {
			if line, err = withoutMark(line); err != nil {
				return nil, nil, err
			}
		}
		if len(bytes.Trim(line, " \t\r,")) == 0 {
			continue
		}
		fields, problem := splitLine(line)
		if first && problem == nil {
			first = false
			header, err := reader.begin(fields)
			if err != nil {
				return nil, nil, fmt.Errorf("line %d: %w", number, err)
			}
			if header {
				continue
			}
		}
		first = false
		row := control.Row{Line: number}
		if problem == nil {
			row.Connection, problem = reader.row(number, fields)
		}
		if problem != nil {
			bad = append(bad, control.RowResult{Row: row, Problem: problem})
			continue
		}
		rows = append(rows, row)
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, nil, control.Malformed(
			fmt.Sprintf("a line is longer than %d bytes", maxLine),
			"check that the file is a CSV file with a domain on each line",
		)
	} else if err != nil {
		return nil, nil, fmt.Errorf("read the file: %w", err)
	}
	if len(rows)+len(bad) == 0 {
		return nil, nil, control.Malformed("there is no domain in the file", "write one on each line: hostname,tenant,also")
	}
	return rows, bad, nil
}

// begin reads the first line, and reports whether it names the columns. Where it shows that no line of the file can be right, that is
// reported once.
func (r *rowReader) begin(fields []string) (header bool, err error) {
	for separator, name := range map[string]string{";": "semicolons", "\t": "tabs"} {
		if strings.Contains(fields[0], separator) { // no hostname has one
			return false, control.Malformed(
				"the columns are separated by "+name,
				"save the file as CSV with commas: hostname,tenant,also; further names on the same certificate are separated by semicolons",
			)
		}
	}
	if isHeader(fields) {
		r.columns, err = readHeader(fields)
		return true, err
	}
	if !strings.ContainsAny(fields[0], ".。．｡") {
		return false, control.Malformed(
			fmt.Sprintf("the first line begins with %q, which is neither a domain nor the name of a column", cert.Line(fields[0], cert.MaxBy)),
			"begin with a domain, or name the columns: hostname,tenant,also",
		)
	}
	return false, nil
}

// withoutMark takes off the byte order mark that spreadsheets write.
func withoutMark(line []byte) ([]byte, error) {
	if bytes.HasPrefix(line, []byte{0xff, 0xfe}) || bytes.HasPrefix(line, []byte{0xfe, 0xff}) {
		return nil, control.Malformed("the file is in UTF-16", "save it as CSV in UTF-8")
	}
	return bytes.TrimPrefix(line, []byte("\ufeff")), nil
}

func splitLine(line []byte) ([]string, *cert.Problem) {
	if !utf8.Valid(line) {
		return nil, unreadable("the line is not UTF-8", "save the file as CSV in UTF-8")
	}
	reader := csv.NewReader(bytes.NewReader(line))
	reader.TrimLeadingSpace = true
	fields, err := reader.Read()
	if err != nil {
		if parse, ok := errors.AsType[*csv.ParseError](err); ok {
			err = parse.Err
		}
		return nil, unreadable("the line is not CSV: "+err.Error(), `put quotes around whole fields only, and write a quote in one as ""`)
	}
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	return fields, nil
}

// hostnameColumns are the names by which people know the column of the hostname.
var hostnameColumns = []string{"hostname", "domain", "name"}

func isHeader(fields []string) bool {
	return slices.ContainsFunc(fields, func(f string) bool { return slices.Contains(hostnameColumns, strings.ToLower(f)) })
}

func readHeader(fields []string) (columns, error) {
	for len(fields) > 0 && fields[len(fields)-1] == "" { // spreadsheets add empty columns
		fields = fields[:len(fields)-1]
	}
	c := columns{hostname: -1, tenant: -1, also: -1, count: len(fields)}
	places := map[string]*int{"tenant": &c.tenant, "also": &c.also}
	for _, name := range hostnameColumns {
		places[name] = &c.hostname
	}
	for i, f := range fields {
		place := places[strings.ToLower(f)]
		if place == nil || *place >= 0 {
			return c, control.Malformed(fmt.Sprintf("the column %q is unknown or there twice", f), "name the columns hostname, tenant, also")
		}
		*place = i
	}
	return c, nil
}

// rowReader turns the fields of lines into rows.
type rowReader struct {
	columns columns
	tenant  string                 // of rows that name none
	seen    map[string]control.Row // by hostname
}

func (r *rowReader) row(line int, fields []string) (control.Connection, *cert.Problem) {
	for len(fields) > r.columns.count && fields[len(fields)-1] == "" { // spreadsheets add empty columns
		fields = fields[:len(fields)-1]
	}
	field := func(i int) string {
		if i < 0 || i >= len(fields) {
			return ""
		}
		return fields[i]
	}
	want := control.Connection{Hostname: field(r.columns.hostname), Tenant: field(r.columns.tenant), Also: splitNames(field(r.columns.also))}
	if len(fields) > r.columns.count {
		return want, unreadable(
			fmt.Sprintf("the line has %d fields", len(fields)),
			fmt.Sprintf("give at most %d; separate further names by semicolons", r.columns.count),
		)
	}
	if want.Tenant == "" {
		want.Tenant = r.tenant
	}
	return want, r.conflict(line, want)
}

// conflict refuses a second row for a hostname that wants something else than the first. Rows are connected at once and in any order,
// so that chance would choose between the two.
func (r *rowReader) conflict(line int, want control.Connection) *cert.Problem {
	key := strings.ToLower(strings.TrimSuffix(want.Hostname, "."))
	earlier, ok := r.seen[key]
	if !ok {
		r.seen[key] = control.Row{Line: line, Connection: want}
		return nil
	}
	if earlier.Tenant == want.Tenant && slices.Equal(earlier.Also, want.Also) {
		return nil
	}
	return unreadable(
		fmt.Sprintf("%.100q is on line %d already, with another tenant or other names", want.Hostname, earlier.Line),
		"keep one of the two lines",
	)
}

func splitNames(field string) []string {
	return strings.FieldsFunc(field, func(c rune) bool { return c == ';' || c == ' ' })
}

func unreadable(message, remediation string) *cert.Problem {
	p := control.Malformed(message, remediation)
	return &p
}
