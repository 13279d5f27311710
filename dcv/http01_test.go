package dcv_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/dcv"
)

func TestHTTP01(t *testing.T) {
	t.Parallel()
	stored := newMemory()
	stored.tokens["LoqXcYV8-q5ONbJQxbmR_7SCTNo3tiAXDfowyjxAjEuX0"] = "LoqX.thumbprint"
	slow, gone := newMemory(), newMemory()
	slow.err = fmt.Errorf("http-01 token: %w", context.DeadlineExceeded)
	gone.err = fmt.Errorf("http-01 token: %w", &net.OpError{Op: "dial", Err: fmt.Errorf("connection refused")})
	starting := newMemory()
	starting.err = fmt.Errorf("http-01 token: %w", errors.New("FATAL: the database system is starting up (SQLSTATE 57P03)"))
	const good = "LoqXcYV8-q5ONbJQxbmR_7SCTNo3tiAXDfowyjxAjEuX0"
	for _, c := range []struct {
		name, method, path string
		tokens             *memory
		status             int
		body               string
	}{
		{"the token", http.MethodGet, dcv.HTTP01Path + good, stored, 200, "LoqX.thumbprint"},
		{"a token that isn't there", http.MethodGet, dcv.HTTP01Path + "other", stored, 404, "No challenge"},
		{"no token", http.MethodGet, dcv.HTTP01Path, stored, 404, "no ACME token"},
		{"a path in its place", http.MethodGet, dcv.HTTP01Path + "a/../" + good, stored, 404, "no ACME token"},
		{"characters that tokens have none of", http.MethodGet, dcv.HTTP01Path + "a%3Cscript%3E", stored, 404, "no ACME token"},
		{"too long", http.MethodGet, dcv.HTTP01Path + strings.Repeat("a", 129), stored, 404, "no ACME token"},
		{"another path", http.MethodGet, "/" + good, stored, 404, "no ACME token"},
		{"POST", http.MethodPost, dcv.HTTP01Path + good, stored, 405, "GET"},
		{"a store that takes too long", http.MethodGet, dcv.HTTP01Path + good, slow, 503, "can't be read"},
		{"a store that is gone", http.MethodGet, dcv.HTTP01Path + good, gone, 503, "can't be read"},
		{"a store that starts", http.MethodGet, dcv.HTTP01Path + good, starting, 503, "can't be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			dcv.HTTP01(c.tokens).ServeHTTP(w, httptest.NewRequest(c.method, "http://shop.example.com"+c.path, nil))
			require.Equal(t, c.status, w.Code)
			require.Contains(t, w.Body.String(), c.body)
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
			require.Equal(t, c.status == 503, w.Header().Get("Retry-After") != "", "the time to ask again")
			if c.status == 200 {
				require.Equal(t, c.body, w.Body.String(), "the key authorization and nothing else")
				require.Equal(t, "application/octet-stream", w.Header().Get("Content-Type"))
			}
		})
	}
}
