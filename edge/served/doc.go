// Package served is the set of names that an edge serves: which ones there are stands in memory, and their certificates in a sealed copy on the
// edge's own disk. With it an unknown name costs no query, and an edge that is started while its database is down serves what it served before.
//
// The database is the truth. The set follows it by notifications, compares itself with it as a whole after each connect and every five minutes, and
// knows when it can't say: while the connection for notifications is down, and for a name of which a change was told but is not read yet.
package served
