package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
)

// How ListenServed notices that its connection is dead though it was not closed, because of a firewall or a host that failed. After some
// silence it sends a query and waits some seconds for the answer. Together this is shorter than the minute for which an installation is
// verified: an edge that can't be notified reports it in time (the alert internal_error).
const (
	listenSilence = 15 * time.Second
	listenAnswer  = 10 * time.Second
)

// ListenServed calls changed with each name whose certificate or redirect rule has changed, until ctx ends, and then returns ctx's error.
// It has its own connection, and reconnects by itself. Notifications during a disconnection are lost, so it calls changed("") after each
// connect, also after the first one: anything may have changed. It calls lost when the connection broke, or could not be made.
//
//	Both functions are called by one goroutine, in order. They should return quickly, because nothing is read meanwhile.
func (s *Store) ListenServed(ctx context.Context, changed func(name string), lost func()) error {
	return s.listenFor(ctx, servedChannel, changed, lost)
}

// ListenConnected calls wake when domains were connected that TakeUnstarted may return. It reconnects as ListenServed does.
func (s *Store) ListenConnected(ctx context.Context, wake func()) error {
	return s.listenFor(ctx, connectedChannel, func(string) { wake() }, func() {})
}

// The channels of LISTEN and NOTIFY. SQL in other files names the first one.
const (
	servedChannel    = "evercert_served"
	connectedChannel = "evercert_connected"
)

func (s *Store) listenFor(ctx context.Context, channel string, changed func(payload string), lost func()) error {
	var pause backoff
	for {
		err := s.listen(ctx, channel, func(payload string) {
			pause = backoff{} // the connection was usable
			changed(payload)
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		lost()
		slog.WarnContext(ctx, "lost the connection for notifications", "channel", channel, "error", err)
		if err := pause.wait(ctx); err != nil {
			return err
		}
	}
}

// listen reads from one connection and returns when it breaks.
func (s *Store) listen(ctx context.Context, channel string, changed func(payload string)) (err error) {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), listenAnswer)
		defer cancel()
		err = errors.Join(err, conn.Close(closing))
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	changed("")
	for {
		payload, err := nextNotification(ctx, conn)
		if err != nil {
			return err
		}
		if payload != "" {
			changed(payload)
		}
	}
}

// nextNotification waits for a payload. It returns an empty one when nothing arrived for a while but the connection works.
func nextNotification(ctx context.Context, conn *pgx.Conn) (payload string, err error) {
	waiting, cancel := context.WithTimeout(ctx, listenSilence)
	defer cancel()
	notification, err := conn.WaitForNotification(waiting)
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		return "", ask(ctx, conn)
	}
	if err != nil {
		return "", fmt.Errorf("wait for a notification: %w", err)
	}
	return notification.Payload, nil
}

func ask(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, listenAnswer)
	defer cancel()
	if err := conn.Ping(ctx); err != nil {
		return fmt.Errorf("no answer after %s of silence: %w", listenSilence, err)
	}
	return nil
}
