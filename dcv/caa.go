package dcv

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// caaRecord matches one record of DCV_CAA in the format of zone files, up to the comma before the next record (RFC 8659 §4.1.1). A comma
// inside the quotes belongs to the value, as in "validationmethods=dns-01,http-01" (RFC 8657 §4).
var caaRecord = regexp.MustCompile(`^\s*(\d{1,3})\s+([A-Za-z0-9]{1,255})\s+"([^"\\]*)"\s*(?:,|$)`)

// parseCAA parses DCV_CAA. The error quotes the part that is wrong.
func parseCAA(list string) ([]*dns.CAA, error) {
	var records []*dns.CAA
	for rest := strings.TrimSpace(list); rest != ""; {
		match := caaRecord.FindStringSubmatch(rest)
		if match == nil {
			return nil, fmt.Errorf("no CAA record begins with %s", strings.TrimSpace(rest))
		}
		flag, err := strconv.ParseUint(match[1], 10, 8)
		if err != nil {
			return nil, fmt.Errorf("%s is no flag, which is a number up to 255", match[1])
		}
		records = append(records, &dns.CAA{Flag: uint8(flag), Tag: match[2], Value: match[3]})
		rest = rest[len(match[0]):]
	}
	return records, nil
}
