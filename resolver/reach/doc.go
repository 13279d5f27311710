// Package reach asks the addresses of a name, one by one, for what a CA's http-01 and tls-alpn-01 requests and a visitor's
// browser would meet there.
//
// HTTP (http.go, walk.go, judge.go) asks for a token as Let's Encrypt does, TLSALPN (tls.go) offers the protocol of
// tls-alpn-01, and HTTPS (certificate.go) checks the certificate that is served and asks for the front page. Below them, each.go asks the
// addresses one by one, exchange.go makes one HTTP request and dial.go one connection. Each result is ok, wrong or unknown, and
// says what is wrong in a cert.Problem; Results puts those of all addresses together (results.go, problem.go).
//
// The addresses, and all that answers there, are strangers'. Nothing but public addresses is connected to (package guard),
// at every hop and again at the dial; the ports are two; time, bytes and redirects are bounded; no cookie, no proxy and no
// compression is used; and what is kept of an answer is short and printable.
package reach
