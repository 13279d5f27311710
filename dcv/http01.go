package dcv

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
)

// HTTP01Path is the path below which CAs request http-01 answers (RFC 8555 §8.3).
const HTTP01Path = "/.well-known/acme-challenge/"

// token matches the tokens of CAs: base64url without padding (RFC 8555 §8.3). The length limit is ours; CAs use 43 characters.
var token = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// retryAfter is the value of Retry-After, in seconds (RFC 8555 §8.2, RFC 9110 §10.2.3).
const retryAfter = "5"

// HTTP01 answers http-01 requests for any host: tokens can't be guessed, and the CA chooses the host. An unknown token gets 404. When the
// store fails, the answer is 503 with Retry-After. Few CAs retry; the others count a failure, but the status shows whoever investigates
// that the store was the cause.
func HTTP01(tokens interface {
	// HTTPToken returns the key authorization of a token; empty when no challenge is open.
	HTTPToken(ctx context.Context, token string) (string, error)
},
) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "Ask with GET.", http.StatusMethodNotAllowed)
			return
		}
		asked, ok := strings.CutPrefix(r.URL.Path, HTTP01Path)
		if !ok || !token.MatchString(asked) {
			http.Error(w, "This is no ACME token.", http.StatusNotFound)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), lookupTime)
		defer cancel()
		keyAuthorization, err := tokens.HTTPToken(ctx, asked)
		switch {
		case err != nil:
			w.Header().Set("Retry-After", retryAfter)
			http.Error(w, "The tokens can't be read now.", http.StatusServiceUnavailable)
		case keyAuthorization == "":
			http.Error(w, "No challenge with this token is open.", http.StatusNotFound)
		default:
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			io.WriteString(w, keyAuthorization) //nolint:errcheck // the client may have closed the connection
		}
	})
}
