package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// summarize returns what is printed for a stream, and whether all is well.
func summarize(t *testing.T, stream string) (printed string, ok bool) {
	t.Helper()
	var out strings.Builder
	s := newSummary(&out)
	if err := s.read(strings.NewReader(stream)); err != nil {
		t.Fatal(err)
	}
	ok = s.report()
	return out.String(), ok
}

// recorded is what a real `go test -json` printed, with times and most stack frames left out.
func recorded(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// events makes a stream of events that are given as "action package [test [output]]".
func events(t *testing.T, lines ...string) string {
	t.Helper()
	var stream strings.Builder
	for _, line := range lines {
		part := append(strings.SplitN(line, " ", 4), "", "", "")
		raw, err := json.Marshal(event{Action: part[0], Package: part[1], Test: part[2], Output: part[3]})
		if err != nil {
			t.Fatal(err)
		}
		stream.Write(append(raw, '\n'))
	}
	return stream.String()
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	return lines[len(lines)-1]
}

// expect checks the closing line, the verdict and pieces of what stands above.
func expect(t *testing.T, stream string, wantOK bool, wantLast string, wantPieces ...string) {
	t.Helper()
	printed, ok := summarize(t, stream)
	if ok != wantOK || lastLine(printed) != wantLast {
		t.Errorf("ok=%t, last line %q; want %t, %q", ok, lastLine(printed), wantOK, wantLast)
	}
	for _, piece := range wantPieces {
		if !strings.Contains(printed, piece) {
			t.Errorf("%q is missing", piece)
		}
	}
	if t.Failed() {
		t.Logf("printed:\n%s", printed)
	}
}

func TestAPassingStreamCountsTopLevelTests(t *testing.T) {
	t.Parallel()
	expect(t, events(t, "run p TestA", "run p TestA/sub", "pass p TestA/sub", "pass p TestA", "run p TestB", "pass p TestB", "pass p"),
		true, "2 passed, 0 failed, 0 skipped", "ok    p  2 tests")
}

func TestAFailureIsShownWithItsSubtestsOutput(t *testing.T) {
	t.Parallel()
	expect(t, recorded(t, "failure"), false, "1 passed, 1 failed, 0 skipped",
		"FAIL  example.com/sample/good TestB\n", "g_test.go:4: got 3", "--- FAIL: TestB/sub_one", "Failed:\n  example.com/sample/good TestB\n")
}

func TestThePassingTestsOutputIsNotShown(t *testing.T) {
	t.Parallel()
	printed, _ := summarize(t, recorded(t, "failure"))
	if strings.Contains(printed, "chatter of a passing test") || strings.Contains(printed, "=== RUN") {
		t.Errorf("printed:\n%s", printed)
	}
}

func TestAPanicIsAFailureOfItsTest(t *testing.T) {
	t.Parallel()
	expect(t, recorded(t, "panic"), false, "1 passed, 1 failed, 0 skipped",
		"panic: assignment to entry in nil map", "Failed:\n  example.com/sample/panics TestP\n")
}

func TestATimeOutFailsTheTestThatDidNotFinish(t *testing.T) {
	t.Parallel()
	expect(t, recorded(t, "timeout"), false, "1 passed, 1 failed, 0 skipped",
		"panic: test timed out after 2s", "--- did not finish: TestHangs", "Failed:\n  example.com/sample/timeout TestHangs\n")
}

func TestABuildFailureIsAFailure(t *testing.T) {
	t.Parallel()
	expect(t, recorded(t, "build"), false, "0 passed, 1 failed, 0 skipped",
		"broken/g_test.go:3:27: undefined: undefined", "Failed:\n  example.com/sample/broken as a whole\n")
}

func TestAFailingTestMainIsAFailure(t *testing.T) {
	t.Parallel()
	expect(t, recorded(t, "testmain"), false, "1 passed, 1 failed, 0 skipped", "stack did not stop", "mainfail as a whole")
}

func TestEverySkipIsListedWithItsReason(t *testing.T) {
	t.Parallel()
	expect(t, recorded(t, "skip"), true, "1 passed, 0 failed, 2 skipped",
		"skips TestA: needs a browser of some kind\n", "skips TestB/sub: not today\n", "skips TestC: no reason given\n")
}

func TestAStreamThatBreaksOffIsAFailure(t *testing.T) {
	t.Parallel()
	expect(t, events(t, "run p TestA", "output p TestA so far"), false, "0 passed, 1 failed, 0 skipped", "so far", "Failed:\n  p TestA\n")
	expect(t, events(t, "start p"), false, "0 passed, 1 failed, 0 skipped", "go test ended before this package did")
}

func TestTheStatusOfGoTestCounts(t *testing.T) {
	t.Parallel()
	passing, failing := events(t, "run p TestA", "pass p TestA", "pass p"), events(t, "run q TestA", "fail q TestA", "fail q")
	expect(t, passing+"exit 1\n", false, "1 passed, 1 failed, 0 skipped", "go test ended with status 1")
	expect(t, failing+"exit 1\n"+passing+"exit 0\n", false, "1 passed, 1 failed, 0 skipped")
	expect(t, failing+"exit 1\n"+"exit 2\n", false, "0 passed, 2 failed, 0 skipped", "go test ended with status 2")
}

func TestStreamsAddUp(t *testing.T) {
	t.Parallel()
	expect(
		t,
		events(
			t, "run p TestA", "pass p TestA", "pass p",
		)+"exit 0\nNow the other module\n"+events(
			t, "run q TestA", "pass q TestA", "pass q",
		)+"exit 0\n",
		true,
		"2 passed, 0 failed, 0 skipped",
		"\nNow the other module\n",
	)
}

func TestNoTestAtAllIsNoSuccess(t *testing.T) {
	t.Parallel()
	expect(t, "", false, "0 passed, 0 failed, 0 skipped", "No test ran.")
}

func TestTestsAreCountedByKind(t *testing.T) {
	t.Parallel()
	const root = "github.com/evercert/evercert"
	for _, c := range []struct {
		pkg, test string
		realParts bool
		want      class
	}{
		{root + "/cert", "TestA5_Failures", false, unit},
		{root + "/workflows", "TestReplayHistories", false, replay},
		{root + "/cert", "TestReplayNothing", false, unit},
		{root + "/store", "TestConnect", true, integration},
		{root + "/e2e", "TestA1_Complete", true, endToEnd},
		{root + "/e2e/chaos", "TestKill", true, endToEnd},
		{root + "/e2e", "TestImagesArePinned", false, unit},
		{root + "/e2e", "TestBrowserShowsRecords", true, browser},
		{root + "/e2e/stack", "TestDatabase", true, integration},
		{root + "/e2e/testsummary", "TestSkips", false, unit},
		{root + "/devstack", "TestSupervisor", false, unit},
	} {
		if got := classify(c.pkg, c.test, c.realParts); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.pkg, c.test, got, c.want)
		}
	}
}

func TestRealPartsAreNoticedInASubtest(t *testing.T) {
	t.Parallel()
	expect(
		t, events(t, "run p TestA", "run p TestA/sub", "output p TestA/sub real parts: postgres", "pass p TestA/sub", "pass p TestA", "pass p"),
		true, "1 passed, 0 failed, 0 skipped", "integration            1       0       0\n",
	)
}
