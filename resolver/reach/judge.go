package reach

import (
	"bytes"
	"fmt"
	"net/http"

	"github.com/evercert/evercert/cert"
)

// judge says whether the answer at the end of a walk is what a CA asks for.
func judge(t Target, last *page, cdn string) *fault {
	if t.Probe != nil && last.status == http.StatusOK && isKeyAuthorization(last.body, t.Probe.KeyAuthorization) {
		return nil
	}
	if w := recognise(last); w != nil {
		return w.fault(last)
	}
	answered := fmt.Sprintf("it answers with status %d", last.status)
	if text := http.StatusText(last.status); text != "" {
		answered += fmt.Sprintf(" (%s)", text)
	}
	if cdn != "" {
		answered += " by way of " + cdn
	}
	plausible := last.status >= 200 && last.status < 300 || last.status == http.StatusNotFound
	switch {
	case t.Probe == nil && plausible:
		return nil
	case t.Probe == nil:
		return wrong(cert.HTTPUnexpectedResponse, answered, stepResponse).with(pageText(last))
	case last.status != http.StatusOK:
		return wrong(cert.HTTPUnexpectedResponse, answered+", so requests don't get to us", stepResponse).with(pageText(last))
	default:
		return wrong(cert.HTTPUnexpectedResponse, answered+" and another page than ours, so requests don't get to us", stepResponse).
			with(pageText(last))
	}
}

// isKeyAuthorization ignores white space at the end, as CAs do (RFC 8555 §8.3).
func isKeyAuthorization(body []byte, expected string) bool {
	return expected != "" && string(bytes.TrimRight(body, " \t\r\n")) == expected
}
