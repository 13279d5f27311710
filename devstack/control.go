package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"
)

// Control endpoints listen on the loopback only. A request that changes
// something must carry JSON: no web page can send that to another origin
// without asking first.

// controlTimeout is enough for the slowest request, a lock on tables that transactions hold.
const controlTimeout = time.Minute

// serveControl serves until ctx ends.
func serveControl(ctx context.Context, address string, h http.Handler) error {
	srv := &http.Server{Addr: address, Handler: requireJSON(h), ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() }) // ListenAndServe returns that it was closed
	defer stop()
	if err := srv.ListenAndServe(); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the control endpoint on %s: %w", address, err)
	}
	return nil
}

func requireJSON(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if r.Method != http.MethodGet && (err != nil || kind != "application/json") {
			http.Error(w, "want Content-Type application/json", http.StatusUnsupportedMediaType)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// readBody reads a JSON body and refuses fields it doesn't know.
func readBody[T any](r *http.Request) (v T, err error) {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, fmt.Errorf("read the request: %w", err)
	}
	return v, nil
}

// controlError is how an endpoint says what was wrong with a request.
type controlError struct {
	Error string `json:"error"`
}

func writeAnswer(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		v = controlError{err.Error()}
	} else if v == nil {
		v = struct{}{}
	}
	_ = json.NewEncoder(w).Encode(v) // the client went away: nothing to do about it
}

// callControl sends one request to a control endpoint and reads its answer
// into out, unless that is nil.
func callControl(ctx context.Context, method, url string, body, out any) error {
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(data)
	}
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, content)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%w (is the stack still running?)", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var failure controlError
		if err := json.NewDecoder(resp.Body).Decode(&failure); err != nil || failure.Error == "" {
			return fmt.Errorf("%s answered %s", url, resp.Status)
		}
		return errors.New(failure.Error)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}
