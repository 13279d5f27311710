package dnslab

import (
	"fmt"
	"strings"
	"testing"
)

// Recursion says how a resolver finds its way.
type Recursion struct {
	Roots       []string // addresses of the root servers, without port: they listen on 53
	TrustAnchor string   // DS record of the root zone as in a zone file; empty: signatures are not validated
	Options     []string // further lines of the resolver's own configuration, in its main section
}

// hints is a root hints file.
func (r Recursion) hints() string {
	var text strings.Builder
	for i, address := range r.Roots {
		fmt.Fprintf(&text, ". 3600 NS ns%d.\nns%[1]d. 3600 A %s\n", i+1, address)
	}
	return text.String()
}

// StartUnbound runs a resolver on port 53 of the address, and waits until it answers. Options go into its server section.
func StartUnbound(t testing.TB, address string, r Recursion) *Server {
	t.Helper()
	folder := newFolder(t)
	modules, anchor := "iterator", ""
	if r.TrustAnchor != "" {
		modules, anchor = "validator iterator", fmt.Sprintf("trust-anchor: %q", r.TrustAnchor)
	}
	writeFile(t, folder, "root.hints", r.hints())
	writeFile(t, folder, "unbound.conf", fmt.Sprintf(`server:
    directory: %q
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    do-daemonize: no
    interface: %s
    port: 53
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    do-ip6: no
    num-threads: 1
    root-hints: "root.hints"
    module-config: %q
    val-log-level: 2
    ede: yes
    local-zone: "test." nodefault
    local-zone: "invalid." nodefault
    %s
%sremote-control:
    control-enable: no
`, folder, address, modules, anchor, lines("    %s", r.Options...)))
	s := start(t, program{
		name: "Unbound", binary: "unbound", pkg: "unbound", folder: folder, address: address,
		args: []string{"-d", "-p", "-c", folder + "/unbound.conf"},
	})
	s.awaitLife(t)
	return s
}

// StartBINDResolver runs named as a resolver on port 53 of the address, and waits until it answers. Options go into its
// options block.
func StartBINDResolver(t testing.TB, address string, r Recursion) *Server {
	t.Helper()
	folder := newFolder(t)
	validation, anchor := "no", ""
	if r.TrustAnchor != "" {
		validation, anchor = "yes", trustAnchorOfBIND(t, r.TrustAnchor)
	}
	writeFile(t, folder, "root.hints", r.hints())
	writeFile(t, folder, "named.conf", fmt.Sprintf(`options {
	directory %q; pid-file none; lock-file none; session-keyfile none;
	listen-on port 53 { %s; }; listen-on-v6 { none; };
	recursion yes; allow-query { any; }; allow-recursion { any; };
	dnssec-validation %s; notify no; empty-zones-enable no;
%s};
controls { };
%s
zone "." { type hint; file "root.hints"; };
`, folder, address, validation, lines("\t%s", r.Options...), anchor))
	s := start(t, program{
		name: "BIND as resolver", binary: "named", pkg: "bind9", folder: folder, address: address,
		args: []string{"-4", "-g", "-n", "1", "-c", "named.conf"},
	})
	s.awaitLife(t)
	return s
}

// StartPowerDNSRecursor runs a resolver on port 53 of the address, and waits until it answers. Options are further settings.
func StartPowerDNSRecursor(t testing.TB, address string, r Recursion) *Server {
	t.Helper()
	folder := newFolder(t)
	validation, anchor := "off", "clearTA('.')\n"
	if r.TrustAnchor != "" {
		validation, anchor = "validate", fmt.Sprintf("clearTA('.')\naddTA('.', %q)\n", dataOf(t, r.TrustAnchor))
	}
	writeFile(t, folder, "root.hints", r.hints())
	writeFile(t, folder, "anchors.lua", anchor)
	writeFile(t, folder, "recursor.conf", fmt.Sprintf(`local-address=%[2]s
local-port=53
allow-from=127.0.0.0/8
dont-query=
hint-file=%[1]s/root.hints
lua-config-file=%[1]s/anchors.lua
dnssec=%[3]s
security-poll-suffix=
export-etc-hosts=no
serve-rfc1918=no
socket-dir=%[1]s
write-pid=no
daemon=no
disable-syslog=yes
threads=1
%[4]s`, folder, address, validation, lines("%s", r.Options...)))
	s := start(t, program{
		name: "PowerDNS Recursor", binary: "pdns_recursor", pkg: "pdns-recursor", folder: folder, address: address,
		args: []string{"--config-dir=" + folder},
	})
	s.awaitLife(t)
	return s
}
