package dnslab

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// patience bounds the start of a server, with all its zones, and each change of them. Tests share a slow machine.
const patience = 60 * time.Second

// inside names the environment variable that the test binary in the namespace has: the folder that its servers' files go to, which
// is removed when the tests have ended, be it in a panic.
const inside = "EVERCERT_TEST_IN_NAMESPACE"

// program is a name server as Debian packages it.
type program struct {
	name    string // as people call it
	binary  string
	pkg     string // the Debian package
	folder  string // where the configuration goes; it is the process's working folder
	args    []string
	address string // the one that it answers at, port 53
}

// Server is a running name server.
type Server struct {
	Name    string // of the program, such as "BIND"
	Address string // host:port, for UDP and TCP

	folder  string
	cmd     *exec.Cmd
	logFile string
	exited  chan struct{} // closed when the process has ended
	ended   error         // how; read it after exited
}

// newFolder makes a folder for a server's files.
func newFolder(t testing.TB) string {
	t.Helper()
	// Not t.TempDir: its path holds the test's name, and Unix sockets take 107 bytes.
	folder, err := os.MkdirTemp(os.Getenv(inside), "") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Errorf("remove a name server's files: %v", err)
		}
	})
	return folder
}

func writeFile(t testing.TB, folder, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start runs a program until the test ends. It does not wait for the first answer.
func start(t testing.TB, p program) *Server {
	t.Helper()
	AddAddress(t, p.address)
	s := &Server{
		Name: p.name, Address: net.JoinHostPort(p.address, "53"),
		folder: p.folder, logFile: filepath.Join(p.folder, "log"), exited: make(chan struct{}),
	}
	output, err := os.Create(s.logFile)
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close() //nolint:errcheck // the process has its own handle
	s.cmd = exec.CommandContext(t.Context(), p.copied(t), p.args...)
	s.cmd.Dir = p.folder
	s.cmd.Stdout, s.cmd.Stderr = output, output
	s.cmd.SysProcAttr = endWithParent()
	s.cmd.Cancel = func() error { return signalGroup(s.cmd.Process, syscall.SIGKILL) }
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", p.name, err)
	}
	go func() {
		s.ended = s.cmd.Wait()
		close(s.exited)
	}()
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("%s at %s wrote last:\n%s", s.Name, s.Address, s.lastLines(20))
		}
	})
	return s
}

// copied is a copy of the program in its folder. AppArmor profiles, which Debian has for named and unbound, go by path and
// would keep the server from its files.
func (p program) copied(t testing.TB) string {
	t.Helper()
	source, err := os.Open(find(t, p.binary, p.pkg))
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close() //nolint:errcheck // it was only read
	path := filepath.Join(p.folder, p.binary)
	// A process that is forked while the copy is open for writing holds it open until its exec, and Linux starts no program that is
	// open for writing (ETXTBSY).
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	target, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(target, source)
	if err := errors.Join(err, target.Close()); err != nil {
		t.Fatalf("copy %s: %v", p.binary, err)
	}
	return path
}

// find looks a program up where Debian puts it; a user's PATH has no sbin.
func find(t testing.TB, binary, pkg string) string {
	t.Helper()
	for _, candidate := range []string{binary, "/usr/sbin/" + binary, "/usr/local/sbin/" + binary} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	t.Fatalf("%s is missing here: apt-get install %s", binary, pkg)
	return ""
}

// Stop ends the server at once, as a crash does. A server that has ended already stays so.
func (s *Server) Stop() {
	_ = signalGroup(s.cmd.Process, syscall.SIGKILL) // it may have ended
	<-s.exited
}

// Log returns what the server has written so far.
func (s *Server) Log() string {
	raw, err := os.ReadFile(s.logFile)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

func (s *Server) lastLines(n int) string {
	lines := strings.Split(strings.TrimSpace(s.Log()), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// awaitAnswer asks the question until accepted takes the answer.
func (s *Server) awaitAnswer(t testing.TB, question *dns.Msg, accepted func(*dns.Msg) bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	var last string
	for {
		client := dns.Client{Timeout: time.Second}
		reply, _, err := client.ExchangeContext(t.Context(), question.Copy(), s.Address)
		switch {
		case err == nil && accepted(reply):
			return
		case err == nil:
			last = reply.String()
		default:
			last = err.Error()
		}
		select {
		case <-s.exited:
			t.Fatalf("%s at %s ended (%v); it wrote:\n%s", s.Name, s.Address, s.ended, s.lastLines(40))
		case <-deadline.C:
			t.Fatalf("%s at %s isn't ready: asked for %s, it says %s; it wrote:\n%s",
				s.Name, s.Address, question.Question[0].String(), last, s.lastLines(40))
		case <-again.C:
		}
	}
}

// awaitLife waits for an answer of whatever kind to a question that needs no lookup.
func (s *Server) awaitLife(t testing.TB) {
	t.Helper()
	question := new(dns.Msg).SetQuestion("version.bind.", dns.TypeTXT)
	question.Question[0].Qclass = dns.ClassCHAOS
	s.awaitAnswer(t, question, func(*dns.Msg) bool { return true })
}

// lines joins lines of a configuration.
func lines(format string, of ...string) string {
	var b strings.Builder
	for _, each := range of {
		fmt.Fprintf(&b, format+"\n", each)
	}
	return b.String()
}
