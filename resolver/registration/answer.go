package registration

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// What is kept of an answer.
const (
	maxStatus = 20 // words; RFC 8056 has 23, and no domain has them all
	maxEvents = 100
	maxText   = 100 // characters of a word or name
)

// domainObject is the part of RFC 9083 §5.3 that is used. A part that is broken is left out; one that decides is required.
type domainObject struct {
	Class    string            `json:"objectClassName"`
	Name     string            `json:"ldhName"`
	Status   []string          `json:"status"`
	Events   []json.RawMessage `json:"events"`
	Entities []json.RawMessage `json:"entities"`
}

// read takes from an answer what it says about a domain.
func read(body []byte, domain string, now time.Time) (Registration, error) {
	var object domainObject
	if err := json.Unmarshal(body, &object); err != nil {
		return Registration{}, errors.New("its answer is no RDAP that can be read")
	}
	if object.Class != "domain" {
		return Registration{}, errors.New("its answer is not about a domain")
	}
	if about := strings.TrimSuffix(strings.ToLower(object.Name), "."); about != "" && about != domain {
		return Registration{}, fmt.Errorf("its answer is about another domain, %q", printable(about))
	}
	r := Registration{Expires: expiration(object.Events), Registrar: registrar(object.Entities)}
	for _, word := range object.Status[:min(len(object.Status), maxStatus)] {
		r.Status = append(r.Status, words(printable(word)))
	}
	r.State = stateOf(r.Status, r.Expires, now)
	return r, nil
}

// expiration is the date that the registry gives. That of the registrar counts only in its absence: a registry that renews by
// itself is the one that decides about DNS.
func expiration(events []json.RawMessage) time.Time {
	var registry, registrar time.Time
	for _, raw := range events[:min(len(events), maxEvents)] {
		var event struct {
			Action string `json:"eventAction"`
			Date   string `json:"eventDate"`
		}
		if json.Unmarshal(raw, &event) != nil {
			continue
		}
		switch strings.ToLower(event.Action) {
		case "expiration":
			registry = date(event.Date)
		case "registrar expiration":
			registrar = date(event.Date)
		}
	}
	if registry.IsZero() {
		return registrar
	}
	return registry
}

// date reads RFC 3339, and what some registries take for it. A date without a zone is UTC.
func date(text string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return t
		}
	}
	return time.Time{}
}

// registrar is the name on the registrar's card (jCard, RFC 7095).
func registrar(entities []json.RawMessage) string {
	for _, raw := range entities[:min(len(entities), maxEvents)] {
		var entity struct {
			Roles []string           `json:"roles"`
			Card  [2]json.RawMessage `json:"vcardArray"` // "vcard", then the properties
		}
		if json.Unmarshal(raw, &entity) != nil || !slices.Contains(entity.Roles, "registrar") {
			continue
		}
		var properties [][4]json.RawMessage // name, parameters, type, value
		if len(entity.Card[1]) == 0 || json.Unmarshal(entity.Card[1], &properties) != nil {
			continue
		}
		for _, property := range properties {
			var name, value string
			isName := json.Unmarshal(property[0], &name) == nil && strings.EqualFold(name, "fn")
			if isName && json.Unmarshal(property[3], &value) == nil && value != "" {
				return printable(value)
			}
		}
	}
	return ""
}

// words spells a status as RFC 8056 does: some registries send EPP's own "clientHold".
func words(status string) string {
	var spelt strings.Builder
	before := ' '
	for _, r := range strings.TrimSpace(status) {
		if unicode.IsUpper(r) && unicode.IsLower(before) {
			spelt.WriteByte(' ')
		}
		spelt.WriteRune(unicode.ToLower(r))
		before = r
	}
	return spelt.String()
}

// printable makes a stranger's text fit to be shown.
func printable(text string) string {
	kept := make([]rune, 0, min(len(text), maxText))
	for _, r := range text {
		if len(kept) == maxText {
			break
		}
		if !unicode.IsPrint(r) {
			r = '·'
		}
		kept = append(kept, r)
	}
	return strings.TrimSpace(string(kept))
}
