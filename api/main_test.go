package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/evercert/evercert/config"
)

func TestAWrongConfigurationNamesEveryVariableAndNoSecret(t *testing.T) {
	t.Parallel()
	_, err := config.LoadFrom[Config](
		map[string]string{"API_TOKEN": "hunter2", "API_LISTEN": "8080", "DATABASE_URL": "postgres://db/evercert"},
	)
	for _, want := range []string{
		"VALIDATION_ZONE is not set; it expects: DNS zone", "PLATFORM_TARGET is not set",
		`API_LISTEN is "8080"; it expects host:port`, "API_TOKEN is too short; it expects 16 characters or more",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not say %s", err, want)
		}
	}
	if err != nil && strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the token is shown: %v", err)
	}
}

func TestARequestUnderWayIsAnsweredWhenTheProcessEnds(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	slow := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		end()
		<-ctx.Done()
		if _, err := io.WriteString(w, "done"); err != nil {
			t.Error(err)
		}
	})
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, listener, slow, slog.New(slog.DiscardHandler)) }()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String(), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "done" {
		t.Errorf("got %q, %v", body, err)
	}
	if err := <-ended; err != nil {
		t.Errorf("serve: %v", err)
	}
}

// TestD1_AStalledBodyIsToldSo: over a real connection, since it is the server that gives up reading.
func TestD1_AStalledBodyIsToldSo(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	server := httptest.NewUnstartedServer(setup(t).handler)
	server.Config = newServer(server.Config.Handler, log)
	if limit := server.Config.ReadTimeout; limit <= 0 || limit > 15*time.Second {
		t.Errorf("a body may take %s, and the document says 15 s", limit)
	}
	server.Config.ReadTimeout = 200 * time.Millisecond
	server.Start()
	defer server.Close()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	fmt.Fprintf(
		conn,
		"POST /v1/domains HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{",
		testToken,
	)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusRequestTimeout || answer.Header.Get("Content-Type") != "application/problem+json" ||
		!answer.Close {
		t.Errorf("%d %v %s, %v", answer.StatusCode, answer.Header, body, err)
	}
}

// TestD1_TheServerItselfSpeaksNoHTML: what net/http would answer without asking the handler, and what it redirects.
func TestD1_TheServerItselfSpeaksNoHTML(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(setup(t).handler)
	server.Config = newServer(server.Config.Handler, slog.New(slog.DiscardHandler))
	server.Start()
	defer server.Close()
	for line, status := range map[string]int{
		"OPTIONS *": 404, "CONNECT x:443": 404, "GET http://x": 404, "GET http://x/v1//domains": 404, "GET //v1/domains": 404,
		"GET /v1/domains/%00": 400, "GET /healthz": 200,
	} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", line)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if err := errors.Join(answer.Body.Close(), conn.Close()); err != nil {
			t.Error(err)
		}
		if answer.StatusCode != status || status >= 400 && answer.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %v", line, answer.StatusCode, answer.Header)
		}
	}
}
