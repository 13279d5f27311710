package main

import "strings"

// class is the kind of a test, as the summary counts them.
type class string

const (
	unit         class = "unit"
	replay       class = "replay"
	integration  class = "integration"
	endToEnd     class = "end-to-end"
	browser      class = "browser"
	wholePackage class = "whole packages" // failures that belong to no test: a build, a TestMain, a command line
)

var classes = []class{unit, replay, integration, endToEnd, browser, wholePackage}

// realParts marks the output of a test that talks to real parts; e2e/stack logs it.
const realParts = "real parts:"

// classify returns the class of a top-level test. usesRealParts is whether its output or a subtest's has the mark.
func classify(pkg, test string, usesRealParts bool) class {
	switch {
	case strings.HasSuffix(pkg, "/workflows") && strings.HasPrefix(test, "TestReplay"):
		return replay
	case strings.Contains(test, "Browser"):
		return browser
	case !usesRealParts:
		return unit // in an end-to-end package too: a test that compares files is not an end-to-end test
	case isEndToEnd(pkg):
		return endToEnd
	default:
		return integration
	}
}

// isEndToEnd reports whether a package has end-to-end tests; two packages under e2e only serve them.
func isEndToEnd(pkg string) bool {
	return strings.Contains(pkg+"/", "/e2e/") && !strings.HasSuffix(pkg, "/e2e/stack") && !strings.HasSuffix(pkg, "/e2e/testsummary")
}
