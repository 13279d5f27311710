package registration

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
)

const (
	maxBootstrap   = 4 << 20        // bytes; IANA's file has about 100 KB
	bootstrapLife  = 24 * time.Hour // it changes every few days
	bootstrapPause = time.Minute    // after a failure
)

// bootstrapped returns the bootstrap file's services. It is read once a day, by one for all who wait; an old one is better
// than none.
func (c *Client) bootstrapped(ctx context.Context) (map[string]string, error) {
	c.mutex.Lock()
	known, err, age := c.known, c.readErr, c.now().Sub(c.readAt)
	c.mutex.Unlock()
	if err == nil && known != nil && age < bootstrapLife || err != nil && age < bootstrapPause {
		return known, err
	}
	done := c.reading.DoChan("", func() (any, error) {
		return nil, c.readBootstrap(context.WithoutCancel(ctx)) // for the others, too
	})
	select {
	case <-done:
		c.mutex.Lock()
		defer c.mutex.Unlock()
		return c.known, c.readErr
	case <-ctx.Done():
		return known, told(c.bootstrap, failure(ctx.Err()))
	}
}

func (c *Client) readBootstrap(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var known map[string]string
	status, body, err := c.get(ctx, c.bootstrap, maxBootstrap)
	if err == nil && status != http.StatusOK {
		err = told(c.bootstrap, "answers with status 404")
	}
	if err == nil {
		if known, err = services(body); err != nil {
			err = told(c.bootstrap, err.Error())
		}
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.readAt, c.readErr = c.now(), err
	if err == nil {
		c.known = known
	}
	return err
}

// services is a bootstrap file: for each list of top-level domains the services that know them (RFC 9224 §3).
func services(body []byte) (map[string]string, error) {
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
