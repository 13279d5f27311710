// Package lookup answers one kind of question: what does DNS show for this name and this type?
//
// A View is DNS as one source shows it during one diagnosis. There are two kinds of sources:
//   - a recursive resolver, which answers for every name (Client.Resolver, recursive.go);
//   - the authoritative servers, one of each zone, which a CA's resolver asks too (Authoritative, authoritative.go).
//
// A View sends each question once, however many checks need the answer, and follows CNAME records to their end (View.Lookup). The result
// is an Answer: the aliases, the records at their end, or the error why no answer came. What an answer means for a domain is decided
// in package resolver.
package lookup
