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
		if first && problem == nil && isHeader(fields) {
			if reader.columns, err = readHeader(fields); err != nil {
				return nil, nil, fmt.Errorf("line %d: %w", number, err)
			}
			first = false
			continue
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
		return nil, nil, control.Malformed(fmt.Sprintf("a line is longer than %d bytes", maxLine), "check that the file is a CSV file with a domain on each line")
	} else if err != nil {
		return nil, nil, fmt.Errorf("read the file: %w", err)
	}
	return rows, bad, nil
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
		return nil, unreadable("the line is no CSV: "+err.Error(), `put quotes around whole fields only, and write a quote in one as ""`)
	}
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	return fields, nil
}

func isHeader(fields []string) bool {
	return slices.ContainsFunc(fields, func(f string) bool { return strings.EqualFold(f, "hostname") })
}

func readHeader(fields []string) (columns, error) {
	c := columns{hostname: -1, tenant: -1, also: -1, count: len(fields)}
	places := map[string]*int{"hostname": &c.hostname, "tenant": &c.tenant, "also": &c.also}
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
		return want, unreadable(fmt.Sprintf("the line has %d fields", len(fields)), fmt.Sprintf("give at most %d; separate further names by semicolons", r.columns.count))
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
	return unreadable(fmt.Sprintf("%.100q is on line %d already, with another tenant or other names", want.Hostname, earlier.Line), "keep one of the two lines")
}

func splitNames(field string) []string {
	return strings.FieldsFunc(field, func(c rune) bool { return c == ';' || c == ' ' })
}

func unreadable(message, remediation string) *cert.Problem {
	p := control.Malformed(message, remediation)
	return &p
}
