package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
)

// How ListenServed finds out that its connection is dead though nobody closed it (a firewall that forgot it, a host
// that went dark): after some silence it asks, and waits some seconds for the answer. Together they are less than
// the minute that an installation is looked for: an edge that cannot hear of it says so in time (the alert internal_error).
const (
	listenSilence = 15 * time.Second
	listenAnswer  = 10 * time.Second
)

// ListenServed calls changed with each name whose certificate or redirect rule has changed, until ctx ends, and then
// returns its error. It has a connection of its own. When that is lost it connects again by itself, and since what was
// told meanwhile is lost, it calls changed("") after each connect, the first one too: anything may have changed. It calls lost
// when a connection was lost, or could not be made.
//
// Both are called by one goroutine, in order. While they run nothing further is read, so they should be quick.
func (s *Store) ListenServed(ctx context.Context, changed func(name string), lost func()) error {
	return s.listenFor(ctx, servedChannel, changed, lost)
}

// ListenConnected calls wake when domains were connected that TakeUnstarted may find, in the way of ListenServed.
func (s *Store) ListenConnected(ctx context.Context, wake func()) error {
	return s.listenFor(ctx, connectedChannel, func(string) { wake() }, func() {})
}

// The channels of LISTEN and NOTIFY. SQL elsewhere in this package names the first one.
const (
	servedChannel    = "evercert_served"
	connectedChannel = "evercert_connected"
)

func (s *Store) listenFor(ctx context.Context, channel string, changed func(payload string), lost func()) error {
	var pause backoff
	for {
		err := s.listen(ctx, channel, func(payload string) {
			pause = backoff{} // the connection was good
			changed(payload)
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		lost()
		slog.WarnContext(ctx, "lost the connection that tells of changes", "channel", channel, "error", err)
		if err := pause.wait(ctx); err != nil {
			return err
		}
	}
}

// listen serves one connection and returns when it is lost.
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

// nextNotification waits for a payload. It returns none when nothing came for a while but the connection is alive.
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
