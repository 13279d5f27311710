package faults

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// table collects what became of each cell and prints it.
type table struct {
	mu      sync.Mutex
	rows    []string
	columns []string
	cells   map[[2]string]error
}

// add notes a cell; nil is ok. A cell that is noted twice keeps its first error.
func (t *table) add(row, column string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cells == nil {
		t.cells = map[[2]string]error{}
	}
	t.rows, t.columns = appendNew(t.rows, row), appendNew(t.columns, column)
	key := [2]string{row, column}
	if t.cells[key] == nil {
		t.cells[key] = err
	}
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// row and column give a place to what comes later, in any order.
func (t *table) row(name string) { t.rows = appendNew(t.rows, name) }

func (t *table) column(name string) { t.columns = appendNew(t.columns, name) }

// lost lists the cells that are not ok, a line each.
func (t *table) lost() (all []string) {
	for _, column := range t.columns {
		all = append(all, t.lostIn(column)...)
	}
	return all
}

func (t *table) lostIn(column string) (all []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, row := range t.rows {
		if err := t.cells[[2]string{row, column}]; err != nil {
			all = append(all, fmt.Sprintf("%s, %s: %v", row, column, err))
		}
	}
	return all
}

// String is the table as people read it: a row for each step, a column for each fault.
func (t *table) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	const first, width = 26, 18
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-*s", first, "")
	for _, column := range t.columns {
		fmt.Fprintf(&b, " %-*.*s", width, width, column)
	}
	for _, row := range t.rows {
		fmt.Fprintf(&b, "\n%-*.*s", first, first, row)
		for _, column := range t.columns {
			err, tried := t.cells[[2]string{row, column}]
			fmt.Fprintf(&b, " %-*s", width, cell(err, tried))
		}
	}
	return b.String()
}

func cell(err error, tried bool) string {
	switch {
	case !tried:
		return "-"
	case err == nil:
		return "ok"
	case errors.Is(err, errLost):
		return "LOST"
	default:
		return "late" // or with an order too many; the error says
	}
}
