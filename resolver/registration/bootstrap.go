package registration

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	maxBootstrap   = 4 << 20        // bytes; IANA's file has about 100 KB
	bootstrapLife  = 24 * time.Hour // it changes every few days
	bootstrapPause = time.Minute    // after a failure
)

// bootstrap is the file that lists the RDAP services of all top-level domains (RFC 9224).
type bootstrap struct {
	*sender
	address string

	reading singleflight.Group
	mutex   sync.Mutex
	known   map[string]string // services by top-level domain, from the file
	readAt  time.Time         // the file, or the failure to
	readErr error
}

// services returns the file's services. It is read once a day, by one for all who wait; an old one is better than none.
func (b *bootstrap) services(ctx context.Context) (map[string]string, error) {
	b.mutex.Lock()
	known, err, age := b.known, b.readErr, b.now().Sub(b.readAt)
	b.mutex.Unlock()
	if err == nil && known != nil && age < bootstrapLife || err != nil && age < bootstrapPause {
		return known, err
	}
	done := b.reading.DoChan("", func() (any, error) {
		return nil, b.read(context.WithoutCancel(ctx)) // for the others, too
	})
	select {
	case <-done:
		b.mutex.Lock()
		defer b.mutex.Unlock()
		return b.known, b.readErr
	case <-ctx.Done():
		return known, serverError(b.address, failure(ctx.Err()))
	}
}

func (b *bootstrap) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	var known map[string]string
	status, body, err := b.get(ctx, b.address, maxBootstrap)
	if err == nil && status != http.StatusOK {
		err = serverError(b.address, "answers with status 404")
	}
	if err == nil {
		if known, err = parseServices(body); err != nil {
			err = serverError(b.address, err.Error())
		}
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.readAt, b.readErr = b.now(), err
	if err == nil {
		b.known = known
	}
	return err
}

// parseServices reads a bootstrap file: for each list of top-level domains the services that know them (RFC 9224 §3).
func parseServices(body []byte) (map[string]string, error) {
	var file struct {
		Services [][2][]string `json:"services"`
	}
	if err := json.Unmarshal(body, &file); err != nil || len(file.Services) == 0 {
		return nil, errors.New("its answer is no list of RDAP services")
	}
	byTLD := map[string]string{}
	for _, service := range file.Services {
		for _, base := range service[1] {
			parsed, err := baseURL(base)
			if err != nil {
				continue
			}
			for _, tld := range service[0] {
				tld = strings.ToLower(tld)
				if byTLD[tld] == "" || strings.HasPrefix(parsed, "https:") && !strings.HasPrefix(byTLD[tld], "https:") {
					byTLD[tld] = parsed
				}
			}
		}
	}
	return byTLD, nil
}
