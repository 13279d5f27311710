package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/evercert/evercert/config"
)

func TestAWrongConfigurationNamesEveryVariableAndNoSecret(t *testing.T) {
	t.Parallel()
	_, err := config.LoadFrom[Config](map[string]string{"API_TOKEN": "hunter2", "API_LISTEN": "8080", "DATABASE_URL": "postgres://db/evercert"})
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
