package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/google/uuid"
)

// exchange is what the access log says of a request beside what the request says itself.
type exchange struct {
	http.ResponseWriter
	id     string
	status int
	bytes  int
	err    error
}

type exchangeKey struct{}

func (e *exchange) WriteHeader(status int) {
	if e.status == 0 {
		e.status = status
	}
	e.ResponseWriter.WriteHeader(status)
}

func (e *exchange) Write(p []byte) (int, error) {
	if e.status == 0 {
		e.status = http.StatusOK
	}
	n, err := e.ResponseWriter.Write(p)
	e.bytes += n
	return n, err
}

// Unwrap lets http.ResponseController and http.MaxBytesReader reach the connection.
func (e *exchange) Unwrap() http.ResponseWriter { return e.ResponseWriter }

func exchangeOf(r *http.Request) *exchange {
	e, _ := r.Context().Value(exchangeKey{}).(*exchange)
	return e
}

// noteError keeps an error for the access log. People see its problem only.
func noteError(r *http.Request, err error) {
	if e := exchangeOf(r); e != nil {
		e.err = errors.Join(e.err, err)
	}
}

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// logged gives each request an id, writes one line about it when it is done, and turns a panic into a problem document.
func (s *server) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := &exchange{ResponseWriter: w, id: r.Header.Get("X-Request-Id")}
		if !requestIDPattern.MatchString(e.id) {
			e.id = uuid.NewString()
		}
		header := w.Header()
		header.Set("X-Request-Id", e.id)
		header.Set("Cache-Control", "no-store")
		header.Set("X-Content-Type-Options", "nosniff")
		r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, e))
		begun := time.Now()
		defer func() {
			if fault := recover(); fault != nil {
				if fault == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
					panic(fault)
				}
				e.err = fmt.Errorf("panic: %v\n%s", fault, debug.Stack())
				if e.status == 0 {
					writeProblem(e, r, e.err)
				}
			}
			s.logExchange(r, e, time.Since(begun))
		}()
		next.ServeHTTP(e, r)
	})
}

func (s *server) logExchange(r *http.Request, e *exchange, took time.Duration) {
	level := slog.LevelInfo
	switch {
	case e.status >= http.StatusInternalServerError:
		level = slog.LevelError
	case r.URL.Path == "/healthz" || r.URL.Path == "/readyz":
		level = slog.LevelDebug // a balancer asks every few seconds
	}
	attrs := []slog.Attr{
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", e.status), slog.Int("bytes", e.bytes),
		slog.Float64("took_ms", float64(took.Microseconds())/1000), slog.String("remote", r.RemoteAddr), slog.String("request_id", e.id),
	}
	if e.err != nil {
		attrs = append(attrs, slog.Any("error", e.err))
	}
	s.log.LogAttrs(r.Context(), level, "request", attrs...)
}
