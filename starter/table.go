package main

import (
	"fmt"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
	"unicode"
)

// table is one for people's eyes. What strangers' servers said can't break it or the terminal.
type table struct {
	app    *app
	text   strings.Builder
	writer *tabwriter.Writer
}

func (a *app) newTable(header ...string) *table {
	t := &table{app: a}
	t.writer = tabwriter.NewWriter(&t.text, 0, 0, 2, ' ', 0)
	t.row(header...)
	return t
}

func (t *table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = printable(c)
	}
	fmt.Fprintln(t.writer, strings.Join(cells, "\t"))
}

// show prints the table without the blanks that empty cells leave at the ends of lines.
func (t *table) show() {
	if err := t.writer.Flush(); err != nil {
		fmt.Fprintln(t.app.err, "evercert:", err)
	}
	for line := range strings.Lines(t.text.String()) {
		fmt.Fprintln(t.app.out, strings.TrimRight(line, " \n"))
	}
}

// printable takes out what could steer a terminal. Records and web pages are written by strangers.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}

// waitPatience is how long a person waits without a word.
const waitPatience = time.Second

// whileWaiting says on a terminal what is waited for, once it takes long enough to wonder. The function returned ends the wait.
func (a *app) whileWaiting(what string) func() {
	if !a.terminal {
		return func() {}
	}
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-time.After(waitPatience):
			fmt.Fprintln(a.err, "evercert:", what)
		case <-over:
		}
	})
	return func() { close(over); wg.Wait() }
}
