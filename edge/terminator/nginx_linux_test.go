package terminator_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/evercert/evercert/edge/terminator"
)

// TestA9_RequestFormsBesideNginx sends each form to nginx and to the edge, plain and over TLS, and compares the results. Where they differ
// the table has the reason. Run it with -v to see the table.
func TestA9_RequestFormsBesideNginx(t *testing.T) {
	t.Parallel()
	platform := &platform{}
	server := httptest.NewServer(platform)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	nginx := startNginx(t, u.Host)
	b := setup(t, func(o *terminator.Options) { o.Upstream = u })
	b.source.Install(b.ca.Issue(t, "shop.test"))
	doors := []func() (net.Conn, error){
		func() (net.Conn, error) { return net.Dial("unix", nginx) },
		func() (net.Conn, error) { return net.Dial("tcp", b.plain) },
		func() (net.Conn, error) {
			return tls.Dial("tcp", b.https, &tls.Config{ServerName: "shop.test", RootCAs: b.ca.Roots})
		},
	}
	var table bytes.Buffer
	rows := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(rows, "request\tnginx\tevercert\twhy")
	var differing int
	for _, form := range requestForms {
		var verdicts [3]string
		for i, dial := range doors {
			verdicts[i] = platform.verdict(t, dial, form.request)
		}
		fmt.Fprintf(rows, "%s\t%s\t%s\t%s\n", form.name, verdicts[0], verdicts[1], form.why)
		want := form.ours
		if want == "" {
			want = verdicts[0]
		} else {
			differing++
			if want == verdicts[0] || form.why == "" {
				t.Errorf("%s: nginx does the same, or the reason is missing", form.name)
			}
		}
		if verdicts[1] != want {
			t.Errorf("%s: evercert %s; want %s, nginx %s", form.name, verdicts[1], want, verdicts[0])
		}
		if verdicts[2] != verdicts[1] {
			t.Errorf("%s: over TLS %s, over plain HTTP %s", form.name, verdicts[2], verdicts[1])
		}
	}
	if err := rows.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d request forms, %d with another verdict than nginx's:\n%s", len(requestForms), differing, table.String())
}

// next is sent after each form, in the same write: its answer shows whether the connection continues, and where. It ends the connection, so
// that the test does not wait.
const next = "GET /next HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"

// platform is the upstream of both. It reads each request to its end and reports it.
type platform struct {
	mu   sync.Mutex
	seen []string
}

func (p *platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the proxy aborted: the request did not arrive
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	saw := r.Method + " " + r.URL.RequestURI()
	if len(body) > 0 {
		saw += fmt.Sprintf(" %d bytes", len(body))
	}
	if len(saw) > 40 {
		saw = saw[:40] + "…"
	}
	if saw != "GET /next" {
		p.seen = append(p.seen, saw)
	}
	io.WriteString(w, "done") //nolint:errcheck // the proxy reports errors
}

// verdict sends a form, and next after it. It returns the statuses of the answers until the connection ends, and what the platform got:
// "200 200 [GET /a]" is a request that was forwarded and after which the connection continued, "400" one that was refused and ended it.
func (p *platform) verdict(t *testing.T, dial func() (net.Conn, error), request string) string {
	t.Helper()
	p.mu.Lock()
	p.seen = nil
	p.mu.Unlock()
	conn, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // it has ended
	if err := conn.SetDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	go io.WriteString(conn, request+next) //nolint:errcheck // the server may close the connection early
	answer, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%q: the connection did not end, after %q", request, answer)
	}
	method, _, _ := strings.Cut(request, " ")
	verdict := statuses(answer, method)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.seen) > 0 {
		verdict += " [" + strings.Join(p.seen, ", ") + "]"
	}
	return verdict
}

// statuses parses the answers on a connection.
func statuses(answer []byte, method string) string {
	var codes []string
	in := bufio.NewReader(bytes.NewReader(answer))
	for {
		response, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			if len(codes) == 0 && len(answer) > 0 {
				return "no status line"
			}
			return strings.Join(codes, " ")
		}
		_, err = io.Copy(io.Discard, response.Body)
		if errors.Join(err, response.Body.Close()) != nil {
			return strings.Join(append(codes, "cut off"), " ")
		}
		codes = append(codes, fmt.Sprint(response.StatusCode))
		if response.StatusCode != http.StatusContinue {
			method = http.MethodGet
		}
	}
}

// startNginx runs Debian's nginx with its defaults in front of the platform until the test ends, and returns its socket.
func startNginx(t *testing.T, upstream string) string {
	t.Helper()
	binary, err := exec.LookPath("nginx")
	if err != nil {
		if binary, err = exec.LookPath("/usr/sbin/nginx"); err != nil { // a user's PATH has no sbin
			t.Fatal("nginx is missing here: apt-get install nginx-light")
		}
	}
	folder, err := os.MkdirTemp("", "nginx") //nolint:usetesting // t.TempDir's path holds the test's name, and Unix sockets take 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	socket := filepath.Join(folder, "socket")
	config := fmt.Sprintf(nginxConfig, socket, socket, upstream)
	if err := os.WriteFile(filepath.Join(folder, "nginx.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, "-p", folder, "-e", "stderr", "-c", "nginx.conf")
	cmd.Stderr = &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err = cmd.Wait()
	}()
	t.Cleanup(func() { <-ended })
	eventually(t, "nginx listens", func() bool {
		select {
		case <-ended:
			t.Fatalf("nginx ended: %v\n%s", err, log.String())
		default:
		}
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	return socket
}

// nginxConfig is a reverse proxy with nginx's defaults, for one name, in one process. Other names are refused as the edge refuses them.
const nginxConfig = `daemon off; master_process off; pid pid; error_log stderr crit;
events {}
http {
	access_log off;
	client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
	server { listen unix:%s default_server; return 421; }
	server {
		listen unix:%s;
		server_name shop.test;
		location / {
			proxy_pass http://%s;
			proxy_http_version 1.1;
			proxy_set_header Host $host;
			proxy_set_header Connection "";
		}
	}
}
`
