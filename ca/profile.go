package ca

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
)

// LogProfile writes to the log what CheckProfile finds. Work goes on: certificates of other CAs are renewed, and those that are there are
// installed.
func (a *Authority) LogProfile(ctx context.Context) {
	if err := a.CheckProfile(ctx); err != nil {
		a.log.ErrorContext(ctx, "the CA will refuse every order", slog.Any("error", err))
	}
}

// CheckProfile returns an error if the CA says that it does not offer the profile of the configuration (draft-ietf-acme-profiles §4):
// every order would be refused. A CA that does not answer is no error; the first order shows the same.
func (a *Authority) CheckProfile(ctx context.Context) error {
	if a.cfg.Profile == "" {
		return nil
	}
	directory, err := a.newSession(nil, "").directory(ctx)
	if err != nil {
		a.log.WarnContext(
			ctx,
			"the CA could not be asked whether it offers the profile",
			slog.String("profile", a.cfg.Profile),
			slog.Any("error", err),
		)
		return nil
	}
	offered := slices.Sorted(maps.Keys(directory.Meta.Profiles))
	switch {
	case slices.Contains(offered, a.cfg.Profile):
		return nil
	case len(offered) == 0:
		return fmt.Errorf("the profile of %s is %q, and this CA offers no profiles; it expects an empty one", a.cfg.DisplayName(), a.cfg.Profile)
	default:
		return fmt.Errorf(
			"the profile of %s is %q; it expects one of those that the CA offers: %s",
			a.cfg.DisplayName(),
			a.cfg.Profile,
			strings.Join(offered, ", "),
		)
	}
}
