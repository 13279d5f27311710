// Command testsummary reads what `go test -json` prints and says what a person wants to know: a line for each package
// as it ends, the output of what failed, every skipped test with its reason, how many tests of each kind ran, and
// as its last line `N passed, N failed, N skipped`. Tests are counted at the top level; a subtest belongs to its test.
//
// Several streams may follow each other. A line `exit N` after a stream gives the status of its `go test`, so that a
// command that failed without naming a test or a package counts as a failure too:
//
//	{ go test -json ./...; echo "exit $?"; } | testsummary
//
// Its own exit status is 1 when something failed or no test ran at all.
package main

import (
	"fmt"
	"os"
)

func main() {
	s := newSummary(os.Stdout)
	err := s.read(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsummary:", err)
	}
	if ok := s.report(); !ok || err != nil {
		os.Exit(1)
	}
}
