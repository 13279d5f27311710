package terminator

import (
	"errors"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"
)

const (
	connectTimeout  = 5 * time.Second  // to the upstream, which is near
	responseTimeout = 60 * time.Second // until the upstream begins its answer
	idlePerUpstream = 256              // kept connections; net/http's default of 2 would make the proxy dial too often
)

// newSite returns the handler behind the edge: the platform at upstream, or a built-in page when upstream is nil.
func newSite(upstream *url.URL, log *slog.Logger) http.Handler {
	var next http.Handler = http.HandlerFunc(builtinPage)
	if upstream != nil {
		next = newProxy(upstream, log)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodConnect:
			lastAnswer(w, r) // the bytes that follow may be a request for another site
			refuse(w, r, http.StatusMethodNotAllowed, "This server is no forward proxy.")
		case r.Method == http.MethodTrace: // its answer would show the visitor what the upstream knows about the request (RFC 9110 §9.3.8)
			lastAnswer(w, r)
			refuse(w, r, http.StatusMethodNotAllowed, "TRACE is not answered.")
		case outside(r.URL.Path):
			lastAnswer(w, r)
			refuse(w, r, http.StatusBadRequest, "This path leads out of the site.")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// outside reports whether a path leads outside its root, which may be a folder of the upstream, or contains NUL, where some programs end
// the path.
func outside(path string) bool {
	if strings.Contains(path, "\x00") {
		return true
	}
	if !strings.Contains(path, "..") {
		return false
	}
	depth := 0
	for segment := range strings.SplitSeq(path, "/") {
		switch segment {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}

func newProxy(upstream *url.URL, log *slog.Logger) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(upstream)
			r.Out.URL.RawQuery = r.In.URL.RawQuery // ReverseProxy drops parameters that Go can't parse; the edge does not read them
			r.Out.Host = r.In.Host                 // the platform identifies the tenant by it
			dropClaims(r.Out.Header)
			r.SetXForwarded()
		},
		Transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:   connectTimeout,
			ResponseHeaderTimeout: responseTimeout,
			ExpectContinueTimeout: time.Second,
			MaxIdleConnsPerHost:   idlePerUpstream,
			IdleConnTimeout:       90 * time.Second,
			DisableCompression:    true, // bodies are forwarded unchanged
			ForceAttemptHTTP2:     true,
		},
		ErrorLog:     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ErrorHandler: proxyFailed(log.With("upstream", upstream.Redacted())),
	}
}

// proxyFailed answers when the upstream fails. The cause is logged and not shown to the visitor.
func proxyFailed(log *slog.Logger) func(http.ResponseWriter, *http.Request, error) {
	return func(w http.ResponseWriter, r *http.Request, err error) {
		if errors.Is(err, errMalformed) {
			log.Debug("the client sent a malformed body", "host", r.Host, "error", err)
			lastAnswer(w, r) // the start of the next request is not known
			http.Error(w, "The request's body can't be read.", http.StatusBadRequest)
			return
		}
		if r.Context().Err() != nil || errors.Is(err, errStalled) {
			log.Debug("the client left or stopped sending", "host", r.Host, "error", err)
			http.Error(w, "The request was not sent to its end in time.", http.StatusRequestTimeout)
			return
		}
		log.Warn("the upstream did not answer", "host", r.Host, "error", err)
		status := http.StatusBadGateway
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			status = http.StatusGatewayTimeout
		}
		writePage(w, status, page{
			Title: http.StatusText(status),
			Text:  "The site behind this address does not answer at the moment. Its operator can see why; please try again in a while.",
		})
	}
}

// refuse answers for the edge itself, and at once: it does not wait for the rest of an HTTP/1 request body, but closes the connection.
func refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	w.Header().Set("Cache-Control", "no-store")
	if r.ContentLength != 0 {
		lastAnswer(w, r)
	}
	http.Error(w, text, status)
}

// lastAnswer closes the connection after this answer. HTTP/2 does not need it.
func lastAnswer(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
}

// builtinPage shows that the connection works, when no upstream is configured.
func builtinPage(w http.ResponseWriter, r *http.Request) {
	p := page{Title: hostname(r.Host), Text: "Nothing is configured behind this address yet. This connection is not encrypted."}
	if r.TLS != nil {
		p.Text = "HTTPS works for this name. Nothing is configured behind it yet."
	}
	writePage(w, http.StatusOK, p)
}

type page struct{ Title, Text string }

var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Title}}</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:20vh auto;padding:0 1rem}</style></head>
<body><h1>{{.Title}}</h1><p>{{.Text}}</p></body></html>
`))

func writePage(w http.ResponseWriter, status int, p page) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	pageTemplate.Execute(w, p) //nolint:errcheck // the client may have closed the connection
}
