package main

// report prints the tables and the closing line. It is false when something failed or nothing ran.
func (s *summary) report() bool {
	list := func(title string, lines []string) {
		if len(lines) == 0 {
			return
		}
		s.printf("\n%s:\n", title)
		for _, line := range lines {
			s.printf("  %s\n", line)
		}
	}
	list("Skipped", s.skips)
	list("Failed", s.failures)

	var total count
	s.printf("\n%-16s%8s%8s%8s\n", "", "passed", "failed", "skipped")
	for _, c := range classes {
		n := *s.counts[c]
		total.passed += n.passed
		total.failed += n.failed
		total.skipped += n.skipped
		if c != wholePackage || n.failed > 0 {
			s.printf("%-16s%8d%8d%8d\n", c, n.passed, n.failed, n.skipped)
		}
	}
	if total == (count{}) {
		s.printf("No test ran.\n")
	}
	s.printf("\n%d passed, %d failed, %d skipped\n", total.passed, total.failed, total.skipped)
	return total.failed == 0 && total != (count{})
}
