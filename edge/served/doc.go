// Package served is the set of names that an edge serves. The names are in memory, and their certificates in a sealed copy on the edge's
// own disk. So an unknown name costs no query, and an edge that starts while its database is down serves what it served before.
//
//	The database decides. The set follows it by notifications, and compares itself with the whole list after each connect and every five
//	minutes. It knows when it is not sure: while the connection for notifications is down, and for a name whose change was announced but not
//	read yet.
package served
