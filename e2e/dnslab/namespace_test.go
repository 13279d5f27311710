package dnslab

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asked names the test that this process was started for by another one.
const asked = "EVERCERT_TEST_ASKED"

func TestInNamespace_OnlyLoopbackExists(t *testing.T) {
	interfaces, err := net.Interfaces()
	require.NoError(t, err)
	require.Len(t, interfaces, 1)
	require.NotZero(t, interfaces[0].Flags&net.FlagUp)
}

// outside prepares the run of one test as the go command starts it: without the mark of the namespace.
func outside(t *testing.T, test string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-test.v", "-test.run=^"+test+"$", "-test.timeout=60s")
	outside := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, inside+"=") })
	cmd.Env = append(outside, asked+"="+test, "TMPDIR="+t.TempDir())
	return cmd
}

func TestInNamespace_PassesOutputAndStatusOn(t *testing.T) {
	t.Parallel()
	out, err := outside(t, "TestHelper_Fails").CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "%s", out)
	require.Equal(t, 1, exit.ExitCode())
	require.Contains(t, string(out), "--- FAIL: TestHelper_Fails")
	out, err = outside(t, "TestInNamespace_OnlyLoopbackExists").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestInNamespace_OnlyLoopbackExists")
}

func TestHelper_Fails(t *testing.T) {
	if os.Getenv(asked) == t.Name() {
		t.Fatal("as asked")
	}
}

// TestServersEndWithTheTestProcess kills one as the kernel or the go command would.
func TestServersEndWithTheTestProcess(t *testing.T) {
	t.Parallel()
	cmd := outside(t, "TestHelper_Hangs")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var pid int
	scanner := bufio.NewScanner(out)
	for pid == 0 && scanner.Scan() {
		if text, ok := strings.CutPrefix(scanner.Text(), "server "); ok {
			pid, err = strconv.Atoi(text)
			require.NoError(t, err)
		}
	}
	require.NotZero(t, pid, "the test process told no server")
	require.NoError(t, syscall.Kill(pid, 0))
	require.NoError(t, cmd.Process.Kill())
	require.Eventually(t, func() bool { return syscall.Kill(pid, 0) != nil }, 20*time.Second, 10*time.Millisecond)
	require.Error(t, cmd.Wait())
}

func TestHelper_Hangs(t *testing.T) {
	if os.Getenv(asked) != t.Name() {
		return
	}
	s := StartNSD(t, "127.0.40.6", nil)
	_, err := os.Stdout.WriteString("server " + strconv.Itoa(s.cmd.Process.Pid) + "\n")
	require.NoError(t, err)
	<-t.Context().Done()
}
